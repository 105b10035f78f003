"""Split a stream of server-sent events as it passes: whole events are looked at, bytes are never held up for long."""

import re
from collections.abc import Iterator

# An event longer than this is passed on without being looked at.
EVENT_BYTES_MAX = 4_194_304
# An empty line, after a line that ends in LF, CR LF or CR. One search finds the first of them all: looking for each by
# itself would read a whole chunk again for every event in it.
_BLANK = re.compile(rb"\n\r?\n|\r\r")
# So many bytes may be the beginning of an empty line.
_BLANK_BEGUN = 2


class EventSplitter:
    """Gives the whole events of a stream, each with its bytes; lines end in LF, CR LF or CR.

    `unread_bytes` counts those of events that were too long to be looked at.
    """

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._held = bytearray()
        self.unread_bytes = 0
        self._passes = False

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield each part that is complete: its bytes, and the data of its event, None where there is none to read."""
        searched = max(len(self._held) - _BLANK_BEGUN, 0)
        self._held += chunk
        begin = 0
        while (end := _end_of_event(self._held, max(searched, begin))) is not None:
            part = bytes(self._held[begin:end])
            begin = end
            if self._passes:
                self.unread_bytes += len(part)
            yield part, None if self._passes else data_of(part)
            self._passes = False
        del self._held[:begin]
        if len(self._held) > self._event_bytes_max:
            self._passes = True
            part = bytes(self._held[:-_BLANK_BEGUN])
            del self._held[:-_BLANK_BEGUN]
            self.unread_bytes += len(part)
            yield part, None

    def rest(self) -> bytes:
        """Return what came after the last whole event, and forget it."""
        rest = bytes(self._held)
        self._held.clear()
        return rest


def _end_of_event(held: bytearray, start: int) -> int | None:
    """Return where the first event ends, blank line included."""
    blank = _BLANK.search(held, start)
    return None if blank is None else blank.end()


def data_of(part: bytes) -> bytes | None:
    """Return the data of one event: its data lines, joined; None where it has none."""
    lines = [line[5:].removeprefix(b" ") for line in part.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
