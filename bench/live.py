"""Sockets that watch usage at one change a second: a thousand on one customer, each on one of its own, and 5,000.

The sockets are in a process of their own, on another core where there are two: the CPU of the API is its own. Each
is sent the whole usage of its customer, with limits and projections. A change is committed when its wake-up comes
through Redis, which the API sends right after the commit.
"""

import asyncio
import contextlib
import itertools
import multiprocessing
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import msgspec
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bench.machine import apart, cpu_s, memory_mb
from bench.report import Result, at_most
from bench.serving import HOST, Api, requests_of, send_all, serving
from bench.world import ONE, Servers, Workload, make_secret, opened
from domain.access.tokens import AUDIENCE, sign_hs256
from domain.adapters import clock
from domain.adapters.redis import CHANNEL, ID_BYTES
from domain.kernel.ids import decode
from domain.usage.event import UsageEvent

SECRET = "s" * 32
SOCKETS, CHANGES = 1_000, 10
# As many as one process takes on.
SOCKETS_AT_MOST = 5_000
ONE_CUSTOMER_MAX, OWN_CUSTOMERS_MAX = 5.0, 15.0
LATE_MS_MAX = 150.0
OPENING_MAX = 50
EARLY_S = 0.1
SETTLE_S = 3.0
ANSWER_WITHIN_S = 30.0
# When changes were committed, by the ids of their customers.
Commits = dict[bytes, list[float]]
DOCUMENT = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence since changes { key by quantity }
    usage { version subscriptions { product plan cost { amount currency } projectedCost { amount }
        meters { key quantity } limits { key used limit percent state projected reachesAt } } } } }"""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Run:
    cpu_percent: float
    late_ms: float
    socket_kb: float


def measure(running: Servers, database: str, workload: Workload) -> list[Result]:
    """Return the API's share of a core, how late frames are, and the memory of a socket."""
    results = []
    for sockets, names, bound in (
        (SOCKETS, workload.names[:1], ONE_CUSTOMER_MAX),
        (SOCKETS, workload.names, OWN_CUSTOMERS_MAX),
        (SOCKETS_AT_MOST, workload.names, None),
    ):
        title = "one customer" if len(names) == 1 else f"{len(names):,} customers"
        work = f"{sockets:,} sockets on {title}, one change a second"
        run = asyncio.run(_measure(running, database, names, sockets))
        share, late = f"{work}: share of a core", f"{work}: p99 from commit to socket"
        if bound is None:
            results += [Result(share, f"{run.cpu_percent:.1f} %"), Result(late, f"{run.late_ms:.0f} ms")]
        else:
            results.append(at_most(share, run.cpu_percent, bound, unit=" %"))
            results.append(at_most(late, run.late_ms, LATE_MS_MAX, digits=0, unit=" ms"))
        results.append(Result(f"{work}: memory of a socket", f"{run.socket_kb:,.0f} KB"))
    return results


async def _measure(running: Servers, database: str, names: Sequence[str], sockets: int) -> _Run:
    async with opened(running, database) as db:
        secret = await make_secret(db, ONE)
    with serving(running, database) as api, apart(api.process_id):
        await _change(api, secret, names)
        before = memory_mb(api.process_id)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        watcher = multiprocessing.get_context("spawn").Process(
            target=_watch, args=(theirs, api.port, [names[n % len(names)] for n in range(sockets)]), daemon=True
        )
        watcher.start()
        await asyncio.to_thread(ours.recv)
        await asyncio.sleep(SETTLE_S)
        memory = (memory_mb(api.process_id) - before) * 1024 / sockets
        # What recording costs is not what is asked: the same changes without sockets are taken off below.
        cpu, began = cpu_s(api.process_id), time.perf_counter()
        async with _commits(running) as committed:
            for number in range(CHANGES):
                await _change(api, secret, names)
                await asyncio.sleep(max(0.0, began + number + 1 - time.perf_counter()))
        busy, took = cpu_s(api.process_id) - cpu, time.perf_counter() - began
        ours.send(None)
        seen: list[list[float]] = await asyncio.to_thread(ours.recv)
        watcher.join(ANSWER_WITHIN_S)
        await asyncio.sleep(SETTLE_S)
        cpu = cpu_s(api.process_id)
        for _ in range(CHANGES):
            await _change(api, secret, names)
        recording = cpu_s(api.process_id) - cpu
    return _Run((busy - recording) / took * 100, _late_ms(committed, names, seen), memory)


