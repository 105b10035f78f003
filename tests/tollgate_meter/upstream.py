"""A provider on a loopback port that answers as it is told: whole, in chunks, slowly, wrongly, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

RESET, HANG, WAIT = b"<reset>", b"<hang>", b"<wait>"
JSON, EVENTS = "application/json", "text/event-stream"


@dataclass
class Script:
    """One answer. A part that is RESET cuts the connection, HANG says nothing more, WAIT goes on when it is let go."""

    parts: Sequence[bytes]
    content_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Upstream:
    """The provider: its address, what it will answer, and what it was asked."""

    port: int = 0
    script: Script = field(default_factory=lambda: Script([b"{}"]))
    seen: list[Seen] = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def replies(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with one JSON value."""
        self.script = Script([json.dumps(value).encode()], status=status, headers=headers)

    def streams(self, *events: Any, named: bool = False, ends: bytes | None = None) -> None:
        """Answer with server-sent events: JSON values, or bytes as they are; `ends` comes last, such as RESET."""
        parts = [each if isinstance(each, bytes) else event(each, named=named) for each in events]
        self.script = Script([*parts, *([ends] if ends is not None else [])], EVENTS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, answer it, and close."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.seen.append(await _read(reader))
            await self._answer(writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        script = self.script
        headers = {"content-type": script.content_type, "connection": "close", "transfer-encoding": "chunked"}
        lines = [f"{name}: {value}" for name, value in {**headers, **script.headers}.items()]
        if script.parts[:1] != [HANG]:
            writer.write(f"HTTP/1.1 {script.status} X\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n")
        for part in script.parts:
            if part == RESET:
                writer.transport.abort()
                return
            if part == HANG:
                await self.let_go.wait()
                return
            if part == WAIT:
                await self.let_go.wait()
                continue
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def event(value: Any, *, named: bool = False) -> bytes:
    """Write a server-sent event; a named one carries the value's type as its name."""
    name = f"event: {value['type']}\n" if named else ""
    return f"{name}data: {json.dumps(value)}\n\n".encode()


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    originals = dict(line.split(": ", 1) for line in head[1:] if line)
    values = {name.lower(): value for name, value in originals.items()}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, values, body)


@asynccontextmanager
async def open_upstream() -> AsyncIterator[Upstream]:
    """Serve a provider while the block runs."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        upstream.let_go.set()
        server.close()
