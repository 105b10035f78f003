"""Cancel and undo it, on real Postgres.

The plan costs 10.00 a month or 108.00 a year in advance, and 0.05 a page in arrears; drafts wait for an hour. A
subscription of 31 January 10:00 has boundaries on 28 February, 31 March and 30 April, at 10:00.
"""

import asyncio

import pytest
import sqlalchemy as sa

from domain.contracts import service as contracts
from domain.contracts.stepping.service import PeriodsStillClosing
from domain.invoices.invoice import State
from domain.kernel.call import Call, Environment, Forbidden, PrincipalKind
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.subscriptions import service as subscriptions
from domain.subscriptions.lifecycle import CancelReason, FeedbackMalformed
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.contracts.examples import Bill, Shop

_FEE = ("fee", 0, 1, 1_000)
_FIRST = Bill(State.OPEN, 1_000, [_FEE])


def _member(customer_id: CustomerId, *permissions: str, environment: Environment = Environment.TEST) -> Call:
    by = make.principal(
        *permissions, kind=PrincipalKind.MEMBER, role="owner", customer_id=customer_id, environment=environment
    )
    return make.call(by=by)


async def _cancel(shop: Shop, subscription: Subscription, *, at_period_end: bool = True) -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.cancel(tx, shop.call, subscription_id=subscription.id, at_period_end=at_period_end)


