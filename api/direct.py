"""Write to a socket without the layers between: a frame that the socket takes at once needs none of them.

Each layer of the application wraps the sending of the one below it. All that is decided there for a message of an open
socket is that it is open, and that it takes more; here that is looked at where the bytes are written. In every other
case, and under another server, messages go the way through all layers, which wait, refuse and close.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast
from weakref import WeakMethod

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

# Writes a text to a socket, or says that it cannot be done now.
WriteAtOnce = Callable[[str], bool]
EXTENSION = "tollgate.write_at_once"
# The first byte of a whole message of text, then its length in one, three or nine bytes (RFC 6455, 5.2).
_TEXT = 0x81
_ONE_BYTE_MAX, _TWO_BYTES, _EIGHT_BYTES, _TWO_BYTES_MAX = 125, 126, 127, 0xFFFF


def message_of(text: str) -> bytes:
    """Write a text as one message of a server."""
    data = text.encode()
    size = len(data)
    if size <= _ONE_BYTE_MAX:
        return bytes((_TEXT, size)) + data
    if size <= _TWO_BYTES_MAX:
        return bytes((_TEXT, _TWO_BYTES)) + size.to_bytes(2) + data
    return bytes((_TEXT, _EIGHT_BYTES)) + size.to_bytes(8) + data


class DirectProtocol(WebSocketsSansIOProtocol):
    """uvicorn's websockets, whose sockets can be written to at once."""

    def handle_connect(self, event: Request) -> None:
        """Begin to serve a socket, and tell the application how it is written to."""
        super().handle_connect(event)
        if not self.close_sent:
            # Weak, so that a socket that is gone is let go of at once: the server holds on to what it told.
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = WeakMethod(self.write_at_once)

    def write_at_once(self, text: str) -> bool:
        """Write a text. False: it has to be sent, since the socket is not open, or slow to read."""
        if self.disconnected or self.conn.state is not State.OPEN or not self.writable.is_set():
            return False
        self.transport.write(message_of(text))
        return True


def writing_to(scope: Mapping[str, Any]) -> WriteAtOnce | None:
    """Return what writes to a socket at once; None under a server that cannot."""
    found: WeakMethod[WriteAtOnce] | None = scope.get("extensions", {}).get(EXTENSION)
    return None if found is None else found()
