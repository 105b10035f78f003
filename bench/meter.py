"""The middleware around an app whose calls are not streamed: CPU of each call against the bare app.

Both are called in this process, without a server, so that nothing else is in the difference. Tollgate's routes are a
task of their own behind a real socket: what the middleware spends on asking and telling is in, what Tollgate spends is
measured by itself and taken out.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from bench.report import Result, at_most, middle
from tollgate_meter import MeterMiddleware, TollsClient
from tollgate_meter.middleware import App
from tollgate_meter.reading import Certainty
from tollgate_meter.tolls import Hold, Properties

CPU_MS_MAX = 0.5
WORDS = 400
_Message = MutableMapping[str, Any]

_ASKED = msgspec.json.encode(
    {"model": "gpt-5.1", "max_tokens": 200, "messages": [{"role": "user", "content": "word " * WORDS}]}
)
_ANSWERED = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-5.1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "word " * WORDS}}],
        "usage": {"prompt_tokens": 401, "completion_tokens": 400, "total_tokens": 801},
    }
)
_RESERVED = b'{"allowed":true,"decision":null,"reservation":"rsv_1","limits":[]}'
_SETTLED = b'{"status":"counted","overrun":false}'


async def bare(_: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Any]) -> None:
    """Read the request and answer."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": _ANSWERED, "more_body": False})


class Free:
    """Holds and records nothing: what is left is the middleware itself."""

    async def reserve(self, customer: str, _: Properties) -> Hold:
        """Allow everything."""
        return Hold("call_1", customer, is_enforced=True, reservation="rsv_1")

    def settle(self, hold: Hold, certainty: Certainty, properties: Properties) -> None:
        """Record nothing."""

    def extend(self, hold: Hold) -> None:
        """Extend nothing."""


async def measure(runs: int, calls: int) -> list[Result]:
    """Return the CPU of the middleware alone, and with what it says to Tollgate."""
    alone, whole = [], []
    async with _tollgate() as (url, served), TollsClient(url, "tg_test_key") as tolls:
        for _ in range(runs + 1):
            base = await _cpu_s(bare, calls)
            alone.append(await _cpu_s(_metered(Free()), calls) - base)
            server_s = served()
            talking = await _cpu_s(_metered(tolls), calls, tolls)
            whole.append(talking - base - (served() - server_s))
    in_us = [middle(values[1:]) / calls * 1e6 for values in (alone, whole)]
    return [
        Result("middleware, a call without a stream: CPU of the middleware alone", f"{in_us[0]:,.0f} us"),
        at_most(
            "middleware, a call without a stream: CPU, with asking and telling Tollgate",
            in_us[1] / 1000,
            CPU_MS_MAX,
            digits=2,
            unit=" ms",
        ),
    ]


def _metered(tolls: Any) -> App:
    return MeterMiddleware(bare, tolls=tolls, customer_of=lambda _: "cus_1")


async def _cpu_s(app: App, calls: int, tolls: TollsClient | None = None) -> float:
    """Return the CPU seconds of so many calls, recorded and all."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_ASKED)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/openai/v1/chat/completions", "headers": headers}
    began = time.process_time()
    for _ in range(calls):
        await app(dict(scope), _receive, _send)
    if tolls is not None:
        await tolls.drain()
    return time.process_time() - began


async def _receive() -> _Message:
    return {"type": "http.request", "body": _ASKED, "more_body": False}


async def _send(_: _Message) -> None:
    pass


@asynccontextmanager
async def _tollgate() -> AsyncIterator[tuple[str, Callable[[], float]]]:
    """Serve the two routes as briefly as a socket allows, and tell the CPU seconds that this took."""
    spent = 0.0

    class Served(asyncio.Protocol):
        """One connection. A request comes in one or two pieces."""

        def __init__(self) -> None:
            self._held = b""
            self._transport: asyncio.Transport | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self._transport = transport

        def data_received(self, data: bytes) -> None:
            nonlocal spent
            began = time.process_time()
            self._held += data
            head, _, body = self._held.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            if _ and len(body) >= length and self._transport is not None:
                answer = _SETTLED if b"/settle" in head else _RESERVED
                status = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
                self._transport.write(status + str(len(answer)).encode() + b"\r\n\r\n" + answer)
                self._held = b""
            spent += time.process_time() - began

    server = await asyncio.get_running_loop().create_server(Served, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lambda: spent
    finally:
        server.close()
