"""What is looked at after usage was counted."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta

import sqlalchemy as sa

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.contracts.warning import service as warning
from domain.credits.wallets import service as wallets
from domain.journal import jobs, store
from domain.journal import service as journal
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.kernel.money import Money
from tests.waiting import until
from tests.world import World
from workers import alerts

_WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")


async def test_a_worker_that_dies_before_it_looked_at_wallets_leaves_the_job_to_the_next(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD")
        await warning.warn_below(tx, world.call, ada.id, own.id, Money(3_000, "USD"))
    await world.drain()
    job, at = jobs.CheckThresholds(ada.id), world.runtime.now() + timedelta(seconds=1)
    async with world.runtime.db.transaction() as tx:
        await journal.stage(tx, world.call, job, customer_id=ada.id)
        [stored] = await journal.offer_due(tx, [(None, at)], at=at, until=at, limit=9)
    async with world.runtime.db.transaction() as holder:
        await holder.execute(sa.text("SELECT FROM wallet FOR UPDATE"))
        running = asyncio.create_task(alerts.check_thresholds(world.runtime, world.call, stored, job))
        await until(lambda: holder.value(_WAITING), "a look that waits for the wallet")
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert running.cancelled()
    async with world.runtime.db.transaction() as tx:
        left = await store.find_job(tx, stored.id)
    assert left is not None
    assert left.state == "pending"
    await alerts.check_thresholds(world.runtime, world.call, left, job)
    async with world.runtime.db.transaction() as tx:
        assert await store.find_job(tx, stored.id) is None


async def test_staff_are_told_of_calls_above_their_hold_once_for_a_subscription(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    own = await world.subscribe(ada, "free")
    about, customer = encode("subscription", own.id), encode("customer", ada.id)
    for reservation in ("rsv_1", "rsv_2"):
        facts = {"customer_id": customer, "reservation": reservation, "limits": "monthly_cost, tokens"}
        job = jobs.TellStaff("limit_overrun", about, "test", json.dumps(facts))
        async with world.runtime.db.transaction() as tx:
            await journal.stage(tx, world.call, job)
        await world.drain()
    async with world.runtime.db.transaction() as tx:
        found = await staffing.list_alerts(tx, world.call)
    [alert] = [each for each in found if each.kind is StaffAlertKind.LIMIT_OVERRUN]
    assert (alert.about, alert.environment) == (about, Environment.TEST)
    assert alert.text.startswith(
        f"A call of {customer} (rsv_1) used more of monthly_cost, tokens than was held for it."
    )
