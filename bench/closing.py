"""How fast workers close periods: subscriptions a second, and whether many take longer each than few.

Every subscription has one period that is over, with usage in eight combinations, and each closing ends in an invoice,
its mail and a look for a payment method, all of which the same workers carry out meanwhile.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from aiosmtpd.controller import Controller

from api.local.ports import free_port
from api.local.processes import child_environment
from bench.report import Result, at_most
from bench.serving import settings_of
from bench.singles import Silent
from bench.world import LLM, Servers, Workload, make_database, opened, sender
from domain.adapters import clock
from domain.contracts.closing.store import count_due
from domain.usage.event import BATCH_MAX
from domain.usage.service import Recorder

RATIO_MAX = 1.3
SINCE, USED_AGO = timedelta(days=40), timedelta(days=20)
PRODUCTS = 2
LOOK_EVERY_S = 0.1
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many customers few and many are. Each has two subscriptions."""

    few: int
    many: int


class _Discard:
    """Takes every mail and keeps none."""

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 -- the library's name for it
        return "250 OK"


def measure(running: Servers, sizes: Sizes) -> list[Result]:
    """Return the rate with one worker and with two, and the ratio of the time for each of many and of few."""
    one, few, many = (
        _closed_per_s(running, f"closing_{number}", people, workers)
        for number, (people, workers) in enumerate(((sizes.few, 1), (sizes.few, 2), (sizes.many, 2)))
    )
    return [
        Result(f"closing {PRODUCTS * sizes.few:,} subscriptions, one worker", f"{one:,.0f}/s"),
        Result(f"closing {PRODUCTS * sizes.few:,} subscriptions, two workers", f"{few:,.0f}/s"),
        Result(f"closing {PRODUCTS * sizes.many:,} subscriptions, two workers", f"{many:,.0f}/s"),
        at_most("time for each of many / of few subscriptions", few / many, RATIO_MAX, digits=2, unit="x"),
    ]


def _closed_per_s(running: Servers, database: str, people: int, workers: int) -> float:
    names = asyncio.run(make_database(running, database, people, since=SINCE))
    asyncio.run(_use(running, database, Workload(names)))
    due = asyncio.run(_count_due(running, database))
    assert due == PRODUCTS * people, "each has one boundary behind it"
    with _mail_sink() as smtp_url, _working(running, database, workers, smtp_url):
        started = time.perf_counter()
        while asyncio.run(_count_due(running, database)):
            time.sleep(LOOK_EVERY_S)
        return due / (time.perf_counter() - started)


async def _use(running: Servers, database: str, workload: Workload) -> None:
    """Record usage of the period that is over."""
    at = clock.now() - USED_AGO
    events = [msgspec.structs.replace(event, occurred_at=at) for event in workload.one_of_each(LLM)]
    async with opened(running, database) as db:
        recorder = Recorder(db, Silent())
        recorder.start()
        for start in range(0, len(events), BATCH_MAX):
            await recorder.record(sender(LLM), events[start : start + BATCH_MAX])
        await recorder.stop()


async def _count_due(running: Servers, database: str) -> int:
    async with opened(running, database) as db, db.transaction() as tx:
        return await count_due(tx, now=clock.now())


@contextmanager
def _mail_sink() -> Iterator[str]:
    """Take mails at a URL until the block ends."""
    sink = Controller(_Discard(), hostname=HOST, port=free_port())
    sink.start()
    try:
        yield f"smtp://{HOST}:{sink.port}"
    finally:
        sink.stop()


@contextmanager
def _working(running: Servers, database: str, workers: int, smtp_url: str) -> Iterator[None]:
    """Run worker processes until the block ends."""
    with TemporaryDirectory() as home, (Path(home) / "workers.log").open("wb") as log, ExitStack() as running_workers:
        for _ in range(workers):
            process = subprocess.Popen(
                [sys.executable, "-m", "workers"],
                env=child_environment(settings_of(running, database, home, smtp_url=smtp_url)),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            running_workers.callback(process.wait)
            running_workers.callback(process.terminate)
        yield