async def test_a_cancel_at_period_end_bills_the_last_usage_and_no_further_fee(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.print_pages(100, "2026-02-10")
    pending = await _cancel(shop, subscription)
    assert (pending.status, pending.cancel_at) == (Status.ACTIVE, make.at("2026-02-28T10:00"))
    await shop.move_and_close("2026-02-28T11:00", subscription)
    ended = await shop.again(subscription)
    assert (ended.status, ended.ended_at) == (Status.CANCELED, make.at("2026-02-28T10:00"))
    assert await shop.bills() == [_FIRST, Bill(State.OPEN, 500, [("usage", 0, 100, 500)])]
    assert [each.during for each in await shop.segments(subscription)] == [subscription.period]
    assert await shop.told() == [
        "subscription_started: Subscribed to Basic",
        "cancel_scheduled: Basic will end at 2026-02-28 10:00 UTC",
        "subscription_ended: Basic ended",
    ]
    # Nobody can use it any more, and the product is free again.
    assert (await shop.print_pages(1, "2026-02-28T10:00")) == "quarantined"
    await shop.subscribe()
    assert (await shop.print_pages(1, "2026-02-28T11:00")) == "counted"


async def test_a_yearly_subscription_that_is_canceled_runs_to_the_end_of_its_year(shop: Shop) -> None:
    subscription = await shop.subscribe(interval=Interval.YEAR)
    assert (await _cancel(shop, subscription)).cancel_at == make.at("2027-01-31T10:00")
    await shop.move_and_close("2026-02-28T11:00", subscription)
    assert (await shop.again(subscription)).status is Status.ACTIVE
    await shop.move_and_close("2027-01-31T11:00", subscription)
    assert (await shop.again(subscription)).status is Status.CANCELED
    fees = [line for bill in await shop.bills() for line in bill.lines if line[0] == "fee"]
    assert fees == [("fee", 0, 1, 10_800)]


async def test_a_cancel_now_cuts_the_segment_and_bills_what_was_used_at_once(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.move("2026-02-10T12:00")
    await shop.print_pages(100, "2026-02-10T11:00")
    ended = await _cancel(shop, subscription, at_period_end=False)
    now = make.at("2026-02-10T12:00")
    assert (ended.status, ended.ended_at) == (Status.CANCELED, now)
    [segment] = await shop.segments(subscription)
    assert (segment.during, segment.period, segment.final) == (
        Period(make.at("2026-01-31T10:00"), now),
        subscription.period,
        True,
    )
    assert await shop.bills() == [_FIRST, Bill(State.OPEN, 500, [("usage", 0, 100, 500)])]
    rows = await shop.rows()
    assert await _cancel(shop, subscription, at_period_end=False) == await shop.again(subscription)
    assert await _cancel(shop, subscription) == await shop.again(subscription)
    assert await shop.rows() == rows


async def test_what_was_reported_ahead_of_a_cancel_is_kept_and_billed_by_the_last_look(shop: Shop) -> None:
    subscription = await shop.subscribe()
    # Three minutes before the boundary a printer whose clock runs ahead reports a page of the next period.
    await shop.move("2026-02-28T09:57")
    assert (await shop.print_pages(20, "2026-02-28T10:01")) == "counted"
    await _cancel(shop, subscription, at_period_end=False)
    assert [each.during.start for each in await shop.segments(subscription)] == [
        make.at("2026-01-31T10:00"),
        make.at("2026-02-28T10:00"),
    ]
    await shop.move("2026-04-05T09:57")
    await shop.close(subscription)
    # 28 February + 36 days; 20 pages at 0.05.
    assert (await shop.bills())[-1] == Bill(State.OPEN, 100, [("usage", 0, 20, 100)])


async def test_what_arrives_after_the_end_is_billed_by_the_last_look(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.move("2026-02-10T12:00")
    await _cancel(shop, subscription, at_period_end=False)
    await shop.move("2026-03-01")
    assert (await shop.print_pages(20, "2026-02-09")) == "counted"
    # 10 February 12:00 + 36 days is 18 March 12:00.
    await shop.move("2026-03-18T11:59")
    async with shop.db.transaction() as tx:
        assert await contracts.find_due(tx, clock_id=shop.clock_id, now=make.at("2026-03-18T11:59")) == []
    await shop.move("2026-03-18T12:00")
    async with shop.db.transaction() as tx:
        due = await contracts.find_due(tx, clock_id=shop.clock_id, now=make.at("2026-03-18T12:00"))
    assert due == [(shop.customer.id, subscription.id)]
    await shop.close(subscription)
    last = (await shop.bills())[-1]
    assert (last.state, last.total_minor) == (State.OPEN, 100)
    bills = await shop.bills()
    await shop.close(subscription)
    assert await shop.bills() == bills
    async with shop.db.transaction() as tx:
        assert await contracts.find_due(tx, clock_id=shop.clock_id, now=make.at("2030-01-01")) == []


async def test_what_is_counted_beside_a_cancel_is_billed_once_whoever_comes_first(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.move("2026-02-10T12:00")
    printing = [shop.print_pages(20, "2026-02-10T11:00") for _ in range(20)]
    *counted, _ = await asyncio.gather(*printing, _cancel(shop, subscription, at_period_end=False))
    assert counted == ["counted"] * 20
    await shop.move("2026-03-18T12:00")
    await shop.close(subscription)
    bills = await shop.bills()
    # 20 events of 20 pages.
    assert sum(line[2] for bill in bills for line in bill.lines if line[0] == "usage") == 400
    assert sum(bill.total_minor for bill in bills) == 1_000 + 2_000


async def test_a_cancel_after_an_unclosed_boundary_closes_it_first(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.move("2026-03-10")
    pending = await _cancel(shop, subscription)
    # The renewal of 28 February came before the cancel: the fee of March is due.
    assert pending.cancel_at == make.at("2026-03-31T10:00")
    assert [(each.state, each.total_minor) for each in await shop.bills()] == [(State.OPEN, 1_000)] * 2


async def test_a_cancel_waits_until_the_past_periods_are_closed_and_writes_nothing_before(shop: Shop) -> None:
    subscription = await shop.subscribe("free")
    # 37 months later: one request catches up with 36.
    await shop.move("2029-03-01")
    rows = await shop.rows()
    with pytest.raises(PeriodsStillClosing):
        await _cancel(shop, subscription)
    assert await shop.rows() == rows


async def test_a_pending_cancel_can_be_undone_and_what_has_ended_can_not(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await _cancel(shop, subscription)
    for _ in range(2):
        async with shop.db.transaction() as tx:
            kept = await contracts.undo_cancel(tx, shop.call, subscription_id=subscription.id)
        assert (kept.cancel_at, kept.status) == (None, Status.ACTIVE)
    assert (await shop.told())[1:] == [
        "cancel_scheduled: Basic will end at 2026-02-28 10:00 UTC",
        "cancel_undone: Basic will renew",
    ]
    await _cancel(shop, subscription, at_period_end=False)
    rows = await shop.rows()
    with pytest.raises(TransitionRefused):
        async with shop.db.transaction() as tx:
            await contracts.undo_cancel(tx, shop.call, subscription_id=subscription.id)
    assert await shop.rows() == rows


async def test_a_foreign_subscription_is_not_found_and_nothing_is_written(shop: Shop) -> None:
    subscription = await shop.subscribe()
    before = await shop.rows()
    stranger = CustomerId(make.new_id())
    for call, refusal in (
        (_member(shop.customer.id, "subscription:read"), Forbidden),
        (_member(stranger, "subscription:write"), SubscriptionNotFound),
        (_member(shop.customer.id, "subscription:write", environment=Environment.LIVE), SubscriptionNotFound),
    ):
        with pytest.raises(refusal):
            async with shop.db.transaction() as tx:
                await contracts.cancel(tx, call, subscription_id=subscription.id)
        with pytest.raises(refusal):
            async with shop.db.transaction() as tx:
                await contracts.undo_cancel(tx, call, subscription_id=subscription.id)
    assert await shop.rows() == before
    assert await shop.again(subscription) == subscription


async def test_feedback_is_sealed_and_in_no_audit_entry_or_event(shop: Shop) -> None:
    subscription = await shop.subscribe()
    async with shop.db.transaction() as tx:
        pending = await contracts.cancel(
            tx,
            shop.call,
            subscription_id=subscription.id,
            reason=CancelReason.TOO_EXPENSIVE,
            feedback="Ada finds it too dear",
        )
        assert pending.cancel_reason == "too_expensive"
        assert await subscriptions.read_feedback(tx, pending) == "Ada finds it too dear"
        for table in ("audit_entry", "billing_event", "outbox_job"):
            found = await tx.value(sa.text(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%too dear%'"))  # noqa: S608 - literals
            assert found == 0
    with pytest.raises(FeedbackMalformed):
        async with shop.db.transaction() as tx:
            await contracts.cancel(tx, shop.call, subscription_id=subscription.id, feedback="x" * 2_001)
