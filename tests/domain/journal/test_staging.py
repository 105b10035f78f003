"""Jobs of which one waits while another runs, and the look at thresholds that every flush of usage stages."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from domain.db import Database, Tx
from domain.journal import jobs, service, store
from domain.journal.staging import service as staging
from domain.kernel.ids import ClockId, CustomerId
from domain.usage.counting.store import raise_versions
from domain.usage.service import hold_usage
from domain.vault import Vault
from tests import make
from tests.domain.usage.world import World, open_world
from tests.domain.usage.world import event as usage_event
from tests.waiting import until

_ADA, _BOB = CustomerId(make.new_id()), CustomerId(make.new_id())


@pytest.fixture
def origin(catalogued: str) -> str:
    """Begin with both products published."""
    return catalogued


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    """Stand on a seeded database with a running recorder."""
    async with open_world(db) as opened:
        yield opened


async def _stage(
    tx: Tx, *customers: CustomerId, clocks: dict[CustomerId, tuple[ClockId, datetime]] | None = None
) -> None:
    call = make.call()
    await staging.stage_missing(
        await tx.raw(),
        jobs.CheckThresholds,
        customers,
        # Ids of tests differ in their last digits, which are counted on here.
        first_id=UUID(int=call.new_id().int << 16 & (1 << 128) - 1),
        at=call.at,
        retry_at=call.at,
        clocks=clocks or {},
    )


async def _pending(db: Database) -> list[tuple[CustomerId, str | None]]:
    async with db.transaction() as tx:
        statement = sa.select(store.outbox_job.c.customer_id, store.outbox_job.c.key).where(
            store.outbox_job.c.state == "pending", store.outbox_job.c.kind == "check_thresholds"
        )
        return [(row.customer_id, row.key) for row in await tx.rows(statement.order_by(store.outbox_job.c.id))]


async def test_many_are_staged_but_for_those_that_wait(db: Database) -> None:
    async with db.transaction() as tx:
        await _stage(tx, _ADA)
        await _stage(tx, _ADA, _BOB)
        await _stage(tx)
    assert await _pending(db) == [(_ADA, str(_ADA)), (_BOB, str(_BOB))]
    call = make.call()
    async with db.transaction() as tx:
        found = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
    assert [service.read_job(each) for each in found] == [jobs.CheckThresholds(_ADA), jobs.CheckThresholds(_BOB)]


async def test_a_customer_on_a_clock_is_looked_at_by_that_clock(db: Database) -> None:
    clock_id, shown = ClockId(make.new_id()), make.at("2027-01-01")
    async with db.transaction() as tx:
        await _stage(tx, _ADA, _BOB, clocks={_BOB: (clock_id, shown)})
        rows = await tx.rows(sa.select(store.outbox_job).order_by(store.outbox_job.c.id))
    assert len({row.id for row in rows}) == 2
    assert {row.customer_id: (row.clock_id, row.run_at) for row in rows} == {
        _ADA: (None, make.call().at),
        _BOB: (clock_id, shown),
    }


async def test_one_that_has_begun_lets_the_next_one_wait_and_leaves_no_row(db: Database) -> None:
    call = make.call()
    async with db.transaction() as tx:
        await _stage(tx, _ADA)
        [running] = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
        await staging.begin(tx, running)
        for _ in range(2):
            await _stage(tx, _ADA)
    assert await _pending(db) == [(_ADA, None), (_ADA, str(_ADA))]
    async with db.transaction() as tx:
        await staging.drop(tx, running)
        assert await store.find_job(tx, running.id) is None
    assert await _pending(db) == [(_ADA, str(_ADA))]


async def test_usage_stages_one_look_for_each_customer_however_often_it_comes(world: World) -> None:
    people = [await world.customer() for _ in range(3)]
    for each in people:
        await world.subscribe(each)
    for number in range(2):
        for each in people:
            [verdict] = await world.record(usage_event(each, f"e{number}"))
            assert verdict.status == "counted"
    assert sorted(await _pending(world.db)) == sorted((each.id, str(each.id)) for each in people)


async def test_looks_for_any_number_of_customers_cost_one_statement_or_none_of_their_own(
    database_url: str, vault: Vault
) -> None:
    statements: list[str] = []
    watched = Database(database_url, vault, pool_size=3)

    def note(connection: Any, _: Any) -> None:
        connection.driver_connection.add_query_logger(lambda record: statements.append(record.query))

    event.listen(watched._engine.sync_engine, "connect", note)
    async with open_world(watched) as world:
        people = [await world.customer() for _ in range(3)]
        for each in people:
            await world.subscribe(each)
        # The first flush stores the set of meters, and has a statement for each step; the second is one call.
        statements.clear()
        await world.record(*(usage_event(each, "e0") for each in people))
        assert len([each for each in statements if "outbox_job" in each]) == 1
        statements.clear()
        await world.record(*(usage_event(each, "e1") for each in people))
        assert [each.split("(")[0] for each in statements] == ["SELECT record_plain_usage"]
    await watched.close()


async def test_a_look_waits_for_the_flush_that_found_it_waiting(db: Database) -> None:
    async with db.transaction() as tx:
        await raise_versions(await tx.raw(), [_ADA])
        await _stage(tx, _ADA)

    async def begin() -> None:
        async with db.transaction() as tx:
            await hold_usage(tx, _ADA)

    async with db.transaction() as flush:
        driver = await flush.raw()
        await raise_versions(driver, [_ADA])
        await _stage(flush, _ADA)
        looking = asyncio.create_task(begin())
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

        async def is_waiting() -> bool:
            async with db.transaction() as other:
                return bool(await other.value(sa.text(waits)))

        await until(is_waiting, "a look that waits")
        assert not looking.done()
    await looking
    # Those that raise versions afterwards are not kept out.
    async with db.transaction() as tx:
        await raise_versions(await tx.raw(), [_ADA])
