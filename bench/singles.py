"""Durable single events, 64 at once, each acknowledged after its commit: the recorder against a direct insert.

Both get the same events, in two databases that were one before; each figure is the median of interleaved runs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass

import asyncpg

from bench.direct import Direct, Resolver, bare, statements
from bench.machine import family_cpu_s, own_cpu_s
from bench.report import Result, at_least, at_most, middle
from bench.world import LLM, ONE, Servers, Workload, opened, sender
from domain.kernel.ids import CustomerId
from domain.usage.event import BATCH_MAX, UsageEvent
from domain.usage.service import Recorder
from domain.usage.snapshots.service import Snapshots
from domain.usage.verdict import Status

CONCURRENT = 64
CONNECTIONS = 20
RATIO_MIN = 3
CPU_US_MAX = 60


class Silent:
    """Wake-ups that nobody hears."""

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Say nothing."""

    def watch(self, customer_id: CustomerId, moved: Callable[[], None]) -> AbstractContextManager[None]:
        """Nobody watches."""
        raise NotImplementedError

    async def close(self) -> None:
        """Hold nothing."""


@dataclass(frozen=True, slots=True)
class _Run:
    events_per_s: float
    own_us: float
    postgres_us: float


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both ways to record, by product."""

    recorder: Recorder
    direct: dict[str, Direct]
    resolvers: dict[str, Resolver]
    connection: "asyncpg.Connection[asyncpg.Record]"

    async def grouped(self, product: str, event: UsageEvent) -> None:
        """Record through the committer."""
        [verdict] = await self.recorder.record(sender(product), [event])
        assert verdict.status in {Status.COUNTED, Status.DUPLICATE}, verdict

    async def direct_insert(self, product: str, event: UsageEvent) -> None:
        """Record in a transaction of its own."""
        await self.direct[product].record(event)


async def fill(running: Servers, database: str, workload: Workload) -> None:
    """Record one event of each kind for each customer, so that runs measure what goes on and not how it begins."""
    async with opened(running, database) as db:
        recorder = Recorder(db, Silent())
        recorder.start()
        for product in (LLM, ONE):
            events = workload.one_of_each(product)
            for start in range(0, len(events), BATCH_MAX):
                await recorder.record(sender(product), events[start : start + BATCH_MAX])
        await recorder.stop()


async def measure(
    running: Servers, databases: tuple[str, str], workload: Workload, runs: int, events: int
) -> list[Result]:
    """Return the rates, the ratio and the CPU time for both workloads."""
    results = []
    async with _opened(running, databases) as sides:
        for product, title in ((LLM, "6 meters, 3 dimensions"), (ONE, "1 meter")):
            grouped, direct, plain = [], [], []
            for _ in range(runs + 1):
                stream = workload.stream(product, events)
                grouped.append(await _time(running, product, stream, sides.grouped))
                direct.append(await _time(running, product, stream[: len(stream) // 2], sides.direct_insert))
                plain.append(await _time_bare(running, sides, product, stream[len(stream) // 2 :]))
            results += _results(title, grouped[1:], direct[1:], plain[1:])
    return results


@asynccontextmanager
async def _opened(running: Servers, databases: tuple[str, str]) -> AsyncIterator[_Sides]:
    ours, theirs = databases
    async with opened(running, ours) as db, opened(running, theirs) as other:
        recorder = Recorder(db, Silent())
        recorder.start()
        arguments = running.postgres.asyncpg_arguments(theirs)
        async with asyncpg.create_pool(**arguments, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            direct = {product: Direct(other, pool, product) for product in (LLM, ONE)}
            resolvers = {product: Resolver(Snapshots(other), product) for product in (LLM, ONE)}
            connection = await asyncpg.connect(**arguments)
            yield _Sides(recorder, direct, resolvers, connection)
            await connection.close()
        await recorder.stop()


async def _time(
    running: Servers, product: str, events: Sequence[UsageEvent], record: Callable[[str, UsageEvent], Awaitable[None]]
) -> _Run:
    queue = iter(events)

    async def send() -> None:
        for event in queue:
            await record(product, event)

    started, own, theirs = time.perf_counter(), own_cpu_s(), family_cpu_s(running.postgres_id)
    await asyncio.gather(*(send() for _ in range(CONCURRENT)))
    elapsed = time.perf_counter() - started
    per_event = 1e6 / len(events)
    own_us, theirs_us = own_cpu_s() - own, family_cpu_s(running.postgres_id) - theirs
    return _Run(len(events) / elapsed, own_us * per_event, theirs_us * per_event)


async def _time_bare(running: Servers, sides: _Sides, product: str, events: Sequence[UsageEvent]) -> _Run:
    """Write the rows of as many events as a flush has by plain statements; what makes these is not counted."""
    rows = await sides.resolvers[product].resolve(list({event.id: event for event in events}.values()))
    made = [statements(rows[start : start + CONCURRENT]) for start in range(0, len(rows), CONCURRENT)]
    started, own, theirs = time.perf_counter(), own_cpu_s(), family_cpu_s(running.postgres_id)
    for each in made:
        await bare(sides.connection, each)
    elapsed, per_event = time.perf_counter() - started, 1e6 / len(rows)
    own_us, theirs_us = own_cpu_s() - own, family_cpu_s(running.postgres_id) - theirs
    return _Run(len(rows) / elapsed, own_us * per_event, theirs_us * per_event)


def _results(title: str, grouped: Sequence[_Run], direct: Sequence[_Run], bare_runs: Sequence[_Run]) -> list[Result]:
    work = f"single events, {CONCURRENT} at once, {title}"
    own, postgres = middle([run.own_us for run in grouped]), middle([run.postgres_us for run in grouped])
    plain = middle([run.own_us + run.postgres_us for run in direct])
    driver, alone = middle([run.own_us for run in bare_runs]), middle([run.postgres_us for run in bare_runs])
    flush = f"{work}: CPU of the bare statements of {CONCURRENT}, driver {driver:.0f} + Postgres {alone:.0f} us"
    ratio = middle([ours.events_per_s / theirs.events_per_s for ours, theirs in zip(grouped, direct, strict=True)])
    return [
        Result(f"{work}: recorder", f"{middle([run.events_per_s for run in grouped]):,.0f}/s"),
        Result(f"{work}: direct insert", f"{middle([run.events_per_s for run in direct]):,.0f}/s"),
        at_least(f"{work}: ratio", ratio, RATIO_MIN, digits=1),
        at_most(f"{work}: CPU, API {own:.0f} + Postgres {postgres:.0f} us", own + postgres, CPU_US_MAX, unit=" us"),
        Result(f"{work}: CPU of the direct insert", f"{plain:,.1f} us"),
        Result(flush, f"{driver + alone:,.1f} us"),
    ]
