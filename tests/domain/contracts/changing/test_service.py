"""Changes of a subscription, on real Postgres.

Small costs 10.00 a month or 108.00 a year for each unit, large 30.00 or 324.00. On 16 April half of the month is left.
"""

import json
from decimal import Decimal
from typing import Any, cast

import pytest

from domain.contracts import service as contracts
from domain.contracts.changing.fitting import PlanTooSmall
from domain.contracts.replanning import service as replanning
from domain.credits.coupon import Duration
from domain.credits.coupons import service as coupons
from domain.credits.coupons.service import Offer
from domain.invoices import service as invoices
from domain.invoices.invoice import State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.errors import DomainError
from domain.kernel.money import Money
from domain.ledger.account import Account
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.plans.plan import PlanNotFound
from domain.subscriptions.change import (
    ChangeAt,
    ChangeState,
    ChangeWaits,
    Direction,
    NothingToChange,
    ProrationDateRefused,
    QuantityOutOfBounds,
)
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.contracts.changing.office import PRODUCT, Office
from tests.domain.contracts.examples import Bill

_SMALL, _LARGE = ("fee", 0, 1, 1_000), ("fee", 0, 1, 3_000)
_FIRST = Bill(State.OPEN, 1_000, [_SMALL])
_UPGRADE = [("proration", 0, -1, -500), ("proration", 0, 1, 1_500)]
_CHARGE = ("proration", 0, 1, 1_500)


async def _plan(office: Office, of: Subscription) -> str:
    now = await office.again(of)
    return office.catalogue.plan_of_version(now.plan_version_id).key


async def test_an_upgrade_takes_effect_now_and_its_net_is_invoiced_at_once(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    done = await office.change(own, plan_key="large")
    assert (done.decision.direction, done.change.state) == (Direction.UPGRADE, ChangeState.APPLIED)
    assert await _plan(office, own) == "large"
    # Half of 10.00 off the first invoice, which is not paid, and half of 30.00 for the rest.
    assert await office.bills() == [_FIRST, Bill(State.OPEN, 1_500, [_CHARGE])]
    assert [each.amount_due.minor for each in await office.invoices()] == [500, 1_500]
    [before, after] = await office.segments(own)
    assert (before.during.end, after.during.start, after.plan_version_id) == (
        make.at("2026-04-16"),
        make.at("2026-04-16"),
        done.change.target.plan_version_id,
    )
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.bills())[2:] == [Bill(State.OPEN, 3_000, [_LARGE])]
    assert (await office.told())[-1] == "subscription_changed: Changed to Large, by the month"


async def test_a_fee_that_is_not_invoiced_yet_is_taken_back_less_the_coupon_that_lowers_it(office: Office) -> None:
    own = await office.start()
    await office.pay_open()
    await office.move("2026-04-20")
    async with office.db.transaction() as tx:
        offer = Offer(key="half", name="Half", duration=Duration.FOREVER, percent_off=Decimal(50))
        coupon = await coupons.create_coupon(tx, office.call, offer)
        await coupons.apply_coupon(tx, office.call, office.customer.id, coupon.id)
    await office.move("2026-05-01T00:30")
    await office.close(own)
    assert [each.state for each in await office.invoices()] == [State.PAID, State.DRAFT]
    done = await office.change(own, plan_key="large")
    assert done.invoice is not None
    async with office.db.transaction() as tx:
        lines = (await invoices.lines_by_invoice_ids(tx, [done.invoice.id], scope=None))[done.invoice.id]
    # But for half an hour all of May is left: 9.99 of 10.00 go back and 29.98 of 30.00 are charged, each at half.
    assert sorted((each.amount.minor, each.discount.minor) for each in lines if each.amount.minor) == [
        (-999, -500),
        (1_000, 500),
        (2_998, 1_499),
    ]
    assert done.invoice.total.minor == 1_500


