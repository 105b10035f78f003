"""`tollgate close --all`: everything that is due is closed by the workers, and what cannot be closed is named."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from api.closing.run import Summary, close_all, report
from domain.adapters import clock
from domain.config import Settings
from domain.contracts import service as contracts
from domain.contracts.closing import service as closing
from domain.customers import service as customers
from domain.db import Database
from domain.journal import service as journal
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests.statements import counted
from tests.world import World, runtime_of
from workers import runner

_BREAK = sa.text("UPDATE customer SET name = 'sealed by nobody' WHERE customer_id = :customer_id")


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


async def _subscribers(world: World, count: int) -> list[Subscription]:
    """Make subscribers by real time whose first period ended days ago."""
    found = []
    async with world.runtime.db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        for number in range(count):
            name, email = f"Customer {number}", f"customer{number}@example.com"
            made = await customers.create_customer(tx, world.call, environment=Environment.TEST, name=name, email=email)
            found.append(
                await subscriptions.open_subscription(
                    tx,
                    world.call,
                    clock.now() - timedelta(days=40),
                    customer=made,
                    product_id=catalogue.product("llm").id,
                    plan_version_id=catalogue.current_version("llm", "basic").id,
                    interval=Interval.MONTH,
                    currency="USD",
                )
            )
    return found


@asynccontextmanager
async def _worker(world: World) -> AsyncIterator[None]:
    """Carry out jobs until the block ends."""

    async def work() -> None:
        while True:
            now = world.runtime.now()
            async with world.runtime.db.transaction() as tx:
                until = now + timedelta(seconds=runner.OFFER_S)
                offered = await journal.offer_due(tx, [(None, now)], at=now, until=until, limit=10)
            for stored in offered:
                await runner.run(world.runtime, stored.id)
            await asyncio.sleep(0.02)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _close(database_url: str, *, warned: list[str]) -> Summary:
    settings = Settings(database_url=database_url, master_key=base64.b64encode(b"\x01" * 32).decode())
    return await close_all(settings, progress=lambda _done, _all: None, warn=warned.append)


async def test_everybody_is_closed_but_the_one_who_cannot_be_and_that_one_is_named(
    db: Database, database_url: str
) -> None:
    world = World(runtime_of(db))
    first, broken, last = await _subscribers(world, 3)
    async with db.transaction() as tx:
        await tx.execute(_BREAK.bindparams(customer_id=broken.customer_id))
    async with _worker(world):
        summary = await _close(database_url, warned=[])
    assert (summary.due, summary.closed) == (3, 2)
    [refused] = summary.refused
    assert (refused.subscription_id, refused.error, refused.attempts) == (broken.id, "InvalidTag", 2)
    assert list(report(summary)) == [
        "2 of 3 subscriptions closed, 1 could not be",
        f"  {encode('customer', broken.customer_id)}  {encode('subscription', broken.id)}  InvalidTag, tried 2 times",
    ]
    async with db.transaction() as tx:
        found = await subscriptions.subscriptions_by_id(tx, [first.id, broken.id, last.id], scope=None)
    # One boundary has passed: the good ones are in their second month.
    assert found[first.id].period.start == first.period.end
    assert found[last.id].period.start == last.period.end
    assert found[broken.id].period == broken.period


async def test_closing_twice_closes_nothing_more(db: Database, database_url: str) -> None:
    world = World(runtime_of(db))
    await _subscribers(world, 2)
    async with _worker(world):
        assert (await _close(database_url, warned=[])).closed == 2
        assert await _close(database_url, warned=[]) == Summary(0, 0, [])


async def test_what_cannot_be_closed_does_not_keep_others_from_being_staged(db: Database) -> None:
    world = World(runtime_of(db))
    await _subscribers(world, 3)
    async with db.transaction() as tx:
        assert await closing.stage_due(tx, world.call, clock_id=None, limit=2) == 2
        assert await closing.stage_due(tx, world.call, clock_id=None, limit=2) == 1
        assert await closing.stage_due(tx, world.call, clock_id=None, limit=2) == 0


async def test_a_closing_takes_the_same_number_of_statements_however_many_are_due(db: Database) -> None:
    world = World(runtime_of(db))
    found = []
    for more in (1, 3):
        made = await _subscribers(world, more)
        async with db.transaction() as tx:
            # The first reading of the catalogue is kept.
            await plans.load_catalogue(tx)
        with counted(db) as statements:
            async with db.transaction() as tx:
                await contracts.close_period(tx, world.call, made[-1].customer_id, made[-1].id)
        found.append(len(statements))
    assert found[0] == found[1]
