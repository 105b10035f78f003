"""The other process of a measurement of sockets: it opens them, and notes when each frame comes."""

import asyncio
import contextlib
import multiprocessing
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.serving import HOST
from domain.access.tokens import AUDIENCE, sign_hs256
from domain.adapters import clock

SECRET = "s" * 32
OPENING_MAX = 50
ANSWER_WITHIN_S = 30.0
DOCUMENT = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence since changes { key by quantity }
    usage { version subscriptions { product plan cost { amount currency } projectedCost { amount }
        meters { key quantity } limits { key used limit percent state projected reachesAt } } } } }"""
# When each frame came, by socket, and the number in it that tells which one it is.
Arrivals = list[list[tuple[float, float]]]
VERSION = r'"version":(\d+)'


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sockets are opened: so many of the API, on one of these customers each, or on none; or of a bare server.

    `number` finds in a frame which one it is.
    """

    port: int
    names: Sequence[str | None]
    path: str = "graphql"
    number: str = VERSION


@dataclass(frozen=True, slots=True)
class Watchers:
    """The process that holds the sockets."""

    pipe: Connection

    def arrivals(self) -> Arrivals:
        """Close the sockets and return what came."""
        self.pipe.send(None)
        found: Arrivals = self.pipe.recv()
        return found


@contextmanager
def watching(wanted: Wanted) -> Iterator[Watchers]:
    """Open sockets in a process of their own; they are open when the block begins."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_watch, args=(theirs, wanted), daemon=True)
    process.start()
    try:
        ours.recv()
        yield Watchers(ours)
        process.join(ANSWER_WITHIN_S)
    finally:
        process.terminate()


def _watch(pipe: Connection, wanted: Wanted) -> None:
    asyncio.run(_watch_all(pipe, wanted))


async def _watch_all(pipe: Connection, wanted: Wanted) -> None:
    opening = asyncio.Semaphore(OPENING_MAX)

    async def begin(name: str | None) -> ClientConnection:
        async with opening:
            return await _begin(wanted, name)

    sockets = await asyncio.gather(*map(begin, wanted.names))
    arrivals: Arrivals = [[] for _ in sockets]
    number = re.compile(wanted.number)

    async def read(socket: ClientConnection, into: list[tuple[float, float]]) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                text = str(await socket.recv())
                now = time.perf_counter()
                found = number.search(text)
                if found is not None:
                    into.append((now, float(found[1])))

    tasks = [asyncio.create_task(read(socket, into)) for socket, into in zip(sockets, arrivals, strict=True)]
    pipe.send(None)
    await asyncio.to_thread(pipe.recv)
    pipe.send(arrivals)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)


async def _begin(wanted: Wanted, name: str | None) -> ClientConnection:
    is_bare = wanted.path != "graphql"
    socket = await connect(
        f"ws://{HOST}:{wanted.port}/{wanted.path}",
        subprotocols=None if is_bare else [Subprotocol("graphql-transport-ws")],
        compression=None,
        proxy=None,
    )
    if is_bare:
        return socket
    credentials = {"authorization": f"Bearer {_token()}"}
    await socket.send(msgspec.json.encode({"type": "connection_init", "payload": credentials}).decode())
    await socket.recv()
    if name is None:
        return socket
    payload = {"query": DOCUMENT, "variables": {"id": name}}
    await socket.send(msgspec.json.encode({"id": "1", "type": "subscribe", "payload": payload}).decode())
    first = await socket.recv()
    if '"errors"' in str(first):
        raise RuntimeError(f"refused: {str(first)[:500]}")
    return socket


def _token() -> str:
    now = int(clock.now().timestamp())
    claims = {"iss": "tollgate", "aud": AUDIENCE, "sub": "bench", "kind": "staff", "role": "viewer"}
    return sign_hs256(SECRET, {**claims, "iat": now // 3_600 * 3_600, "exp": now // 3_600 * 3_600 + 7_200})
