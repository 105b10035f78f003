"""Read the body of a batch, gzip or plain: no further than its bound, and no more at once than memory allows."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from api.bodies import BodyTooLarge
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.usage.verdict import UsageBusy

# One body, inflated. 1,000 events of 2 kB each fit.
BODY_BYTES_MAX = 2_097_152
# Bodies that are being read, and those whose events wait for their commit: what is decoded is some times as large.
BYTES_IN_FLIGHT_MAX = 16_777_216
# A whole body arrives within this time, or gives its room to others.
READ_TIMEOUT_S = 30
PART_BYTES = 65_536
# Streams that were put one after the other; each costs as much to begin as a whole event.
GZIP_MEMBERS_MAX = 16
_GZIP = 31


class EncodingUnknown(DomainError):
    """A body is sent as it is, or with Content-Encoding: gzip."""

    code = "encoding_unknown"
    kind = Kind.INVALID


@dataclass(eq=False)
class BodyNotGzip(DomainError):
    """Content-Encoding says gzip, and the body {fault}. Nothing was recorded."""

    code = "body_not_gzip"
    kind = Kind.INVALID
    fault: str


class BodyTooSlow(DomainError):
    """The body did not arrive within 30 seconds, and nothing was recorded. Send the same again, or less at once."""

    code = "body_too_slow"
    kind = Kind.INVALID


class Inflow:
    """The bytes of all bodies that a process holds at present; one per process."""

    def __init__(self, bytes_max: int = BYTES_IN_FLIGHT_MAX) -> None:
        self.bytes_max = bytes_max
        self.held = 0

    def take(self, count: int) -> None:
        """Hold some more. Raises UsageBusy where that would be too much; then nothing more is held."""
        if self.held + count > self.bytes_max:
            raise UsageBusy
        self.held += count

    def give_back(self, count: int) -> None:
        """Hold less."""
        self.held -= count


class Inflater:
    """Inflates a gzip stream in parts of at most PART_BYTES, so that what it would become is never all in memory.

    A stream may have up to GZIP_MEMBERS_MAX members, one after the other, as gzip itself reads it.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1
        self._has_begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk becomes. Raises BodyNotGzip."""
        while chunk:
            if self._member.eof:
                self._begin_another()
            self._has_begun = True
            yield from self._inflate(chunk)
            chunk = self._member.unused_data

    def finish(self) -> None:
        """Check that the stream came to its end. Raises BodyNotGzip."""
        if self._has_begun and not self._member.eof:
            raise BodyNotGzip("is cut off before its end")

    def _begin_another(self) -> None:
        self._members += 1
        if self._members > GZIP_MEMBERS_MAX:
            raise BodyNotGzip(f"has more than {GZIP_MEMBERS_MAX} members")
        self._member = zlib.decompressobj(_GZIP)

    def _inflate(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what one member makes of a chunk. A full part may have left more inside, so it is asked again."""
        part = self._part(chunk)
        while part:
            yield part
            part = b"" if self._member.eof else self._part(self._member.unconsumed_tail)

    def _part(self, chunk: bytes) -> bytes:
        try:
            return self._member.decompress(chunk, PART_BYTES)
        except zlib.error as fault:
            raise BodyNotGzip("is damaged, or is something else") from fault


class Plain:
    """Passes on what was sent as it is."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the chunk."""
        yield chunk

    def finish(self) -> None:
        """Every end is an end."""


@asynccontextmanager
async def body_of(request: Request, inflow: Inflow, *, timeout_s: float = READ_TIMEOUT_S) -> AsyncIterator[bytes]:
    """Read a whole body within `timeout_s` and hold its bytes in `inflow` while the block runs.

    Raises BodyTooLarge, UsageBusy, EncodingUnknown, BodyNotGzip and BodyTooSlow as soon as it is so, and whatever the
    request's stream raises.
    """
    reader = _reader_of(request)
    body = bytearray()
    try:
        try:
            async with asyncio.timeout(timeout_s):
                async for chunk in request.stream():
                    for part in reader.feed(chunk):
                        if len(body) + len(part) > BODY_BYTES_MAX:
                            raise BodyTooLarge(BODY_BYTES_MAX)
                        inflow.take(len(part))
                        body += part
        except TimeoutError:
            raise BodyTooSlow from None
        reader.finish()
        yield bytes(body)
    finally:
        inflow.give_back(len(body))


def _reader_of(request: Request) -> Inflater | Plain:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        return Inflater()
    if encoding in {"identity", ""}:
        return Plain()
    raise EncodingUnknown
