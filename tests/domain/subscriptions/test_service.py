"""Subscriptions and segments on real Postgres."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.plans.plan import Catalogue
from domain.subscriptions import lifecycle, service, store
from domain.subscriptions.buckets import store as buckets
from domain.subscriptions.mirror import Mirrored
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import AlreadySubscribed, SubscriptionNotFound
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.waiting import service as waiting
from tests import make
from tests.domain.subscriptions import examples

_CALL = examples.call()
_FEBRUARY, _MARCH = (
    Period(make.at("2026-01-31T10:00"), make.at("2026-02-28T10:00")),
    Period(make.at("2026-02-28T10:00"), make.at("2026-03-31T10:00")),
)


async def _setting(db: Database) -> tuple[Customer, Catalogue]:
    async with db.transaction() as tx:
        return await examples.customer(tx), await examples.publish(tx)


async def _stretches(tx: Tx, subscription: Subscription) -> list[Period]:
    return [each.during for each in (await service.segments_of(tx, [subscription.id]))[subscription.id]]


async def _rows(db: Database) -> int:
    async with db.transaction() as tx:
        counted = await tx.value(sa.text("SELECT (SELECT count(*) FROM subscription) + (SELECT count(*) FROM segment)"))
        return int(counted)


async def test_opening_anchors_both_grids_at_the_same_instant_in_the_customers_zone(db: Database) -> None:
    async with db.transaction() as tx:
        catalogue, ada = await examples.publish(tx), await examples.customer(tx, zone="Europe/Berlin")
        # 31 January 00:30 in Berlin. A year later is 00:30 again, in UTC 23:30 the day before.
        yearly = await examples.subscription(tx, ada, catalogue, on="2026-01-30T23:30", interval=Interval.YEAR)
        assert yearly.period == Period(make.at("2026-01-30T23:30"), make.at("2026-02-27T23:30"))
        assert yearly.fee_period == Period(make.at("2026-01-30T23:30"), make.at("2027-01-30T23:30"))
        assert (yearly.status, yearly.zone, yearly.epoch) == (Status.ACTIVE, "Europe/Berlin", 0)
        assert await _stretches(tx, yearly) == [yearly.period]


async def test_a_customer_has_one_live_subscription_of_a_product_and_may_have_one_of_another(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        other = await examples.publish_other(tx)
        first = await examples.subscription(tx, ada, catalogue)
        await examples.subscription(tx, ada, other, product="scan")
    before = await _rows(db)
    with pytest.raises(AlreadySubscribed):
        async with db.transaction() as tx:
            await examples.subscription(tx, ada, catalogue, plan="free")
    assert await _rows(db) == before
    async with db.transaction() as tx:
        held = await service.lock_subscription(tx, first.id, scope=None)
        await service.end(tx, held, lifecycle.end(held, make.at("2026-02-10")), counted=())
        again = await examples.subscription(tx, ada, catalogue, on="2026-02-11")
        assert await service.find_live(tx, ada.id, again.product_id) == again


async def test_of_two_that_subscribe_at_the_same_moment_one_is_refused(db: Database) -> None:
    ada, catalogue = await _setting(db)

    async def one() -> str:
        try:
            async with db.transaction() as tx:
                await examples.subscription(tx, ada, catalogue)
                await asyncio.sleep(0.05)
        except AlreadySubscribed:
            return "refused"
        return "opened"

    assert sorted(await asyncio.gather(*(one() for _ in range(5)))) == ["opened", *["refused"] * 4]
    assert await _rows(db) == 2


async def test_missing_segments_are_opened_once_however_often_and_concurrently_they_are_asked_for(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        subscription = await examples.subscription(tx, ada, catalogue)
    at = make.at("2026-06-15")

    async def one() -> Period:
        async with db.transaction() as tx:
            await buckets.share_buckets(tx, [subscription.id])
            found = await service.ensure_segment(tx, _CALL, subscription, at)
            assert found is not None
            await asyncio.sleep(0.02)
            return found.during

    june = Period(make.at("2026-05-31T10:00"), make.at("2026-06-30T10:00"))
    assert await asyncio.gather(*(one() for _ in range(6))) == [june] * 6
    async with db.transaction() as tx:
        found = await _stretches(tx, subscription)
        assert found[:2] == [_FEBRUARY, _MARCH]
        assert len(found) == 5
        epoch = await store.find_subscription(tx, subscription.id, scope=None)
        assert epoch == subscription


@pytest.mark.parametrize("at", ["2026-01-31T09:59:59", "2026-02-10T12:00", "2027-01-01"])
async def test_there_is_no_segment_outside_of_the_subscriptions_life(db: Database, at: str) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        held = await service.lock_subscription(tx, opened.id, scope=None)
        await service.end(tx, held, lifecycle.end(held, make.at("2026-02-10T12:00")), counted=())
        # The stale value that a flush may hold does not matter.
        assert await service.ensure_segment(tx, _CALL, opened, make.at(at)) is None
        assert await _stretches(tx, opened) == [Period(_FEBRUARY.start, make.at("2026-02-10T12:00"))]


async def test_an_end_cuts_the_segment_drops_later_ones_and_keeps_those_in_which_something_was_counted(
    db: Database,
) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        april = await service.ensure_segment(tx, _CALL, opened, make.at("2026-04-01"))
        assert april is not None
        held = await service.lock_subscription(tx, opened.id, scope=None)
        ended = await service.end(tx, held, lifecycle.end(held, make.at("2026-02-10")), counted={april.id})
        assert ended.status is Status.CANCELED
        assert await _stretches(tx, opened) == [Period(_FEBRUARY.start, make.at("2026-02-10")), april.during]
        saved = await store.find_subscription(tx, opened.id, scope=None)
        assert saved is not None
        assert saved.epoch == 1


async def test_a_switch_cuts_the_segment_and_goes_on_under_the_other_version(db: Database) -> None:
    ada, catalogue = await _setting(db)
    free, at = catalogue.current_version("print", "free").id, make.at("2026-02-10")
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        await service.ensure_segment(tx, _CALL, opened, _MARCH.start)
        held = await service.lock_subscription(tx, opened.id, scope=None)
        after = await service.switch_version(tx, _CALL, held, free, at)
        assert after.plan_version_id == free
        found = (await service.segments_of(tx, [opened.id]))[opened.id]
        assert [(each.during, each.period, each.plan_version_id) for each in found] == [
            (Period(_FEBRUARY.start, at), _FEBRUARY, opened.plan_version_id),
            (Period(at, _FEBRUARY.end), _FEBRUARY, free),
            (_MARCH, _MARCH, free),
        ]


async def test_ended_segments_are_found_until_they_are_final(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        await service.ensure_segment(tx, _CALL, opened, _MARCH.start)
        assert await service.segments_ending_by(tx, opened, _FEBRUARY.end - timedelta(microseconds=1)) == []
        ended = await service.segments_ending_by(tx, opened, _FEBRUARY.end)
        assert [each.during for each in ended] == [_FEBRUARY]
        await service.lock_subscription(tx, opened.id, scope=None)
        await service.make_final(tx, ended)
        assert await service.segments_ending_by(tx, opened, _FEBRUARY.end) == []
        found = (await service.segments_of(tx, [opened.id]))[opened.id]
        assert [each.final for each in found] == [True, False]
        saved = await store.find_subscription(tx, opened.id, scope=None)
        assert saved is not None
        assert saved.epoch == 1
        later = await service.segments_of(tx, [opened.id], ending_after=_FEBRUARY.end)
        assert [each.during for each in later[opened.id]] == [_MARCH]


async def test_what_is_due_is_found_per_clock_oldest_first(db: Database) -> None:
    async with db.transaction() as tx:
        catalogue = await examples.publish(tx)
        clock = await customers.create_clock(tx, _CALL, name="c", now_at=make.at("2026-01-31T10:00"))
        ada, bob, eve = (
            await examples.customer(tx),
            await examples.customer(tx),
            await examples.customer(tx, clock_id=clock.id),
        )
        late = await examples.subscription(tx, ada, catalogue, on="2026-02-05")
        early = await examples.subscription(tx, bob, catalogue, on="2026-02-01")
        timed = await examples.subscription(tx, eve, catalogue, on="2026-02-03")

        async def due(now: datetime, *, limit: int = 10, clocked: bool = False) -> list[Customer]:
            clock_id = clock.id if clocked else None
            names = {each.id: each for each in (ada, bob, eve)}
            found = await waiting.list_due(tx, clock_id=clock_id, now=now, limit=limit)
            return [names[customer_id] for customer_id, _ in found]

        assert await due(make.at("2026-02-28T23:59:59")) == []
        assert await due(make.at("2026-03-01")) == [bob]
        assert await due(make.at("2026-03-05")) == [bob, ada]
        assert await due(make.at("2026-03-05"), limit=1) == [bob]
        assert await due(make.at("2026-03-05"), clocked=True) == [eve]
        assert await waiting.find_next_due_at(tx, clock_id=None) == early.period.end
        assert await waiting.find_next_due_at(tx, clock_id=clock.id) == timed.period.end
        await service.end(tx, timed, lifecycle.end(timed, make.at("2026-02-10")), counted=())
        assert await due(make.at("2026-03-05"), clocked=True) == []
        # 10 February + 36 days is 18 March: the last look.
        assert await waiting.find_next_due_at(tx, clock_id=clock.id) == make.at("2026-03-18")
        assert await due(make.at("2026-03-18"), clocked=True) == [eve]
        assert late.period.end == make.at("2026-03-05")


async def test_a_foreign_subscription_and_one_of_the_other_environment_are_not_found(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        stranger = CustomerId(make.new_id())
        assert await service.find_subscription(tx, opened.id, scope=stranger) is None
        assert await service.find_subscription(tx, opened.id, scope=None, environment=Environment.LIVE) is None
        assert await service.find_subscription(tx, opened.id, scope=ada.id, environment=Environment.TEST) == opened
        with pytest.raises(SubscriptionNotFound):
            await service.lock_subscription(tx, opened.id, scope=stranger)
        with pytest.raises(SubscriptionNotFound):
            await service.lock_subscription(tx, opened.id, scope=None, environment=Environment.LIVE)


async def test_subscriptions_are_listed_and_loaded_within_their_scope(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        assert await service.list_subscriptions(tx, ada.id) == [opened]
        assert await service.subscriptions_of_customers(tx, [ada.id], scope=None) == {ada.id: [opened]}
        assert await service.subscriptions_by_id(tx, [opened.id], scope=None) == {opened.id: opened}
        assert await service.subscriptions_by_id(tx, [opened.id], scope=CustomerId(make.new_id())) == {}


async def test_only_what_can_still_bill_something_is_held(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        first = await examples.subscription(tx, ada, catalogue)
        [held] = await service.lock_unsettled(tx, ada.id)
        assert held == first
        ended = await service.end(tx, held, lifecycle.end(held, make.at("2026-02-10")), counted=())
        assert [each.id for each in await service.lock_unsettled(tx, ada.id)] == [first.id]
        await service.save(tx, ended, lifecycle.settle(ended))
        assert await service.lock_unsettled(tx, ada.id) == []


async def test_feedback_is_kept_sealed_for_its_own_row(db: Database) -> None:
    ada, catalogue = await _setting(db)
    async with db.transaction() as tx:
        before = await examples.subscription(tx, ada, catalogue)
        assert await service.read_feedback(tx, before) is None
        sealed = await service.seal_feedback(tx, before, " Ada says it is too dear ")
        after = lifecycle.cancel(before, make.at("2026-02-01"), at_period_end=True, feedback=sealed)
        saved = await service.save(tx, before, after)
        assert await service.read_feedback(tx, saved) == "Ada says it is too dear"
        stored = await tx.value(sa.text("SELECT cancel_feedback FROM subscription"))
        assert b"dear" not in stored
        assert "dear" not in repr(saved)
        with pytest.raises(InvalidTag):
            await service.read_feedback(tx, replace(saved, id=examples.value().id))


async def test_a_mirror_is_followed_switched_and_ended(db: Database) -> None:
    ada, catalogue = await _setting(db)
    basic, free = (catalogue.current_version("print", plan).id for plan in ("basic", "free"))
    february = Period(make.at("2026-02-01"), make.at("2026-03-01"))
    news = Mirrored(
        gateway_id="sub_1",
        plan_version_id=basic,
        status=Status.INCOMPLETE,
        interval=Interval.MONTH,
        currency="USD",
        anchor_at=february.start,
        fee_period=february,
        cancel_at=None,
        ended_at=None,
    )
    now = make.at("2026-02-10")
    async with db.transaction() as tx:
        product_id = catalogue.product("print").id
        opened = await service.open_mirror(tx, _CALL, now, customer=ada, product_id=product_id, news=news)
        assert await _stretches(tx, opened) == []
        active = await service.follow(tx, _CALL, now, opened, replace(news, status=Status.ACTIVE), counted=())
        assert await _stretches(tx, active) == [february]
        with pytest.raises(AlreadySubscribed):
            await examples.subscription(tx, ada, catalogue)
        other = replace(news, status=Status.ACTIVE, plan_version_id=free)
        moved = await service.follow(tx, _CALL, now, active, other, counted=())
        assert (moved.plan_version_id, moved.status) == (free, Status.ACTIVE)
        assert await _stretches(tx, moved) == [Period(february.start, now), Period(now, february.end)]
        assert await service.follow(tx, _CALL, now, moved, other, counted=()) == moved
        gone = replace(other, status=Status.CANCELED, ended_at=make.at("2026-02-12"))
        ended = await service.follow(tx, _CALL, now, moved, gone, counted=())
        assert (ended.status, ended.settles_at) == (Status.CANCELED, None)
        assert await _stretches(tx, moved) == [Period(february.start, now), Period(now, make.at("2026-02-12"))]
        found = await service.find_mirror(tx, ada.id, "sub_1")
        assert found is not None
        assert await service.follow(tx, _CALL, now, found, other, counted=()) == found


async def test_a_mirror_does_not_come_to_life_beside_another_subscription(db: Database) -> None:
    ada, catalogue = await _setting(db)
    february = Period(make.at("2026-02-01"), make.at("2026-03-01"))
    news = Mirrored(
        gateway_id="sub_1",
        plan_version_id=catalogue.current_version("print", "basic").id,
        status=Status.INCOMPLETE,
        interval=Interval.MONTH,
        currency="USD",
        anchor_at=february.start,
        fee_period=february,
        cancel_at=None,
        ended_at=None,
    )
    now, product_id = make.at("2026-02-10"), catalogue.product("print").id
    async with db.transaction() as tx:
        opened = await service.open_mirror(tx, _CALL, now, customer=ada, product_id=product_id, news=news)
        await examples.subscription(tx, ada, catalogue)
        with pytest.raises(AlreadySubscribed):
            await service.follow(tx, _CALL, now, opened, replace(news, status=Status.ACTIVE), counted=())
        assert await service.find_mirror(tx, ada.id, "sub_1") == opened


async def test_a_segment_that_a_switch_ended_becomes_final_with_its_period(db: Database) -> None:
    ada, catalogue = await _setting(db)
    free, at = catalogue.current_version("print", "free").id, make.at("2026-02-10")
    async with db.transaction() as tx:
        opened = await examples.subscription(tx, ada, catalogue)
        held = await service.lock_subscription(tx, opened.id, scope=None)
        after = await service.switch_version(tx, _CALL, held, free, at)
        assert await service.segments_ending_by(tx, after, make.at("2026-02-20")) == []
        ended = await service.segments_ending_by(tx, after, _FEBRUARY.end)
        assert [each.during.end for each in ended] == [at, _FEBRUARY.end]
