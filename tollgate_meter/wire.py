"""Send small JSON requests to one server over connections that are kept: what asking Tollgate costs each call.

A general HTTP client spends several times as much CPU on such a request as the rest of the meter does on a call; see
docs/performance.md. This one knows POST, answers of a bounded size, HTTP/1.1 and TLS, and nothing else. Every request
carries its own identity, so one that met a connection which had just been closed is sent again.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2

from tollgate_meter.tolls import TollsUnavailable

CONNECTIONS_MAX = 100
HEAD_BYTES_MAX = 65_536
ANSWER_BYTES_MAX = 1_048_576
_END = b"\r\n\r\n"
_PORTS = {"http": 80, "https": 443}
_FAULTS = (OSError, TimeoutError, ValueError, EOFError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Post(Protocol):
    """Sends requests to Tollgate."""

    async def post(self, path: str, body: bytes) -> Answer:
        """Return the answer. Raises TollsUnavailable when none came."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class ClientPost:
    """The same through an httpx2 transport, such as that of an application in the same process."""

    def __init__(
        self, url: str, headers: Mapping[str, str], transport: httpx2.AsyncBaseTransport, timeout_s: float
    ) -> None:
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=timeout_s, transport=transport)

    async def post(self, path: str, body: bytes) -> Answer:
        """Return the answer. Raises TollsUnavailable when none came."""
        try:
            answer = await self._http.post(path, content=body)
        except httpx2.TransportError as fault:
            raise TollsUnavailable(type(fault).__name__) from fault
        return Answer(answer.status_code, answer.headers, answer.content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class Wire:
    """Keeps at most CONNECTIONS_MAX connections to one server, each with one request at a time."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        """Open no connection yet. `url` is http:// or https://, and may have a path."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("Tollgate's address begins with http:// or https://")
        lines = [f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc.rpartition("@")[2], **headers}.items()]
        self._head = "".join(lines).encode("ascii")
        self._prefix = parts.path.rstrip("/")
        self._host, self._port = parts.hostname, parts.port or _PORTS[parts.scheme]
        self._is_tls = parts.scheme == "https"
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._tls: ssl.SSLContext | None = None

    async def post(self, path: str, body: bytes) -> Answer:
        """Return the answer. Raises TollsUnavailable when none came."""
        head = f"POST {self._prefix}{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n".encode("ascii")
        request = head + self._head + b"\r\n" + body
        try:
            async with asyncio.timeout(self._timeout_s), self._room:
                return await self._send(request)
        except _FAULTS as fault:
            raise TollsUnavailable(type(fault).__name__) from fault

    async def _send(self, request: bytes) -> Answer:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_open:
                try:
                    return await self._exchange(kept, request)
                except EOFError:
                    # It was closed while it was kept. Those that are left may be as old.
                    self._drop_idle()
        return await self._exchange(await self._connect(), request)

    async def _exchange(self, connection: "_Connection", request: bytes) -> Answer:
        try:
            answer = await connection.exchange(request)
        except BaseException:
            connection.abort()
            raise
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _connect(self) -> "_Connection":
        if self._is_tls and self._tls is None:
            self._tls = ssl.create_default_context()
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection, self._host, self._port, ssl=self._tls
        )
        return connection

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().abort()

    async def aclose(self) -> None:
        """Close the connections."""
        self._drop_idle()


class _Connection(asyncio.Protocol):
    """One connection: reads an answer whose length is stated, that comes in chunks, or that ends with it."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: Any = None
        self._answer: asyncio.Future[Answer] | None = None
        self._held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.is_open = True

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(EOFError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._held += data
        self._read(is_end=False)

    def eof_received(self) -> None:
        self.is_open = False
        self._read(is_end=True)

    def abort(self) -> None:
        """Close at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer. Raises EOFError when the connection ends first, and ValueError."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def _read(self, *, is_end: bool) -> None:
        """Look whether the answer is whole. What comes without a request, or is too large, ends the connection."""
        if self._answer is None or self._answer.done():
            self.abort()
            return
        try:
            found = answer_in(self._held, is_end=is_end)
        except ValueError as fault:
            self._answer.set_exception(fault)
            return
        if found is None:
            if is_end:
                self._answer.set_exception(EOFError("the answer was cut off"))
            return
        answer, length = found
        del self._held[:length]
        if self._held or answer.headers.get("connection", "").lower() == "close":
            self.abort()
        self._answer.set_result(answer)


def answer_in(held: bytearray, *, is_end: bool) -> tuple[Answer, int] | None:
    """Return the answer at the start of some bytes and its length, or None while it is not whole.

    Raises ValueError for what is no HTTP/1.1 answer, or one that is too large.
    """
    end = held.find(_END)
    if end < 0:
        if len(held) > HEAD_BYTES_MAX:
            raise ValueError("a head without an end")
        return None
    first, *lines = held[:end].decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        raise ValueError("no HTTP/1.1 answer")
    status = int(first[9:12])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    begin = end + len(_END)
    if status < 200:
        found = answer_in(held[begin:], is_end=is_end)
        return (found[0], found[1] + begin) if found else None
    body = _body_in(held, begin, headers, is_end=is_end)
    return None if body is None else (Answer(status, headers, body[0]), body[1])


def _body_in(held: bytearray, begin: int, headers: Mapping[str, str], *, is_end: bool) -> tuple[bytes, int] | None:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks_in(held, begin)
    stated = headers.get("content-length")
    length = len(held) - begin if stated is None else int(stated)
    if not 0 <= length <= ANSWER_BYTES_MAX:
        raise ValueError("an answer that is too large")
    if (stated is None and not is_end) or len(held) < begin + length:
        return None
    return bytes(held[begin : begin + length]), begin + length


def _chunks_in(held: bytearray, at: int) -> tuple[bytes, int] | None:
    """Join chunks; trailers are skipped."""
    body = bytearray()
    while (line_end := held.find(b"\r\n", at)) >= 0:
        size = int(held[at:line_end].partition(b";")[0], 16)
        at = line_end + 2
        if size == 0:
            end = held.find(b"\r\n", at) if held[at : at + 2] == b"\r\n" else held.find(_END, at)
            return None if end < 0 else (bytes(body), end + (2 if end == at else len(_END)))
        if size < 0 or len(body) + size > ANSWER_BYTES_MAX:
            raise ValueError("an answer that is too large")
        if len(held) < at + size + 2:
            return None
        body += held[at : at + size]
        at += size + 2
    if len(held) - at > HEAD_BYTES_MAX:
        raise ValueError("a chunk without a length")
    return None
