"""Starts that lie ahead, on real Postgres. The clock stands at 31 January 2026, 10:00.

The plan costs 10.00 a month in advance; the second one of the product, free, nothing.
"""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.access.roles import permissions_of
from domain.contracts import service as contracts
from domain.contracts.previewing import service as previewing
from domain.contracts.scheduling import service
from domain.contracts.starting.wish import StartRefused, Wish
from domain.credits.coupon import CouponExpired, Duration
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.customers.service import CustomerNotFound
from domain.invoices import service as invoices
from domain.invoices.invoice import State
from domain.invoices.opening import service as opening
from domain.kernel.call import Call, Environment, Forbidden, Principal, PrincipalKind
from domain.kernel.ids import CustomerId, StartId
from domain.kernel.period import Period
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import AlreadySubscribed
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.upcoming import service as upcoming
from domain.subscriptions.upcoming.scheduled_start import (
    ScheduledStart,
    ScheduledStartNotFound,
    StartAlreadyScheduled,
    StartOver,
    StartState,
)
from tests import make
from tests.domain.contracts.examples import Bill, Shop
from tests.domain.subscriptions import examples
from tests.make import at

_MARCH = "2026-03-01"


def _of(shop: Shop, on: str = _MARCH, **wish: Any) -> dict[str, Any]:
    own = {"customer_id": shop.customer.id, "product_key": "print", "plan_key": "basic", "interval": Interval.MONTH}
    return {**own, "wish": Wish(starts_at=at(on), **wish)}


async def _schedule(shop: Shop, on: str = _MARCH, *, call: Call | None = None, **wish: Any) -> ScheduledStart:
    async with shop.db.transaction() as tx:
        return await service.schedule(tx, call or shop.call, **_of(shop, on, **wish))


async def _carry_out(shop: Shop, start: ScheduledStart) -> ScheduledStart | None:
    async with shop.db.transaction() as tx:
        return await service.carry_out(tx, shop.call, shop.customer.id, start.id)


async def _again(shop: Shop, start: ScheduledStart) -> ScheduledStart:
    async with shop.db.transaction() as tx:
        found = await upcoming.find(tx, start.id, scope=None)
    assert found is not None
    return found


async def _subscriptions(shop: Shop) -> list[Subscription]:
    async with shop.db.transaction() as tx:
        return list(await subscriptions.list_subscriptions(tx, shop.customer.id))


def _member(customer_id: CustomerId, *, role: str = "owner") -> Call:
    by = Principal(
        PrincipalKind.MEMBER, "m", role, permissions_of(PrincipalKind.MEMBER, role), Environment.TEST, customer_id
    )
    return make.call(by=by)


async def test_it_is_kept_and_starts_at_its_instant_once_as_its_preview_has_shown(shop: Shop) -> None:
    before = await shop.rows()
    async with shop.db.transaction() as tx:
        shown = await previewing.preview_subscribe(tx, shop.call, **_of(shop, bill_day=15))
    assert await shop.rows() == before
    start = await _schedule(shop, bill_day=15)
    assert (start.state, await shop.invoices(), await _subscriptions(shop)) == (StartState.SCHEDULED, [], [])
    assert await shop.jobs() == [("begin_subscription", "2026-03-01T00:00")]
    await shop.move("2026-02-28T23:59")
    assert await _carry_out(shop, start) is None

    await shop.move(_MARCH)
    ends = await asyncio.gather(*(_carry_out(shop, start) for _ in range(3)))
    assert sorted(each is None for each in ends) == [False, True, True]
    [new] = await _subscriptions(shop)
    over = await _again(shop, start)
    assert (over.state, over.subscription_id) == (StartState.STARTED, new.id)
    assert (new.started_at, new.anchor_at) == (at(_MARCH), at("2026-03-15"))
    # 1 to 15 March are 14 of the 28 days from 15 February: half of 10.00.
    assert await shop.bills() == [Bill(State.OPEN, 500, [("fee", 0, 1, 500)])]
    [invoice] = await shop.invoices()
    async with shop.db.transaction() as tx:
        lines = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=None))[invoice.id]
    assert [(each.identity, each.amount, each.period) for each in shown.lines] == [
        (replace(each.identity, subscription_id=shown.subscription.id), each.amount, each.period) for each in lines
    ]
    assert (shown.at, shown.subscription.period) == (at(_MARCH), new.period)
    assert [each.partition(":")[0] for each in await shop.told()] == ["subscription_started"]


