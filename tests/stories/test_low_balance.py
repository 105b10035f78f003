"""A wallet runs low: its customer is mailed once for each fall."""

import asyncio

import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.alerts.notice import Notice
from domain.alerts.preferring import service as preferring
from domain.contracts.warning import service as warning
from domain.credits.wallet import Wallet
from domain.credits.wallets import service as wallets
from domain.credits.wallets.keeping import service as keeping
from domain.credits.wallets.service import GrantTerms
from domain.customers.customer import Customer
from domain.journal.store import billing_event, outbox_job
from domain.kernel.money import Money
from tests.waiting import until
from tests.world import World, llm_call

DAY = "2026-01-31"
_SUBJECT = "Your prepaid balance runs low: Prepaid"


async def _given(world: World, into: Wallet, minor: int) -> None:
    terms = GrantTerms("Gift", Money(minor, "USD"), 50)
    async with world.runtime.db.transaction() as tx:
        await wallets.grant(tx, world.call, into.customer_id, into.id, terms)
    await world.drain()


def _mails(world: World) -> int:
    assert isinstance(world.runtime.mailer, MemoryMailer)
    return sum(each.subject == _SUBJECT for each in world.runtime.mailer.sent)


async def _told(world: World, owner: Customer) -> int:
    own = billing_event.c
    count = sa.select(sa.func.count()).where(own.customer_id == owner.id, own.type == "wallet_low_balance")
    async with world.runtime.db.transaction() as tx:
        return int(await tx.value(count))


async def test_a_wallet_that_runs_low_is_told_of_once_for_each_fall(world: World) -> None:
    ada = await world.customer(on=DAY)
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD")
    await _given(world, own, 15_000)
    async with world.runtime.db.transaction() as tx:
        await warning.warn_below(tx, world.call, ada.id, own.id, Money(3_000, "USD"))
    subscription = await world.subscribe(ada, "pro")  # draws 79.00: 71.00 are left
    assert _mails(world) == 0
    # 4,100,000 tokens at 10.00 the million are 41.00: 30.00 are left, which is the threshold.
    await world.use("llm", llm_call(ada, subscription.started_at, output_tokens=4_100_000))
    await world.drain()
    assert _mails(world) == 1
    await world.use("llm", llm_call(ada, subscription.started_at, output_tokens=100_000))
    await world.drain()
    assert _mails(world) == 1  # 29.00 are left, and it is known
    await _given(world, own, 500)  # 34.00
    await world.use("llm", llm_call(ada, subscription.started_at, output_tokens=1_000_000))
    await world.drain()
    assert (_mails(world), await _told(world, ada)) == (2, 2)  # 24.00
    async with world.runtime.db.transaction() as tx:
        await preferring.unsubscribe(tx, world.call, ada.id, Notice.WALLET_LOW)
    await _given(world, own, 1_000)  # 34.00
    await world.use("llm", llm_call(ada, subscription.started_at, output_tokens=1_000_000))
    await world.drain()
    assert (_mails(world), await _told(world, ada)) == (2, 3)


async def test_whoever_moves_a_wallet_while_it_is_looked_at_waits_for_nothing_that_waits_for_the_wallet(
    world: World,
) -> None:
    ada = await world.customer(on=DAY)
    async with world.runtime.db.transaction() as tx:
        own = await wallets.create_wallet(tx, world.call, ada.id, name="Prepaid", currency="USD")
    await _given(world, own, 2_000)
    async with world.runtime.db.transaction() as tx:
        await warning.warn_below(tx, world.call, ada.id, own.id, Money(1_000, "USD"))
    async with world.runtime.db.transaction() as tx:
        await keeping.take(tx, world.call, ada.id, own.id)
        looking = asyncio.create_task(world.drain())
        await until(lambda: _waits(world), "the look waits for the wallet")
        await warning.warn_below(tx, world.call, ada.id, own.id, Money(3_000, "USD"))
        # A second is what Postgres takes to find out that two wait for one another.
        await tx.execute(sa.text("SELECT pg_sleep(1.5)"))
    await looking
    await world.drain()
    async with world.runtime.db.transaction() as tx:
        # None has failed.
        assert await tx.rows(sa.select(outbox_job.c.kind).where(outbox_job.c.attempts > 0)) == []
    # What was saved meanwhile is gone by: 20.00 are left.
    assert _mails(world) == 1


async def _waits(world: World) -> bool:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with world.runtime.db.transaction() as tx:
        return bool(await tx.value(waiting))
