"""Batches over HTTP to one API process, against the bare statements that write the same rows."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg

from bench.direct import Resolver, bare, statements
from bench.machine import cpu_s, family_cpu_s, memory_mb, own_cpu_s
from bench.report import Result, at_least, at_most, middle
from bench.serving import Api, requests_of, send_all, serving
from bench.world import LLM, ONE, Servers, Workload, make_secret, opened
from domain.usage.event import UsageEvent
from domain.usage.snapshots.service import Snapshots

CONNECTIONS = {100: 16, 1_000: 4}
RATE_MIN = {LLM: 20_000, ONE: 40_000}
SHARE_MIN = 0.5
MEMORY_MB_MAX = 200
TITLES = {LLM: "6 meters, 3 dimensions", ONE: "1 meter"}


@dataclass(frozen=True, slots=True)
class _Run:
    events_per_s: float
    bare_per_s: float
    api_us: float
    postgres_us: float
    driver_us: float
    bare_us: float


@dataclass(frozen=True, slots=True)
class Volume:
    """How often, and how much."""

    runs: int
    events: int


@dataclass(frozen=True, slots=True)
class _Sides:
    """The API on one database, and a connection to the other with what is needed to make its rows."""

    running: Servers
    api: Api
    secrets: dict[str, str]
    other: "asyncpg.Connection[asyncpg.Record]"
    snapshots: Snapshots


def measure(running: Servers, databases: tuple[str, str], workload: Workload, volume: Volume) -> list[Result]:
    """Return the rates, and what the process holds in the end."""
    with serving(running, databases[0]) as api:
        results = asyncio.run(_measure(running, databases, api, workload, volume))
        memory = memory_mb(api.process_id)
    return [
        *results,
        at_most("memory of the API process after all batches", memory, MEMORY_MB_MAX, digits=0, unit=" MB"),
    ]


async def _measure(
    running: Servers, databases: tuple[str, str], api: Api, workload: Workload, volume: Volume
) -> list[Result]:
    results = []
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(opened(running, databases[0]))
        secrets = {product: await make_secret(db, product) for product in (LLM, ONE)}
        other = await stack.enter_async_context(opened(running, databases[1]))
        connection = await asyncpg.connect(**running.postgres.asyncpg_arguments(databases[1]))
        stack.push_async_callback(connection.close)
        sides = _Sides(running, api, secrets, connection, Snapshots(other))
        for product in (LLM, ONE):
            for size in CONNECTIONS:
                streams = (workload.stream(product, volume.events) for _ in range(volume.runs + 1))
                found = [await _run(sides, product, stream, size) for stream in streams]
                results += _results(f"HTTP, batches of {size:,}, {TITLES[product]}", RATE_MIN[product], found[1:])
    return results


async def _run(sides: _Sides, product: str, events: Sequence[UsageEvent], size: int) -> _Run:
    requests = requests_of(sides.api, sides.secrets[product], events, size)
    api, postgres = cpu_s(sides.api.process_id), family_cpu_s(sides.running.postgres_id)
    elapsed = await send_all(sides.api, requests, CONNECTIONS[size])
    api, postgres = cpu_s(sides.api.process_id) - api, family_cpu_s(sides.running.postgres_id) - postgres
    bare_s, driver, plain = await _run_bare(sides, product, events, size)
    per_event = 1e6 / len(events)
    cpu = (each * per_event for each in (api, postgres, driver, plain))
    return _Run(len(events) / elapsed, len(events) / bare_s, *cpu)


async def _run_bare(sides: _Sides, product: str, events: Sequence[UsageEvent], size: int) -> tuple[float, float, float]:
    """Write the same rows by themselves; return the seconds, and those of CPU in the driver and in Postgres.

    An event that comes again is left out beforehand.
    """
    unique = {event.id: event for event in events}
    rows = await Resolver(sides.snapshots, product).resolve(list(unique.values()))
    made = [statements(rows[start : start + size]) for start in range(0, len(rows), size)]
    started, own, postgres = time.perf_counter(), own_cpu_s(), family_cpu_s(sides.running.postgres_id)
    for each in made:
        await bare(sides.other, each)
    elapsed = time.perf_counter() - started
    return elapsed, own_cpu_s() - own, family_cpu_s(sides.running.postgres_id) - postgres


def _results(work: str, rate_min: int, runs: Sequence[_Run]) -> list[Result]:
    api, postgres = middle([run.api_us for run in runs]), middle([run.postgres_us for run in runs])
    driver, plain = middle([run.driver_us for run in runs]), middle([run.bare_us for run in runs])
    share = middle([run.events_per_s / run.bare_per_s for run in runs])
    return [
        at_least(work, middle([run.events_per_s for run in runs]), rate_min, unit="/s"),
        Result(f"{work}: CPU", f"{api:,.0f} + {postgres:,.0f} us"),
        Result(f"{work}: CPU of the bare statements", f"{driver:,.0f} + {plain:,.0f} us"),
        Result(f"{work}: bare statements", f"{middle([run.bare_per_s for run in runs]):,.0f}/s"),
        at_least(f"{work}: share of the bare statements", share, SHARE_MIN, digits=2),
    ]