async def _change(api: Api, secret: str, names: Sequence[str]) -> None:
    """Report one event of each customer in one batch."""
    events = [UsageEvent(f"live-{next(_numbers)}", ONE, name, properties={"region": "fra"}) for name in names]
    await send_all(api, requests_of(api, secret, events, len(events)), 1)


@asynccontextmanager
async def _commits(running: Servers) -> AsyncIterator[Commits]:
    """Note when each customer's changes were committed: a batch is recorded by more than one commit."""
    found: Commits = {}
    client = Redis.from_url(running.valkey.url())
    try:
        async with client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(CHANNEL)

            async def note() -> None:
                while True:
                    message = await channel.get_message(timeout=None)
                    if message is not None:
                        now, ids = time.perf_counter(), message["data"]
                        for start in range(0, len(ids), ID_BYTES):
                            found.setdefault(ids[start : start + ID_BYTES], []).append(now)

            noting = asyncio.create_task(note())
            try:
                yield found
            finally:
                noting.cancel()
                await asyncio.gather(noting, return_exceptions=True)
    finally:
        await client.aclose()


def _late_ms(committed: Commits, names: Sequence[str], seen: Sequence[Sequence[float]]) -> float:
    """Return the 99th percentile of the time from a commit of a customer to the frame of it on each socket.

    Both are noted in processes of their own, so a frame may seem to be a little before its commit. One that never came
    is infinitely late.
    """
    late = []
    for name, arrivals in zip(itertools.cycle(names), seen, strict=False):
        for at in committed[decode("customer", name).bytes]:
            first = next((each for each in arrivals if each >= at - EARLY_S), float("inf"))
            late.append(max(0.0, first - at) * 1_000)
    return sorted(late)[int(len(late) * 0.99)]


def _watch(pipe: Connection, port: int, names: Sequence[str]) -> None:
    """Open the sockets, note when each frame comes, and give all that at the end: the other process."""
    asyncio.run(_watch_all(pipe, port, names))


async def _watch_all(pipe: Connection, port: int, names: Sequence[str]) -> None:
    now = clock.now()
    times = {"iat": int(now.timestamp()), "exp": int(now.timestamp()) + 3_600}
    token = sign_hs256(
        SECRET, {"iss": "tollgate", "aud": AUDIENCE, "sub": "bench", "kind": "staff", "role": "viewer", **times}
    )
    opening = asyncio.Semaphore(OPENING_MAX)

    async def begin(name: str) -> ClientConnection:
        async with opening:
            socket = await connect(
                f"ws://{HOST}:{port}/graphql",
                subprotocols=[Subprotocol("graphql-transport-ws")],
                compression=None,
                proxy=None,
            )
            credentials = {"authorization": f"Bearer {token}"}
            await socket.send(msgspec.json.encode({"type": "connection_init", "payload": credentials}).decode())
            await socket.recv()
            payload = {"query": DOCUMENT, "variables": {"id": name}}
            await socket.send(msgspec.json.encode({"id": "1", "type": "subscribe", "payload": payload}).decode())
            first = await socket.recv()
            if '"errors"' in str(first):
                raise RuntimeError(f"refused: {str(first)[:500]}")
            return socket

    sockets = await asyncio.gather(*map(begin, names))
    arrivals: list[list[float]] = [[] for _ in sockets]

    async def read(socket: ClientConnection, into: list[float]) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
                into.append(time.perf_counter())

    tasks = [asyncio.create_task(read(socket, into)) for socket, into in zip(sockets, arrivals, strict=True)]
    pipe.send(None)
    await asyncio.to_thread(pipe.recv)
    pipe.send(arrivals)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)
