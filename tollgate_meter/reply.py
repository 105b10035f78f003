"""Keep of an answer without a stream what is needed to read its usage: all of it while it is short, else its end."""

import json
import re
from typing import Any

import msgspec

# Long answers are lists of numbers or pictures, and every provider states usage behind them.
WHOLE_BYTES_MAX = 2_097_152
# What is counted in the answer itself needs all of it: pictures, several in one.
LISTED_BYTES_MAX = 33_554_432
END_BYTES = 65_536


class Reply:
    """The bytes of one answer, as they come; at most `whole_bytes_max` of them are kept, and 0 keeps none."""

    def __init__(self, whole_bytes_max: int) -> None:
        self.length = 0
        self._whole_bytes_max = whole_bytes_max
        self._kept = bytearray()

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it had to be let go."""
        return self.length <= self._whole_bytes_max

    def feed(self, chunk: bytes) -> None:
        """Take a part."""
        self.length += len(chunk)
        if not self._whole_bytes_max:
            return
        if self.is_whole:
            self._kept += chunk
            return
        self._kept += chunk[-END_BYTES:]
        if len(self._kept) > 2 * END_BYTES:
            del self._kept[:-END_BYTES]

    def value(self) -> Any:
        """Return the answer as JSON, or None where it is none or was too long to keep."""
        return decoded(bytes(self._kept)) if self.is_whole else None

    def last(self, name: str) -> Any:
        """Return the last object that is a member of this name near the end, or None.

        A quote inside of a text is written with a backslash, so no text is taken for a member.
        """
        text = bytes(self._kept[-END_BYTES:]).decode("utf-8", "replace")
        for found in reversed(list(re.finditer(rf'"{name}"\s*:\s*(?=\{{)', text))):
            try:
                return json.JSONDecoder().raw_decode(text, found.end())[0]
            except (ValueError, RecursionError):
                continue
        return None


def decoded(data: bytes) -> Any:
    """Return what JSON says, or None for what is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
