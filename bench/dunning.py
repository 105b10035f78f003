"""Due dunning cases worked off: each is looked at, a retry is ordered, sent, declined, and followed up.

The workers' own handlers run side by side, as many as a worker runs, against the gateway in memory.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from bench.report import Result, at_least
from bench.world import Servers, opened
from domain.access.roles import system_principal
from domain.access.service import Hs256Verifier
from domain.adapters.memory import MemoryGateway, MemoryMailer, MemoryWakeups
from domain.adapters.memory_pdf import MemoryRenderer
from domain.adapters.memory_tax import MemoryTax
from domain.alerts.port import MailPolicy
from domain.config import Settings
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.db import Database
from domain.dunning import service as dunning
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.payments.methods import service as methods
from domain.runtime import Runtime
from domain.subscriptions.schedule import Interval
from workers import runner

CASES_A_MINUTE_MIN = 1_000
SIDE_BY_SIDE = 16
ROUNDS_MAX = 10_000
_DECLINED = "pm_card_chargeDeclinedInsufficientFunds"
_SETTINGS: dict[str, Any] = {"key_pepper": "p" * 32, "hs256_secret": "s" * 32, "dev": True}


async def measure(running: Servers, database: str, cases: int) -> list[Result]:
    """Return how many due cases are worked off in a minute."""
    async with opened(running, database) as db:
        runtime = _runtime(db)
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
        started = time.perf_counter()
        await _stage(runtime)
        await _drain(runtime)
        took_s = time.perf_counter() - started
        async with db.transaction() as tx:
            count = "SELECT count(*) FROM payment_attempt WHERE trigger = 'retry' AND state = 'failed'"
            retried = await tx.value(sa.text(count))
        assert retried == cases, f"{retried} of {cases} were retried once"
    return [at_least("Dunning: due cases worked off", cases * 60 / took_s, CASES_A_MINUTE_MIN, unit=" a minute")]


def _runtime(db: Database) -> Runtime:
    settings = Settings(**_SETTINGS)
    return Runtime(
        settings=settings,
        db=db,
        gateway=MemoryGateway(),
        mailer=MemoryMailer(MailPolicy("billing@example.com", "Example", is_catcher=True)),
        wakeups=MemoryWakeups(),
        verifier=Hs256Verifier(settings.hs256_secret, settings.token_issuer),
        tax=MemoryTax(),
        renderer=MemoryRenderer(),
    )


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


async def _stage(runtime: Runtime) -> None:
    """Stage all that is due, as the schedule does every two seconds."""
    call = runtime.call(system_principal("bench"))
    async with runtime.db.transaction() as tx:
        due = await dunning.find_due(tx, clock_id=None, now=call.at)
        for customer_id, case_id in due:
            await journal.stage(tx, call, jobs.RunDunning(customer_id, case_id), customer_id=customer_id)


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
