"""Statements and locks of subscriptions on real Postgres."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from domain.db import Database, Tx
from domain.kernel.ids import NOBODY, CustomerId
from domain.kernel.period import Period
from domain.subscriptions import store
from domain.subscriptions.buckets import store as buckets
from domain.subscriptions.subscription import BUCKETS, Subscription, bucket_of
from tests import make
from tests.domain.subscriptions import examples
from tests.waiting import until


async def _opened(tx: Tx) -> Subscription:
    return await examples.subscription(tx, await examples.customer(tx), await examples.publish(tx))


async def test_a_subscription_comes_back_as_it_was_written(db: Database) -> None:
    async with db.transaction() as tx:
        written = await _opened(tx)
        assert await store.find_subscription(tx, written.id, scope=None) == written
        assert await store.find_subscription(tx, written.id, scope=written.customer_id) == written
        assert await store.find_subscription(tx, written.id, scope=CustomerId(make.new_id())) is None


async def test_the_database_refuses_overlapping_segments_and_accepts_touching_ones(db: Database) -> None:
    async with db.transaction() as tx:
        subscription = await _opened(tx)
        [first] = (await store.segments_of(tx, [subscription.id]))[subscription.id]
        touching = Period(first.during.end, first.during.end + timedelta(days=28))
        assert await store.insert_segment(tx, examples.segment_of(subscription, touching, touching))
        inside = Period(first.during.end - timedelta(microseconds=1), first.during.end)
        assert not await store.insert_segment(tx, examples.segment_of(subscription, inside, first.period))
        assert len((await store.segments_of(tx, [subscription.id]))[subscription.id]) == 2
    moved = sa.text(
        "UPDATE segment SET start_at = start_at - interval '1 day', "
        "period_start_at = period_start_at - interval '1 day' WHERE start_at = :start_at"
    )
    with pytest.raises(DBAPIError, match="segment_overlap_excl"):
        async with db.transaction() as tx:
            await tx.execute(moved, {"start_at": first.during.end})


@pytest.mark.parametrize(
    ("fault", "constraint"),
    [
        ("UPDATE segment SET end_at = period_end_at + interval '1 day'", "segment_stretch_check"),
        ("UPDATE subscription SET status = 'canceled'", "subscription_ended_at_check"),
        ("UPDATE subscription SET source = 'stripe'", "subscription_gateway_id_check"),
        ("UPDATE subscription SET quantity = 0", "subscription_quantity_check"),
        ("UPDATE subscription SET period_end_at = period_start_at", "subscription_period_check"),
        ("DELETE FROM subscription", "segment_customer_id_subscription_id_fkey"),
    ],
)
async def test_the_database_refuses_what_no_subscription_can_be(db: Database, fault: str, constraint: str) -> None:
    async with db.transaction() as tx:
        await _opened(tx)
    with pytest.raises(DBAPIError, match=constraint):
        async with db.transaction() as tx:
            await tx.execute(sa.text(fault))


async def test_a_bucket_is_shared_by_flushes_and_held_alone_by_whoever_moves_a_border(db: Database) -> None:
    async with db.transaction() as tx:
        subscription = await _opened(tx)
    order: list[str] = []

    async def hold() -> None:
        async with db.transaction() as tx:
            await buckets.hold_buckets(tx, [subscription.id])
            order.append("held")

    async with db.transaction() as first, db.transaction() as second:
        await buckets.share_buckets(first, [subscription.id])
        await buckets.share_buckets(second, [subscription.id])
        waiting = asyncio.create_task(hold())
        waits = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        await until(lambda: first.value(waits), "one who waits for the bucket")
        order.append("shared")
    await waiting
    assert order == ["shared", "held"]


async def test_a_flush_can_share_many_buckets_at_once(db: Database) -> None:
    ids = [examples.value().id for _ in range(3_000)]
    async with db.transaction() as tx:
        await buckets.share_buckets(tx, ids)
        taken = await tx.value(sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    assert taken == len({bucket_of(each) for each in ids}) <= BUCKETS


async def test_the_epoch_is_raised_beside_other_changes(db: Database) -> None:
    async with db.transaction() as tx:
        before = await _opened(tx)
        await store.raise_epoch_of(tx, before.customer_id, before.id)
        after = await store.save_subscription(tx, before, before)
        assert (after.epoch, after.version) == (1, 2)
        assert await store.find_subscription(tx, before.id, scope=None) == after


async def test_subscriptions_are_loaded_for_many_customers_in_one_statement_newest_first(db: Database) -> None:
    async with db.transaction() as tx:
        catalogue = await examples.publish(tx)
        await examples.publish_other(tx)
        catalogue = await examples.publish_other(tx)
        ada, bob = await examples.customer(tx), await examples.customer(tx)
        first = await examples.subscription(tx, ada, catalogue)
        second = await examples.subscription(tx, ada, catalogue, product="scan")
        found = await store.subscriptions_of_customers(tx, [ada.id, bob.id], scope=None, limit=100)
        assert found == {ada.id: [second, first], bob.id: []}
        newest = await store.subscriptions_of_customers(tx, [ada.id], scope=None, limit=1)
        assert newest == {ada.id: [second]}
        foreign = await store.subscriptions_of_customers(tx, [ada.id], scope=bob.id, limit=100)
        assert foreign == {ada.id: []}
        assert await store.list_subscriptions(tx, customer_id=ada.id, limit=1) == [second]
        assert await store.subscriptions_by_id(tx, [first.id, second.id], scope=NOBODY) == {}
        assert await store.subscriptions_by_id(tx, [first.id], scope=ada.id) == {first.id: first}
