"""Due dunning cases worked off: each is looked at, a retry is ordered, sent, declined, and followed up.

Two workers, each a process with cases of its own, run the handlers side by side, as many as a worker runs, against a
gateway in memory that counts how often it is called.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any, cast

import sqlalchemy as sa

from bench.machine import family_cpu_s, own_cpu_s
from bench.report import Result, at_least, at_most
from bench.world import MASTER_KEY, Servers, copy_database
from domain.access.roles import system_principal
from domain.access.service import Hs256Verifier
from domain.adapters.memory import MemoryGateway, MemoryMailer, MemoryWakeups
from domain.adapters.memory_pdf import MemoryRenderer
from domain.adapters.memory_tax import MemoryTax
from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.alerts.port import MailPolicy
from domain.config import Settings
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.db import Database, Vault
from domain.dunning import service as dunning
from domain.journal import service as journal
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.payments.methods import service as methods
from domain.payments.port import PaymentGateway
from domain.runtime import Runtime
from domain.subscriptions.schedule import Interval
from workers import runner

CASES_A_MINUTE_MIN = 1_000
# What two cores have in the minute of that many cases.
CPU_MS_MAX = 120
# Stripe takes 25 calls a second of one endpoint.
CALLS_MAX = 1.5
WORKERS = 2
SIDE_BY_SIDE = 16
ROUNDS_MAX = 10_000
START_TIMEOUT_S, WORK_TIMEOUT_S = 600, 600
_DECLINED = "pm_card_chargeDeclinedInsufficientFunds"
_SETTINGS: dict[str, Any] = {"key_pepper": "p" * 32, "hs256_secret": "s" * 32, "dev": True}


@dataclass(frozen=True, slots=True)
class _Share:
    """What one worker did: how long it took, the CPU it used, and the calls of the operation called most."""

    took_s: float
    cpu_s: float
    calls: int


class _Counted:
    """A gateway that counts the calls of each of its operations."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self._gateway = gateway
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._gateway, name)


def measure(running: Servers, database: str, cases: int) -> list[Result]:
    """Return how many due cases are worked off in a minute, and what one takes of the machine and of Stripe."""
    context = multiprocessing.get_context("spawn")
    ready, shares = context.Barrier(WORKERS + 1), context.Queue()
    workers = []
    for number in range(WORKERS):
        name = f"dunning_{number}"
        asyncio.run(copy_database(running, database, name))
        given = (running.postgres.dsn(name), cases // WORKERS, ready, shares)
        workers.append(context.Process(target=_work, args=given))
    for worker in workers:
        worker.start()
    ready.wait(START_TIMEOUT_S)
    before = family_cpu_s(running.postgres_id)
    done: list[_Share] = [shares.get(timeout=WORK_TIMEOUT_S) for _ in workers]
    theirs = family_cpu_s(running.postgres_id) - before
    for worker in workers:
        worker.join()
    worked = cases // WORKERS * WORKERS
    cpu_ms = 1_000 * (theirs + sum(each.cpu_s for each in done)) / worked
    return [
        at_least(
            "Dunning: due cases worked off by two workers",
            worked * 60 / max(each.took_s for each in done),
            CASES_A_MINUTE_MIN,
            unit=" a minute",
        ),
        at_most("Dunning: CPU for a due case, PostgreSQL included", cpu_ms, CPU_MS_MAX, unit=" ms"),
        at_most(
            "Dunning: calls of one endpoint of Stripe for a due case",
            sum(each.calls for each in done) / worked,
            CALLS_MAX,
        ),
    ]


def _work(dsn: str, cases: int, ready: Barrier, shares: "Queue[_Share]") -> None:
    """Make cases, wait until everybody has, and work them off."""
    shares.put(asyncio.run(_measure(dsn, cases, ready)))


async def _measure(dsn: str, cases: int, ready: Barrier) -> _Share:
    db = Database(dsn, Vault(MASTER_KEY), pool_size=20)
    runtime, gateway = _runtime(db)
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def owe() -> None:
        async with places:
            await _owe(runtime)

    await asyncio.gather(*(owe() for _ in range(cases)))
    await _drain(runtime)
    async with db.transaction() as tx:
        due = "UPDATE dunning_case SET next_attempt_at = first_failed_at, due_at = first_failed_at"
        moved = await tx.execute(sa.text(due))
        await tx.execute(sa.text("UPDATE payment_attempt SET began_at = began_at - interval '2 days'"))
    assert moved.rowcount == cases, "every customer owes"
    gateway.calls.clear()
    await asyncio.to_thread(ready.wait, START_TIMEOUT_S)
    started, cpu = time.perf_counter(), own_cpu_s()
    await _work_off(runtime)
    took_s, used_s = time.perf_counter() - started, own_cpu_s() - cpu
    async with db.transaction() as tx:
        count = "SELECT count(*) FROM payment_attempt WHERE trigger = 'retry' AND state = 'failed'"
        retried = await tx.value(sa.text(count))
    assert retried == cases, f"{retried} of {cases} were retried once"
    gateway.calls.pop("environment", None)
    await db.close()
    return _Share(took_s, used_s, max(gateway.calls.values()))


async def _work_off(runtime: Runtime) -> None:
    """Stage all that is due, as the schedule does every two seconds, and carry it out, until nothing is due."""
    call = runtime.call(system_principal("bench"))
    staged = 1
    while staged:
        async with runtime.db.transaction() as tx:
            staged = await dunning.stage_due(tx, call, clock_id=None)
        await _drain(runtime)


def _runtime(db: Database) -> tuple[Runtime, _Counted]:
    settings, gateway = Settings(**_SETTINGS), _Counted(MemoryGateway())
    runtime = Runtime(
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
    return runtime, gateway


async def _owe(runtime: Runtime) -> CustomerId:
    """Make a customer whose first payment will fail."""
    call = runtime.call(system_principal("bench"))
    async with runtime.db.transaction() as tx:
        made = await customers.create_customer(
            tx, call, environment=Environment.TEST, name="Bench", email="bench@example.com"
        )
    await methods.attach_method(runtime.db, runtime.gateway, call, customer_id=made.id, gateway_method_id=_DECLINED)
    async with runtime.db.transaction() as tx:
        await contracts.subscribe(
            tx, call, customer_id=made.id, product_key="edge", plan_key="starter", interval=Interval.MONTH
        )
    return made.id


async def _drain(runtime: Runtime) -> None:
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
