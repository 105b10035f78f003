"""Run every measurement, print its figures, and put them into the tables of docs/performance.md."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import (
    bulk,
    closing,
    comparing,
    documents,
    dunning,
    limits,
    live,
    meter,
    previewing,
    reading,
    singles,
    starting,
    webhooks,
)
from bench.machine import describe
from bench.report import Result, print_table, write_table
from bench.world import Servers, Workload, copy_database, make_database, servers

PARTS = (
    "start",
    "singles",
    "bulk",
    "reading",
    "comparing",
    "limits",
    "live",
    "meter",
    "closing",
    "documents",
    "dunning",
    "webhooks",
    "previews",
)


@dataclass(frozen=True, slots=True)
class _Size:
    """How much is measured."""

    runs: int
    people: int
    single_events: int
    bulk_events: int
    stored_events: int
    limit_requests: int
    metered_calls: int
    dunning_cases: int
    acknowledged: int
    processed: int
    closings: closing.Sizes
    documents: int


FULL = _Size(
    runs=5,
    people=1_000,
    single_events=4_000,
    bulk_events=20_000,
    stored_events=reading.MANY,
    limit_requests=2_000,
    metered_calls=1_000,
    dunning_cases=400,
    acknowledged=4_000,
    processed=4_000,
    closings=closing.Sizes(few=500, many=10_000),
    documents=25,
)
QUICK = _Size(
    runs=1,
    people=100,
    single_events=1_000,
    bulk_events=6_000,
    stored_events=100_000,
    limit_requests=400,
    metered_calls=300,
    dunning_cases=40,
    acknowledged=1_000,
    processed=800,
    closings=closing.Sizes(few=50, many=200),
    documents=5,
)


async def _prepare(running: Servers, people: int) -> Workload:
    """Make the databases: both sides start with a total for every combination that the workload has."""
    names = await make_database(running, "ours", people)
    await copy_database(running, "ours", "stored")
    workload = Workload(names)
    await singles.fill(running, "ours", workload)
    await copy_database(running, "ours", "theirs")
    return workload


def _measure(running: Servers, size: _Size, only: str | None) -> Iterator[tuple[str, str, list[Result]]]:
    """Yield each part with its results as soon as there are any, and with what it was measured on."""
    _tell("making customers")
    workload = asyncio.run(_prepare(running, size.people))
    both = ("ours", "theirs")
    parts: dict[str, Callable[[], list[Result]]] = {
        "start": lambda: starting.measure(running, "ours", size.runs),
        "singles": lambda: asyncio.run(singles.measure(running, both, workload, size.runs, size.single_events)),
        "bulk": lambda: bulk.measure(running, both, workload, bulk.Volume(size.runs, size.bulk_events)),
        "reading": lambda: asyncio.run(
            reading.measure(running, "stored", workload.names, size.runs, size.stored_events)
        ),
        "comparing": lambda: asyncio.run(comparing.measure(running, "theirs", size.people, size.runs)),
        "limits": lambda: limits.measure(running, "ours", size.limit_requests),
        "live": lambda: live.measure(running, "ours", workload),
        "previews": lambda: asyncio.run(previewing.measure(running, "ours", size.runs)),
        "closing": lambda: closing.measure(running, size.closings),
        "meter": lambda: asyncio.run(meter.measure(size.runs, size.metered_calls)),
        "dunning": lambda: dunning.measure(running, "ours", size.dunning_cases),
        "webhooks": lambda: webhooks.measure(running, "ours", size.acknowledged, size.processed),
        "documents": lambda: documents.measure(size.documents),
    }
    for name in PARTS:
        if only in {None, name}:
            _tell(f"measuring: {name}")
            machine = asyncio.run(describe(running.postgres.asyncpg_arguments()))
            yield name, machine, parts[name]()


def _tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial of fewer customers, events and runs: prints only")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    asked = parser.parse_args()
    with servers() as running:
        for part, machine, results in _measure(running, QUICK if asked.quick else FULL, asked.only):
            print(f"{part}: {machine}\n")
            print_table(results)
            if not asked.quick:
                write_table(part, machine, results)


if __name__ == "__main__":
    main()