async def test_what_is_carried_out_late_starts_at_its_instant_all_the_same(shop: Shop) -> None:
    start = await _schedule(shop)
    await shop.move("2026-03-03T12:00")
    await _carry_out(shop, start)
    [new] = await _subscriptions(shop)
    assert (new.started_at, new.period) == (at(_MARCH), Period(at(_MARCH), at("2026-04-01")))
    assert [each.total_minor for each in await shop.bills()] == [1000]


async def test_one_start_of_a_product_waits_and_can_be_changed_or_cancelled_before_it_comes(shop: Shop) -> None:
    start = await _schedule(shop)
    before = await shop.rows()
    with pytest.raises(StartAlreadyScheduled):
        await _schedule(shop, "2026-04-01")
    with pytest.raises(StartRefused):
        await _reschedule(shop, start, "2026-01-31T10:00")
    assert await shop.rows() == before
    moved = await _reschedule(shop, start, "2026-02-10", plan="free")
    assert moved == await _reschedule(shop, start, "2026-02-10", plan="free")
    assert (await shop.jobs())[0] == ("begin_subscription", "2026-02-10T00:00")
    for _ in range(2):
        async with shop.db.transaction() as tx:
            off = await service.call_off(tx, shop.call, start_id=start.id)
    assert off.state is StartState.CANCELED
    await shop.move(_MARCH)
    assert (await _carry_out(shop, start), await _subscriptions(shop)) == (None, [])
    with pytest.raises(StartOver):
        await _reschedule(shop, start, "2026-04-01")
    # Another one may be scheduled now.
    assert (await _schedule(shop, "2026-04-01")).state is StartState.SCHEDULED


async def _reschedule(shop: Shop, start: ScheduledStart, on: str, *, plan: str = "basic") -> ScheduledStart:
    async with shop.db.transaction() as tx:
        return await service.reschedule(
            tx,
            shop.call,
            start_id=start.id,
            plan_key=plan,
            interval=Interval.MONTH,
            currency="USD",
            wish=Wish(starts_at=at(on)),
        )


async def test_where_it_was_moved_the_job_of_the_instant_before_does_nothing(shop: Shop) -> None:
    start = await _schedule(shop, "2026-02-10")
    await _reschedule(shop, start, _MARCH)
    await shop.move("2026-02-10")
    assert await _carry_out(shop, start) is None
    assert (await _again(shop, start)).state is StartState.SCHEDULED


async def test_beside_a_live_subscription_it_is_refused_unless_that_is_set_to_end_by_then(shop: Shop) -> None:
    live = await shop.subscribe()
    before = await shop.rows()
    for refused in (_schedule(shop), _schedule(shop, "2026-02-28T10:00")):
        with pytest.raises(AlreadySubscribed):
            await refused
    assert await shop.rows() == before
    async with shop.db.transaction() as tx:
        await contracts.cancel(tx, shop.call, subscription_id=live.id)
    # It ends on 28 February, 10:00; the next one starts at that very instant, whichever job runs first.
    with pytest.raises(AlreadySubscribed):
        await _schedule(shop, "2026-02-28T09:59")
    start = await _schedule(shop, "2026-02-28T10:00")
    await shop.move("2026-02-28T10:00")
    await _carry_out(shop, start)
    new, old = await _subscriptions(shop)
    assert (old.status, old.ended_at, new.status, new.started_at) == (
        Status.CANCELED,
        at("2026-02-28T10:00"),
        Status.ACTIVE,
        at("2026-02-28T10:00"),
    )


async def test_who_has_subscribed_otherwise_meanwhile_keeps_that_and_the_start_is_refused(shop: Shop) -> None:
    start = await _schedule(shop)
    live = await shop.subscribe("free")
    await shop.move(_MARCH)
    before = len(await shop.invoices())
    over = await _carry_out(shop, start)
    assert over is not None
    assert (over.state, over.refusal) == (StartState.REFUSED, "already_subscribed")
    assert [each.id for each in await _subscriptions(shop)] == [live.id]
    # What the live one owed until then was closed on the way; of the start there is nothing.
    assert len(await shop.invoices()) - before in {0, 1}
    assert await shop.bills() == []
    assert await _carry_out(shop, start) is None


async def test_a_method_may_come_until_then_and_a_start_without_one_is_refused_if_the_trial_needs_it(
    shop: Shop,
) -> None:
    async with shop.db.transaction() as tx:
        await examples.publish(tx, start={"trial": {"days": 14, "needs_method": True}})
    start = await _schedule(shop)
    await shop.move(_MARCH)
    over = await _carry_out(shop, start)
    assert over is not None
    assert (over.state, over.refusal) == (StartState.REFUSED, "trial_needs_method")
    assert await _subscriptions(shop) == []


