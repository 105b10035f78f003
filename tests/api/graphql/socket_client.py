"""A client of graphql-transport-ws, written from the protocol's text."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.waiting import PATIENCE_S

PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass
class Socket:
    """An open socket. Frames are kept by operation until they are asked for."""

    connection: ClientConnection
    _names: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _waiting: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, message: Any) -> None:
        """Send a message, as it is or as JSON."""
        raw = isinstance(message, str | bytes)
        await self.connection.send(message if raw else msgspec.json.encode(message).decode())

    async def receive(self) -> dict[str, Any]:
        """Return the next message; every one is text."""
        async with asyncio.timeout(PATIENCE_S):
            data = await self.connection.recv()
        assert isinstance(data, str), "messages are text frames"
        message: dict[str, Any] = msgspec.json.decode(data)
        return message

    async def greet(self, token: str | None) -> dict[str, Any]:
        """Begin, with a token or without."""
        payload = {"authorization": f"Bearer {token}"} if token else {}
        await self.send({"type": "connection_init", "payload": payload})
        return await self.receive()

    async def start(self, document: str, **variables: Any) -> str:
        """Start an operation and return its name."""
        name = f"op{next(self._names)}"
        payload = {"query": document, "variables": variables}
        await self.send({"id": name, "type": "subscribe", "payload": payload})
        return name

    async def next(self, name: str) -> dict[str, Any]:
        """Return the next message of one operation; those of others wait."""
        for index, message in enumerate(self._waiting):
            if message["id"] == name:
                return self._waiting.pop(index)
        while True:
            message = await self.receive()
            if message.get("id") == name:
                return message
            self._waiting.append(message)

    async def frame(self, name: str) -> Any:
        """Return the data of the next frame of one operation, which must be good."""
        message = await self.next(name)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        [data] = message["payload"]["data"].values()
        return data

    async def closed(self) -> int:
        """Wait until the server closes, and return why."""
        async with asyncio.timeout(PATIENCE_S):
            await self.connection.wait_closed()
        assert self.connection.close_code is not None, "the server says why"
        return self.connection.close_code


@asynccontextmanager
async def open_socket(
    host: str, token: str | None = None, *, protocol: Subprotocol = PROTOCOL, **options: Any
) -> AsyncIterator[Socket]:
    """Open a socket, and sign in where a token is given."""
    async with connect(f"ws://{host}/graphql", subprotocols=[protocol], **options) as connection:
        socket = Socket(connection)
        if token is not None:
            assert (await socket.greet(token))["type"] == "connection_ack"
        yield socket
