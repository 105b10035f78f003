"""Two workers that carry out jobs side by side, each a process with rows of its own, against outside parties in memory.

They make their rows, wait for each other, and are measured from there on.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any, cast

from bench.machine import family_cpu_s, own_cpu_s
from bench.world import MASTER_KEY, Servers, copy_database
from domain.access.service import Hs256Verifier
from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.adapters.memory_pdf import MemoryRenderer
from domain.adapters.memory_tax import MemoryTax
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.alerts.port import MailPolicy
from domain.config import Settings
from domain.db import Database
from domain.journal import service as journal
from domain.payments.port import PaymentGateway
from domain.runtime import Runtime
from domain.vault import Vault
from workers import runner

WORKERS = 2
SIDE_BY_SIDE = 16
ROUNDS_MAX = 10_000
TIMEOUT_S = 600
_SETTINGS: dict[str, Any] = {"key_pepper": "p" * 32, "hs256_secret": "s" * 32, "dev": True}


class Counted:
    """A gateway in memory that counts the calls of each of its operations."""

    def __init__(self) -> None:
        self._gateway = MemoryGateway()
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._gateway, name)
        self.calls[name] += asyncio.iscoroutinefunction(found)
        return found


Part = Callable[[Runtime, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured: functions of a module, so that another process finds them."""

    prepare: Part
    carry_out: Part
    check: Part


@dataclass(frozen=True, slots=True)
class _Share:
    """What one worker did: how long it took, the CPU it used, and the calls of the operation called most."""

    took_s: float
    cpu_s: float
    calls: int


@dataclass(frozen=True, slots=True)
class Worked:
    """What all did: how many rows a minute, and for each the CPU, Postgres included, and the calls of one operation."""

    a_minute: float
    cpu_ms: float
    calls: float


def measure(running: Servers, database: str, work: Work, count: int) -> Worked:
    """Have the workers work off so many rows in all, on copies of a database."""
    context = multiprocessing.get_context("spawn")
    ready, shares = context.Barrier(WORKERS + 1), context.Queue()
    each = count // WORKERS
    workers = []
    for number in range(WORKERS):
        name = f"{database}_{work.prepare.__module__.rpartition('.')[2]}_{number}"
        asyncio.run(copy_database(running, database, name))
        workers.append(context.Process(target=_work, args=(running.postgres.dsn(name), work, each, ready, shares)))
    for worker in workers:
        worker.start()
    ready.wait(TIMEOUT_S)
    before = family_cpu_s(running.postgres_id)
    done: list[_Share] = [shares.get(timeout=TIMEOUT_S) for _ in workers]
    theirs = family_cpu_s(running.postgres_id) - before
    for worker in workers:
        worker.join()
    worked = each * WORKERS
    return Worked(
        a_minute=worked * 60 / max(share.took_s for share in done),
        cpu_ms=1_000 * (theirs + sum(share.cpu_s for share in done)) / worked,
        calls=sum(share.calls for share in done) / worked,
    )


def _work(dsn: str, work: Work, count: int, ready: Barrier, shares: "Queue[_Share]") -> None:
    shares.put(asyncio.run(_measure(dsn, work, count, ready)))


async def _measure(dsn: str, work: Work, count: int, ready: Barrier) -> _Share:
    db = Database(dsn, Vault(MASTER_KEY), pool_size=SIDE_BY_SIDE + 4)
    gateway = Counted()
    runtime = _runtime(db, gateway)
    await work.prepare(runtime, count)
    gateway.calls.clear()
    await asyncio.to_thread(ready.wait, TIMEOUT_S)
    started, cpu = time.perf_counter(), own_cpu_s()
    await work.carry_out(runtime, count)
    took_s, used_s = time.perf_counter() - started, own_cpu_s() - cpu
    await work.check(runtime, count)
    await db.close()
    return _Share(took_s, used_s, max(gateway.calls.values(), default=0))


def _runtime(db: Database, gateway: Counted) -> Runtime:
    settings = Settings(**_SETTINGS)
    return Runtime(
        settings=settings,
        db=db,
        gateway=cast("PaymentGateway", gateway),
        mailer=MemoryMailer(MailPolicy("billing@example.com", "Example", is_catcher=True)),
        wakeups=MemoryWakeups(),
        verifier=Hs256Verifier(settings.hs256_secret, settings.token_issuer),
        tax=MemoryTax(),
        renderer=MemoryRenderer(),
        sender=MemoryWebhooks(),
    )


async def side_by_side(act: Callable[[], Awaitable[object]], times: int) -> None:
    """Do something so many times, as many at once as a worker runs jobs."""
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one() -> None:
        async with places:
            await act()

    await asyncio.gather(*(one() for _ in range(times)))


async def drain(runtime: Runtime) -> None:
    """Carry out what is due, several jobs side by side, until nothing is."""
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(job: Any) -> None:
        async with places:
            await runner.run(runtime, job.id)

    for _ in range(ROUNDS_MAX):
        at = runtime.now() + timedelta(seconds=1)
        async with runtime.db.transaction() as tx:
            due = await journal.offer_due(tx, [(None, at)], at=at, until=at + timedelta(minutes=5), limit=500)
        if not due:
            return
        await asyncio.gather(*(run(job) for job in due))
