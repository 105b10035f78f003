"""Sockets that watch usage at one change a second: a thousand on one customer, each on one of its own, and 5,000.

Customers have nothing to do with each other, so their changes come spread over the second; how it is when all of them
change in one instant is measured as well.

The sockets are in a process of their own, on another core where there are two: the CPU of the API is its own. Each
is sent the whole usage of its customer, with limits and projections. A change is committed when its wake-up comes
through Redis, which the API sends right after the commit.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from bench.bare import NUMBER, serving_bare
from bench.machine import apart, cpu_s, memory_mb
from bench.report import Result, at_most, middle
from bench.serving import Api, requests_of, send_all, serving
from bench.watching import Arrivals, Wanted, watching
from bench.world import ONE, Servers, Workload, make_secret, opened
from domain.adapters.redis import CHANNEL, ID_BYTES
from domain.kernel.ids import decode
from domain.usage.event import UsageEvent

SOCKETS, CHANGES = 1_000, 10
# As many as one process takes on.
SOCKETS_AT_MOST = 5_000
# The changes of a second come in so many requests, at equal distances.
PARTS = 20
ONE_CUSTOMER_MAX, OWN_CUSTOMERS_MAX = 5.0, 15.0
LATE_MS_MAX = 150.0
SETTLE_S = 3.0
# The same load took between one and two times the CPU from one run to the next on a machine that others share.
RUNS = 3
# When changes were committed, by the ids of their customers.
Commits = dict[bytes, list[float]]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Load:
    """Sockets on customers, whose changes come in so many requests a second."""

    sockets: int
    names: Sequence[str]
    parts: int = 1

    @property
    def title(self) -> str:
        customers = "one customer" if len(self.names) == 1 else f"{len(self.names):,} customers"
        at_once = " each, all in one instant" if len(self.names) > self.parts == 1 else ""
        return f"{self.sockets:,} sockets on {customers}, one change a second{at_once}"

    @property
    def watched(self) -> list[str]:
        """Whom each socket watches."""
        return [self.names[number % len(self.names)] for number in range(self.sockets)]


@dataclass(frozen=True, slots=True)
class _Run:
    cpu_percent: float
    late_ms: float
    socket_kb: float


def measure(running: Servers, database: str, workload: Workload) -> list[Result]:
    """Return the API's share of a core, how late frames are, and a socket's memory; first what a bare server needs."""
    results = asyncio.run(_bare(SOCKETS))
    for load, bound in (
        (_Load(SOCKETS, workload.names[:1]), ONE_CUSTOMER_MAX),
        (_Load(SOCKETS, workload.names, PARTS), OWN_CUSTOMERS_MAX),
        (_Load(SOCKETS, workload.names), None),
        (_Load(SOCKETS_AT_MOST, workload.names, PARTS), None),
    ):
        work = load.title
        run = _middle([asyncio.run(_measure(running, database, load)) for _ in range(RUNS)])
        share, late = f"{work}: share of a core", f"{work}: p99 from commit to socket"
        if bound is None:
            results += [Result(share, f"{run.cpu_percent:.1f} %"), Result(late, f"{run.late_ms:.0f} ms")]
        else:
            results.append(at_most(share, run.cpu_percent, bound, unit=" %"))
            results.append(at_most(late, run.late_ms, LATE_MS_MAX, digits=0, unit=" ms"))
        results.append(Result(f"{work}: memory of a socket", f"{run.socket_kb:,.0f} KB"))
    idle = asyncio.run(_idle_kb(running, database, SOCKETS))
    return [*results, Result(f"{SOCKETS:,} sockets that watch nothing: memory of a socket", f"{idle:,.0f} KB")]


def _middle(runs: Sequence[_Run]) -> _Run:
    return _Run(
        middle([run.cpu_percent for run in runs]),
        middle([run.late_ms for run in runs]),
        middle([run.socket_kb for run in runs]),
    )


async def _bare(sockets: int) -> list[Result]:
    """Measure a server that does nothing but send frames of that length."""
    work = f"a bare server, {sockets:,} sockets, one frame a second"
    with serving_bare() as api, apart(api.process_id):
        before = memory_mb(api.process_id)
        with watching(Wanted(api.port, [None] * sockets, "bare", NUMBER)) as watchers:
            await asyncio.sleep(SETTLE_S)
            memory = (memory_mb(api.process_id) - before) * 1024 / sockets
            cpu, began = cpu_s(api.process_id), time.perf_counter()
            await asyncio.sleep(CHANGES)
            share = (cpu_s(api.process_id) - cpu) / (time.perf_counter() - began) * 100
            await asyncio.sleep(SETTLE_S)
            seen = watchers.arrivals()
    # Frames before were there already when the last socket had been opened, and were looked at only then.
    late = [at - sent for arrivals in seen for at, sent in arrivals if sent >= began]
    return [
        Result(f"{work}: share of a core", f"{share:.1f} %"),
        Result(f"{work}: p99 from the first one's writing to socket", f"{_p99(late) * 1_000:.0f} ms"),
        Result(f"{work}: memory of a socket", f"{memory:,.0f} KB"),
    ]


async def _idle_kb(running: Servers, database: str, sockets: int) -> float:
    """Return the memory of a socket of the API that has signed in and watches nothing."""
    with serving(running, database) as api, apart(api.process_id):
        before = memory_mb(api.process_id)
        with watching(Wanted(api.port, [None] * sockets)) as watchers:
            await asyncio.sleep(SETTLE_S)
            memory = memory_mb(api.process_id) - before
            watchers.arrivals()
    return memory * 1024 / sockets


async def _measure(running: Servers, database: str, load: _Load) -> _Run:
    async with opened(running, database) as db:
        secret = await make_secret(db, ONE)
    watched = load.watched
    with serving(running, database) as api, apart(api.process_id):
        await _change(api, secret, load.names)
        before = memory_mb(api.process_id)
        with watching(Wanted(api.port, watched)) as watchers:
            await asyncio.sleep(SETTLE_S)
            memory = (memory_mb(api.process_id) - before) * 1024 / load.sockets
            # What recording costs is not what is asked: the same changes without sockets are taken off below.
            cpu, began = cpu_s(api.process_id), time.perf_counter()
            async with _commits(running) as committed:
                await _change_each_second(api, secret, load)
            busy, took = cpu_s(api.process_id) - cpu, time.perf_counter() - began
            # The last frames may still be under way.
            await asyncio.sleep(SETTLE_S)
            late_ms = _late_ms(committed, watched, watchers.arrivals())
        cpu = cpu_s(api.process_id)
        await _change_each_second(api, secret, load)
        recording = cpu_s(api.process_id) - cpu
    return _Run((busy - recording) / took * 100, late_ms, memory)


async def _change_each_second(api: Api, secret: str, load: _Load) -> None:
    began = time.perf_counter()
    for number in range(CHANGES * load.parts):
        await _change(api, secret, load.names[number % load.parts :: load.parts])
        await asyncio.sleep(max(0.0, began + (number + 1) / load.parts - time.perf_counter()))


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


def _late_ms(committed: Commits, watched: Sequence[str], seen: Arrivals) -> float:
    """Return the 99th percentile of the time from a commit of a customer to the first frame that shows it.

    A commit raises the customer's version by one, and the last frame shows the last of them. Both are noted in
    processes of their own, so a frame may seem to come a little before its commit.
    """
    late = []
    for name, arrivals in zip(watched, seen, strict=True):
        commits = committed[decode("customer", name).bytes]
        first = arrivals[-1][1] - len(commits) + 1
        for number, at in enumerate(commits):
            shown = next(each for each, version in arrivals if version >= first + number)
            late.append(max(0.0, shown - at) * 1_000)
    return _p99(late)


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]
