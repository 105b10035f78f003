"""Split a stream of server-sent events as it passes: whole events are looked at, bytes are never held up for long."""

from collections.abc import Iterator

# An event longer than this is passed on without being looked at.
EVENT_BYTES_MAX = 4_194_304


class EventSplitter:
    """Gives the whole events of a stream, each with its bytes; lines end in LF, CR LF or CR."""

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._held = bytearray()
        self._passes = False

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield each part that is complete: its bytes, and the data of its event, None where there is none to read."""
        self._held += chunk
        searched = max(len(self._held) - len(chunk) - 3, 0)
        while (end := _end_of_event(self._held, searched)) is not None:
            part = bytes(self._held[:end])
            del self._held[:end]
            searched = 0
            yield part, None if self._passes else data_of(part)
            self._passes = False
        if len(self._held) > self._event_bytes_max:
            self._passes = True
            yield self.rest(), None

    def rest(self) -> bytes:
        """Return what came after the last whole event, and forget it."""
        rest = bytes(self._held)
        self._held.clear()
        return rest


def _end_of_event(held: bytearray, start: int) -> int | None:
    """Return where the first event ends, blank line included."""
    ends = [
        at + len(blank) for blank in (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n") if (at := held.find(blank, start)) >= 0
    ]
    return min(ends, default=None)


def data_of(part: bytes) -> bytes | None:
    """Return the data of one event: its data lines, joined; None where it has none."""
    lines = [line[5:].removeprefix(b" ") for line in part.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