async def test_a_code_is_taken_up_at_its_start_and_has_to_hold_until_then(shop: Shop) -> None:
    offer = Offer(
        key="spring", name="Spring", duration=Duration.ONCE, percent_off=Decimal(20), redeem_by=at("2026-03-02")
    )
    async with shop.db.transaction() as tx:
        coupon = await coupons.create_coupon(tx, shop.call, offer)
        await coupons.create_code(tx, shop.call, coupon.id, "spring")
    before = await shop.rows()
    with pytest.raises(CouponExpired):
        await _schedule(shop, "2026-03-03", promotion_code="spring")
    assert await shop.rows() == before
    start = await _schedule(shop, promotion_code="spring")
    await shop.move(_MARCH)
    await _carry_out(shop, start)
    # A fifth of 10.00.
    assert [(each.discount.minor, each.total.minor) for each in await shop.invoices()] == [(200, 800)]


async def test_one_that_waits_for_its_first_payment_begins_to_wait_at_its_start(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await examples.publish(tx, start={"when_paid": True})
    first = await shop.subscribe()
    start = await _schedule(shop, "2026-02-01T00:00")
    # The payment of the first one is under way when the second is due: it is waited for.
    [invoice] = await shop.invoices()
    async with shop.db.transaction() as tx:
        await opening.hold_for_payment(tx, invoice)
    await shop.move("2026-02-01T00:00")
    assert await _carry_out(shop, start) == start
    assert ("begin_subscription", "2026-02-01T00:10") in await shop.jobs()
    async with shop.db.transaction() as tx:
        await opening.release_from_payment(tx, shop.call, customer_id=shop.customer.id, invoice_id=invoice.id)
    await _carry_out(shop, start)
    new, old = await _subscriptions(shop)
    assert (old.id, old.status, new.status) == (first.id, Status.CANCELED, Status.INCOMPLETE)
    assert new.expires_at == at("2026-02-01T23:00")


async def test_customers_schedule_what_they_may_subscribe_to_and_nothing_of_others(shop: Shop) -> None:
    own, stranger = _member(shop.customer.id), _member(CustomerId(make.new_id()))
    before = await shop.rows()
    for call, refusal in ((stranger, CustomerNotFound), (_member(shop.customer.id, role="viewer"), Forbidden)):
        with pytest.raises(refusal):
            await _schedule(shop, call=call)
    # A trial of one's own is staff's to give.
    with pytest.raises(Forbidden):
        await _schedule(shop, call=own, trial_days=60)
    assert await shop.rows() == before
    start = await _schedule(shop, call=own)
    for start_id, call in ((start.id, stranger), (StartId(make.new_id()), own)):
        with pytest.raises(ScheduledStartNotFound):
            async with shop.db.transaction() as tx:
                await service.call_off(tx, call, start_id=start_id)
    assert (await _again(shop, start)).state is StartState.SCHEDULED


async def test_a_start_lies_ahead_by_at_most_732_days(shop: Shop) -> None:
    before = await shop.rows()
    # 732 days after 31 January 2026, 10:00 are 2 February 2028, 10:00.
    with pytest.raises(StartRefused):
        await _schedule(shop, "2028-02-02T10:01")
    with pytest.raises(StartRefused):
        async with shop.db.transaction() as tx:
            await previewing.preview_subscribe(tx, shop.call, **_of(shop, "2028-02-02T10:01"))
    assert await shop.rows() == before
    assert (await _schedule(shop, "2028-02-02T10:00")).terms.starts_at == at("2028-02-02T10:00")


async def test_what_is_opened_before_is_not_on_the_preview(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await examples.publish_other(tx)
        other = await contracts.subscribe(
            tx,
            shop.call,
            customer_id=shop.customer.id,
            product_key="scan",
            plan_key="basic",
            interval=Interval.MONTH,
        )
    await shop.move("2026-02-28T10:30")
    async with shop.db.transaction() as tx:
        await contracts.close_period(tx, shop.call, shop.customer.id, other.id)
    # The draft of the renewal waits until 11:00.
    assert [each.state for each in await shop.invoices()] == [State.OPEN, State.DRAFT]
    totals = []
    for on in ("2026-02-28T10:45", "2026-02-28T11:00"):
        async with shop.db.transaction() as tx:
            shown = await previewing.preview_subscribe(tx, shop.call, **_of(shop, on))
        assert shown.invoice is not None
        totals.append(shown.invoice.total.minor)
    assert totals == [2000, 1000]
    assert [each.total_minor for each in await shop.bills()] == [1000, 1000]
