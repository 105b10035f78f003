"""A message that is written at once is the one that the server would have sent, and none is where it would not.

The server's own protocol is spoken to over a connection in memory: where it changes, these tests say so.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from api.direct import DirectProtocol, WriteAtOnce, message_of, writing_to

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TURNS_MAX = 20


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_text_is_one_message_as_the_library_writes_it(size: int) -> None:
    assert message_of("x" * size) == Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)


def test_the_length_of_a_message_is_that_of_its_bytes() -> None:
    # 63 letters of two bytes each: 126.
    assert message_of("é" * 63) == Frame(Opcode.TEXT, ("é" * 63).encode()).serialize(mask=False)


class Line(asyncio.Transport):
    """A connection in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        """Take what is written."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Whether it is closed: never."""
        return False

    def close(self) -> None:
        """Stay as it is: the test ends."""

    def pause_reading(self) -> None:
        """Go on: what is read is told by the test."""

    def resume_reading(self) -> None:
        """Go on."""


class App:
    """Accepts a socket when it is told to, and then sends what it is given."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket until it is given nothing."""
        self.scope = scope
        await receive()
        while (message := await self.messages.get()) is not None:
            await send(message)

    @property
    def write(self) -> WriteAtOnce:
        """What writes to the socket."""
        found = writing_to(self.scope)
        assert found is not None
        return found

    async def do(self, **message: Any) -> None:
        """Send one message."""
        self.messages.put_nowait(message)
        await _turns()


async def _turns() -> None:
    for _ in range(TURNS_MAX):
        await asyncio.sleep(0)


@asynccontextmanager
async def _connected() -> AsyncIterator[tuple[App, DirectProtocol, Line]]:
    app, line = App(), Line()
    config = Config(app, ws_per_message_deflate=False, log_config=None, lifespan="off", ws_ping_interval=None)
    config.load()
    protocol = DirectProtocol(config, ServerState(), {})
    protocol.connection_made(line)
    protocol.data_received(HANDSHAKE)
    await _turns()
    yield app, protocol, line
    app.messages.put_nowait(None)
    await _turns()
    if protocol.close_timer is not None:
        protocol.close_timer.cancel()


async def test_an_open_socket_is_written_to_at_once_and_in_order_with_what_is_sent() -> None:
    async with _connected() as (app, _, line):
        assert not app.write("too early")
        assert line.written == []
        await app.do(type="websocket.accept")
        assert app.write("one")
        await app.do(type="websocket.send", text="two")
        assert app.write("three")
        # A message of a server: 0x81, the length, and the text.
        assert line.written[1:] == [b"\x81\x03one", b"\x81\x03two", b"\x81\x05three"]


async def test_a_socket_that_is_slow_to_read_is_written_to_again_when_it_has_read() -> None:
    async with _connected() as (app, protocol, line):
        await app.do(type="websocket.accept")
        before = len(line.written)
        protocol.pause_writing()
        assert not app.write("one")
        assert len(line.written) == before
        protocol.resume_writing()
        assert app.write("two")
        assert line.written[before:] == [b"\x81\x03two"]


async def test_nothing_is_written_to_a_socket_that_either_side_has_closed_or_that_is_lost() -> None:
    async with _connected() as (app, protocol, line):
        await app.do(type="websocket.accept")
        await app.do(type="websocket.close", code=1000)
        closed = list(line.written)
        assert not app.write("one")
        assert line.written == closed
    async with _connected() as (app, protocol, line):
        await app.do(type="websocket.accept")
        # A client's close frame with the code 1000 and a mask of zeros.
        protocol.data_received(b"\x88\x82\0\0\0\0\x03\xe8")
        closed = list(line.written)
        assert not app.write("one")
        assert line.written == closed
    async with _connected() as (app, protocol, line):
        await app.do(type="websocket.accept")
        before = len(line.written)
        protocol.connection_lost(None)
        assert not app.write("one")
        assert len(line.written) == before


async def test_a_server_that_shuts_down_says_so_last() -> None:
    async with _connected() as (app, protocol, line):
        await app.do(type="websocket.accept")
        protocol.shutdown()
        assert line.written[-1] == b"\x88\x02\x03\xf4"  # Close, 1012.
        assert not app.write("one")


async def test_what_is_no_handshake_is_refused_as_by_the_server() -> None:
    app, line = App(), Line()
    config = Config(app, ws_per_message_deflate=False, log_config=None, lifespan="off")
    config.load()
    protocol = DirectProtocol(config, ServerState(), {})
    protocol.connection_made(line)
    protocol.data_received(HANDSHAKE.replace(b"Version: 13", b"Version: 12"))
    assert line.written[0].startswith(b"HTTP/1.1 400 ")
    assert app.scope == {}


async def test_a_socket_that_is_gone_is_let_go_of_at_once() -> None:
    gc.disable()
    try:
        async with _connected() as (app, protocol, _):
            await app.do(type="websocket.accept")
            assert writing_to(app.scope) is not None
            protocol.connection_lost(None)
            del protocol
        assert writing_to(app.scope) is None
    finally:
        gc.enable()


def test_under_another_server_there_is_nothing_that_writes_at_once() -> None:
    assert writing_to({"type": "websocket"}) is None
    assert writing_to({"type": "websocket", "extensions": {}}) is None