async def test_a_downgrade_waits_for_the_periods_end_and_a_later_one_replaces_it(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-16")
    first = await office.change(own, plan_key="small")
    assert (first.decision.direction, first.change.state) == (Direction.DOWNGRADE, ChangeState.SCHEDULED)
    assert first.change.effective_at == make.at("2026-05-01")
    second = await office.change(own, plan_key="small", quantity=2)
    assert second.change.state is ChangeState.SCHEDULED
    assert len(await office.bills()) == 1
    await office.move_and_close("2026-05-01T02:00", own)
    now = await office.again(own)
    assert (await _plan(office, own), now.quantity) == ("small", 2)
    assert (await office.bills())[1:] == [Bill(State.OPEN, 2_000, [("fee", 0, 2, 2_000)])]
    rows = await office.rows()
    await office.close(own)
    assert await office.rows() == rows


async def test_a_scheduled_change_can_be_taken_back_also_twice(office: Office) -> None:
    own = await office.start("large")
    await office.change(own, plan_key="small")
    for _ in range(2):
        async with office.db.transaction() as tx:
            await replanning.cancel_scheduled(tx, office.call, subscription_id=own.id)
    await office.move_and_close("2026-05-01T02:00", own)
    assert await _plan(office, own) == "large"
    assert "change_canceled: Large will not change to Small, by the month" in await office.told()


async def test_a_downgrade_now_gives_customer_credit_that_the_next_invoice_uses(office: Office) -> None:
    own = await office.start("large")
    [first] = await office.invoices()
    await office.pay(first)
    await office.move("2026-04-16")
    done = await office.change(own, plan_key="small", at=ChangeAt.NOW)
    # 15.00 back and 5.00 for the rest: 10.00 are the customer's.
    assert (done.invoice and done.invoice.total.minor) == -1_000
    assert (await office.book())[Account.CUSTOMER_CREDIT] == -1_000
    await office.move_and_close("2026-05-01T02:00", own)
    last = (await office.invoices())[-1]
    assert (last.total.minor, last.amount_due.minor, last.state) == (1_000, 0, State.PAID)
    assert (await office.book())[Account.CUSTOMER_CREDIT] == 0


async def test_a_change_of_quantity_is_one_line_for_the_difference(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    done = await office.change(own, quantity=4)
    assert done.decision.direction is Direction.UPGRADE
    assert (await office.bills())[1:] == [Bill(State.OPEN, 1_500, [("proration", 0, 3, 1_500)])]
    assert (await office.again(own)).quantity == 4
    assert len(await office.segments(own)) == 1
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.bills())[2:] == [Bill(State.OPEN, 4_000, [("fee", 0, 4, 4_000)])]


async def test_another_interval_starts_new_periods_at_the_change(office: Office) -> None:
    own = await office.start()
    assert await office.use("pages", "2026-04-01", count=450) == "counted"
    await office.move("2026-04-16")
    await office.change(own, interval=Interval.YEAR)
    now = await office.again(own)
    assert (now.period.start, now.period.end) == (make.at("2026-04-16"), make.at("2026-05-16"))
    assert now.fee_period.end == make.at("2027-04-16")
    # The year whole, and 5.00 off what is not paid. Of 450 pages in half a month 150 are free: 300 are three packages.
    assert (await office.bills())[1:] == [Bill(State.OPEN, 11_100, [("fee", 0, 1, 10_800), ("usage", 0, 450, 300)])]
    assert (await office.invoices())[0].amount_due.minor == 500
    first, second = await office.segments(own)
    assert (first.during.end, second.during) == (make.at("2026-04-16"), now.period)
    assert (first.final, second.period) == (True, now.period)
    await office.move_and_close("2026-05-16T02:00", own)
    assert len(await office.bills()) == 2
    assert (await office.again(own)).fee_period.end == make.at("2027-04-16")


async def test_an_upgrade_with_a_method_that_answers_takes_effect_when_it_is_paid(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    done = await office.change(own, plan_key="large", pays_at_once=True)
    assert done.invoice is not None
    assert (done.change.state, done.change.expires_at) == (ChangeState.PENDING, make.at("2026-04-16T23:00"))
    assert await _plan(office, own) == "small"
    assert ("lapse_change", "2026-04-16T23:00") in await office.jobs()
    with pytest.raises(ChangeWaits):
        await office.change(own, quantity=2)
    # A failed try leaves it waiting, and is no debt of the subscription.
    await office.follow(done.invoice, succeeded=False)
    assert (await office.again(own)).failed_invoice_ids == ()
    await office.move("2026-04-16T02:00")
    await office.pay(done.invoice)
    assert await _plan(office, own) == "large"
    assert [each.during.end for each in await office.segments(own)] == [
        make.at("2026-04-16T02:00"),
        make.at("2026-05-01"),
    ]
    await office.follow(done.invoice, succeeded=True)
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.bills())[1:] == [Bill(State.PAID, 1_000, _UPGRADE), Bill(State.OPEN, 3_000, [_LARGE])]


async def test_an_upgrade_that_is_not_paid_lapses_and_nothing_of_it_is_owed(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    done = await office.change(own, plan_key="large", pays_at_once=True)
    await office.move("2026-04-16T23:00")
    for _ in range(2):
        async with office.db.transaction() as tx:
            await replanning.lapse(tx, office.call, office.customer.id, done.change.id)
    assert await _plan(office, own) == "small"
    assert [bill.state for bill in await office.bills()] == [State.OPEN, State.VOID]
    assert (await office.book())[Account.RECEIVABLE] == 1_000
    assert (await office.told())[-1] == "change_lapsed: Small did not change to Large, by the month: it was not paid"
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.bills())[2:] == [Bill(State.OPEN, 1_000, [_SMALL])]
    # Then it can be asked for again.
    assert (await office.change(own, plan_key="large")).change.state is ChangeState.APPLIED


async def test_a_fixed_amount_off_is_taken_of_an_upgrade_for_its_share_of_the_period(office: Office) -> None:
    own = await office.start()
    await office.pay_open()
    await office.move("2026-04-10")
    offer = Offer(key="ten", name="Ten", duration=Duration.FOREVER, amount_off=Money(1_000, "USD"))
    async with office.db.transaction() as tx:
        coupon = await coupons.create_coupon(tx, office.call, offer)
        await coupons.apply_coupon(tx, office.call, office.customer.id, coupon.id)
    await office.move("2026-04-16")
    done = await office.change(own, plan_key="large")
    # Half of 10.00 back, and half of 30.00 less 10.00.
    assert done.invoice is not None
    assert (done.invoice.discount.minor, done.invoice.total.minor) == (500, 500)
    async with office.db.transaction() as tx:
        assert (await verify_invoice(tx, office.call, done.invoice.id)).outcome is Outcome.EQUAL


async def test_a_plan_that_does_not_hold_what_there_is_is_refused_and_at_the_periods_end_checked_again(
    office: Office,
) -> None:
    own = await office.start("large")
    assert await office.use("modules", "2026-04-01", delta=3) == "counted"
    before = await office.rows()
    with pytest.raises(PlanTooSmall) as refusal:
        await office.change(own, plan_key="small", at=ChangeAt.NOW)
    assert refusal.value.violations == "modules 3 of 2"
    assert await office.rows() == before
    done = await office.change(own, plan_key="small")
    [violation] = done.decision.violations
    assert (violation.key, int(violation.used), violation.limit) == ("modules", 3, Decimal(2))
    await office.move_and_close("2026-05-01T02:00", own)
    assert await _plan(office, own) == "large"
    assert "change_refused: Large renews: Small, by the month does not hold modules 3 of 2" in await office.told()
    # With one module less the next try succeeds.
    await office.change(own, plan_key="small")
    assert await office.use("modules", "2026-05-01T02:00", delta=-1) == "counted"
    await office.move_and_close("2026-06-01T02:00", own)
    assert await _plan(office, own) == "small"


async def test_several_switches_at_one_instant_leave_what_the_last_one_comes_to(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    await office.change(own, plan_key="large")
    await office.change(own, plan_key="small", at=ChangeAt.NOW)
    # 10.00 less 5.00, 15.00 less all of it, and the 5.00 that are due again.
    assert [each.amount_due.minor for each in await office.invoices()] == [500, 0, 500]
    assert (await office.book())[Account.RECEIVABLE] == 1_000
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.bills())[-1].lines == [_SMALL]


@pytest.mark.parametrize(
    ("refusal", "wish"),
    [
        (NothingToChange, {}),
        (NothingToChange, {"plan_key": "small", "quantity": 1}),
        (PlanNotFound, {"plan_key": "gold"}),
        (QuantityOutOfBounds, {"quantity": 0}),
        (QuantityOutOfBounds, {"quantity": 1_000_001}),
        (ProrationDateRefused, {"quantity": 2, "prorate_at": make.at("2026-04-15T23:44")}),
        (ProrationDateRefused, {"quantity": 2, "prorate_at": make.at("2026-04-16T00:00:01")}),
    ],
)
async def test_what_cannot_be_changed_is_refused_and_nothing_is_written(
    office: Office, refusal: type[DomainError], wish: dict[str, object]
) -> None:
    own = await office.start()
    await office.move("2026-04-16")
    before = await office.rows()
    with pytest.raises(refusal):
        await office.change(own, **wish)
    assert await office.rows() == before


async def test_what_is_going_to_end_cannot_be_changed(office: Office) -> None:
    own = await office.start()
    async with office.db.transaction() as tx:
        await contracts.cancel(tx, office.call, subscription_id=own.id)
    with pytest.raises(TransitionRefused):
        await office.change(own, quantity=2)


async def test_usage_that_a_fast_clock_reported_ahead_stays_counted_on_the_new_grid(office: Office) -> None:
    own = await office.start()
    await office.move("2026-04-30T23:58")
    assert await office.use("pages", "2026-05-01T00:01", count=450) == "counted"
    await office.change(own, interval=Interval.YEAR)
    first, second = await office.segments(own)
    assert (first.during.end, second.during.start) == (make.at("2026-04-30T23:58"), make.at("2026-04-30T23:58"))
    assert second.during.end == make.at("2026-05-30T23:58")
    await office.move_and_close("2026-05-31T02:00", own)
    # 150 pages above the 300 free ones are two packages.
    assert (await office.bills())[-1].lines == [("usage", 0, 450, 200)]


async def test_a_change_of_interval_at_the_periods_end_starts_the_other_grid_there(office: Office) -> None:
    own = await office.start()
    done = await office.change(own, interval=Interval.YEAR, at=ChangeAt.PERIOD_END)
    assert done.change.state is ChangeState.SCHEDULED
    await office.move_and_close("2026-05-01T02:00", own)
    now = await office.again(own)
    assert (now.interval, now.anchor_at, now.fee_period.end) == (
        Interval.YEAR,
        make.at("2026-05-01"),
        make.at("2027-05-01"),
    )
    assert (await office.bills())[1:] == [Bill(State.OPEN, 10_800, [("fee", 0, 1, 10_800)])]


async def test_a_subscription_moves_to_the_newest_version_of_its_own_plan_only_where_that_is_asked_for(
    office: Office,
) -> None:
    own = await office.start()
    await office.pay_open()
    [small, large] = cast("list[dict[str, Any]]", PRODUCT["plans"])
    dearer = {**small["prices"][0], "definition": {"unit_amount": "14.00"}}
    async with office.db.transaction() as tx:
        plans_now = [{**small, "prices": [dearer, *small["prices"][1:]]}, large]
        await plans.publish(tx, office.call, read_product(json.dumps({**PRODUCT, "plans": plans_now}).encode()))
    await office.move("2026-04-16")
    with pytest.raises(NothingToChange):
        await office.change(own, plan_key="small")
    # At the end of what is paid, unless told: it is no upgrade.
    scheduled = await office.change(own, newest_version=True)
    assert (scheduled.change.state, scheduled.change.effective_at) == (ChangeState.SCHEDULED, make.at("2026-05-01"))
    done = await office.change(own, newest_version=True, at=ChangeAt.NOW)
    assert done.change.target.plan_version_id != own.plan_version_id
    # Half of 10.00 back and half of 14.00 for the rest.
    assert (done.invoice and done.invoice.total.minor) == 200
    with pytest.raises(NothingToChange):
        await office.change(own, newest_version=True)
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.invoices())[-1].total.minor == 1_400
