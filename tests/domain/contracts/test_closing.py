"""Close periods and finalise drafts, on real Postgres.

The plan costs 10.00 a month or 108.00 a year in advance, and 0.05 a page in arrears; drafts wait for an hour. A
subscription of 31 January 10:00 has boundaries on 28 February, 31 March and 30 April, at 10:00.
"""

import asyncio

import sqlalchemy as sa

from domain.contracts import service as contracts
from domain.invoices.invoice import State
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.domain.contracts.examples import Bill, Shop
from tests.domain.subscriptions import examples

_FEE = ("fee", 0, 1, 1_000)
_FIRST = Bill(State.OPEN, 1_000, [_FEE])


async def _cancel(shop: Shop, subscription: Subscription, *, at_period_end: bool = True) -> Subscription:
    async with shop.db.transaction() as tx:
        return await contracts.cancel(tx, shop.call, subscription_id=subscription.id, at_period_end=at_period_end)


async def test_a_closed_period_is_drafted_and_opened_after_its_grace_with_what_arrived_meanwhile(shop: Shop) -> None:
    subscription = await shop.subscribe()
    assert (await shop.print_pages(100, "2026-02-10")) == "counted"
    await shop.move("2026-02-28T10:00")
    assert not await shop.close(subscription)
    # Fee of March 10.00, 100 pages at 0.05.
    assert await shop.bills() == [_FIRST, Bill(State.DRAFT, 1_500, [_FEE, ("usage", 0, 100, 500)])]
    assert ("finalise_invoice", "2026-02-28T11:00") in await shop.jobs()
    assert [each.final for each in await shop.segments(subscription)] == [False, False]
    assert (await shop.again(subscription)).period.start == make.at("2026-02-28T10:00")

    await shop.move("2026-02-28T11:00")
    assert (await shop.print_pages(20, "2026-02-28T09:59")) == "counted"
    [_, draft] = await shop.invoices()
    await shop.finalise(draft.id)
    # 120 pages at 0.05.
    assert await shop.bills() == [_FIRST, Bill(State.OPEN, 1_600, [_FEE, ("usage", 0, 120, 600)])]
    assert [each.final for each in await shop.segments(subscription)] == [True, False]
    [_, invoice] = await shop.invoices()
    assert (invoice.number, invoice.issued_at) == ("TEST-2026-000002", make.at("2026-02-28T11:00"))


async def test_closing_and_finalising_again_add_nothing(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.print_pages(100, "2026-02-10")
    await shop.move("2026-02-28T10:30")
    await shop.close(subscription)
    once = await shop.rows()
    await shop.close(subscription)
    assert await shop.rows() == once
    [_, draft] = await shop.invoices()
    await shop.move("2026-02-28T11:00")
    await shop.finalise(draft.id)
    bills, rows = await shop.bills(), await shop.rows()
    assert await shop.finalise(draft.id) is None
    await shop.close(subscription)
    assert (await shop.bills(), await shop.rows()) == (bills, rows)


async def test_concurrent_closes_and_finalises_make_one_invoice(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.print_pages(100, "2026-02-10")
    await shop.move("2026-02-28T11:00")
    await asyncio.gather(*(shop.close(subscription) for _ in range(4)))
    [_, draft] = await shop.invoices()
    await asyncio.gather(*(shop.finalise(draft.id) for _ in range(4)), *(shop.close(subscription) for _ in range(4)))
    assert await shop.bills() == [_FIRST, Bill(State.OPEN, 1_500, [_FEE, ("usage", 0, 100, 500)])]


async def test_what_arrives_after_a_period_is_final_is_a_difference_on_the_next_invoice(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.print_pages(100, "2026-02-10")
    await shop.move_and_close("2026-02-28T11:00", subscription)
    await shop.print_pages(20, "2026-02-11")
    await shop.move_and_close("2026-03-31T11:00", subscription)
    # March: fee of April 10.00, no page of its own; February: 20 more pages at 0.05.
    last = (await shop.bills())[-1]
    assert (last.state, last.total_minor) == (State.OPEN, 1_100)
    assert ("usage", 1, 20, 100) in last.lines


async def test_catching_up_months_late_makes_the_same_invoices_as_being_in_time(shop: Shop) -> None:
    subscription = await shop.subscribe()
    await shop.print_pages(100, "2026-02-10")
    await shop.print_pages(40, "2026-03-09")
    await shop.move("2026-04-30T10:30")
    assert not await shop.close(subscription)
    bills = await shop.bills()
    # February 100 pages, March 40, April none and its hour of grace not over.
    assert [(each.state, each.total_minor) for each in bills] == [
        (State.OPEN, 1_000),
        (State.OPEN, 1_500),
        (State.OPEN, 1_200),
        (State.DRAFT, 1_000),
    ]
    assert [each.number for each in await shop.invoices()] == [
        "TEST-2026-000001",
        "TEST-2026-000002",
        "TEST-2026-000003",
        None,
    ]
    assert [each.final for each in await shop.segments(subscription)] == [True, True, False, False]


async def test_no_more_than_36_boundaries_are_closed_at_once_and_the_rest_is_due_still(shop: Shop) -> None:
    subscription = await shop.subscribe("free")
    await shop.move("2029-03-01")
    assert await shop.close(subscription)
    # 31 January 2026 + 36 months.
    assert (await shop.again(subscription)).period.start == make.at("2029-01-31T10:00")
    async with shop.db.transaction() as tx:
        due = await contracts.find_due(tx, clock_id=shop.clock_id, now=make.at("2029-03-01"))
    assert due == [(shop.customer.id, subscription.id)]
    assert not await shop.close(subscription)


async def test_the_usage_of_a_yearly_subscription_is_billed_each_month_and_its_fee_after_a_year(shop: Shop) -> None:
    subscription = await shop.subscribe(interval=Interval.YEAR)
    for used, closed in (("2026-02-27", "2026-02-28T11:00"), ("2026-03-28", "2026-03-31T11:00")):
        await shop.print_pages(100, used)
        await shop.move_and_close(closed, subscription)
    totals = [(each.total_minor, each.lines) for each in await shop.bills()]
    assert totals == [
        (10_800, [("fee", 0, 1, 10_800)]),
        (500, [("usage", 0, 100, 500)]),
        (500, [("usage", 0, 100, 500)]),
    ]
    await shop.move_and_close("2027-01-31T11:00", subscription)
    assert ("fee", 0, 1, 10_800) in (await shop.bills())[-1].lines
    assert (await shop.again(subscription)).fee_period.end == make.at("2028-01-31T10:00")


async def test_an_amount_below_the_gateways_minimum_waits_for_the_next_boundary(shop: Shop) -> None:
    subscription = await shop.subscribe(interval=Interval.YEAR)
    await shop.print_pages(3, "2026-02-10")
    await shop.move_and_close("2026-02-28T11:00", subscription)
    # 3 pages are 0.15, below 0.50.
    assert (await shop.bills())[-1] == Bill(State.DRAFT, 15, [("usage", 0, 3, 15)])
    await shop.print_pages(10, "2026-03-01")
    await shop.move("2026-03-31T10:00")
    await shop.close(subscription)
    assert ("finalise_invoice", "2026-03-31T11:00") in await shop.jobs()
    await shop.move_and_close("2026-03-31T11:00", subscription)
    last = (await shop.bills())[-1]
    # 0.15 and 10 pages at 0.05.
    assert (last.state, last.total_minor) == (State.OPEN, 65)


async def test_a_new_version_that_moves_subscriptions_is_taken_at_the_renewal(shop: Shop) -> None:
    subscription = await shop.subscribe()
    async with shop.db.transaction() as tx:
        catalogue = await examples.publish(tx, month="12.00", existing="move_at_renewal")
    await shop.move_and_close("2026-02-28T11:00", subscription)
    newest = catalogue.current_version("print", "basic")
    assert (await shop.again(subscription)).plan_version_id == newest.id
    assert [each.plan_version_id for each in await shop.segments(subscription)] == [
        subscription.plan_version_id,
        newest.id,
    ]
    assert ("fee", 0, 1, 1_200) in (await shop.bills())[-1].lines


async def test_a_new_version_that_is_not_sold_by_the_year_is_not_taken_by_a_yearly_subscription(shop: Shop) -> None:
    subscription = await shop.subscribe(interval=Interval.YEAR)
    async with shop.db.transaction() as tx:
        await examples.publish(tx, year=None, existing="move_at_renewal")
    await shop.move_and_close("2027-01-31T11:00", subscription)
    renewed = await shop.again(subscription)
    assert renewed.fee_period.start == make.at("2027-01-31T10:00")
    assert renewed.plan_version_id == subscription.plan_version_id


async def test_a_new_version_that_leaves_subscriptions_alone_is_not_taken(shop: Shop) -> None:
    subscription = await shop.subscribe()
    async with shop.db.transaction() as tx:
        await examples.publish(tx, month="12.00")
    await shop.move_and_close("2026-02-28T11:00", subscription)
    assert (await shop.again(subscription)).plan_version_id == subscription.plan_version_id
    assert _FEE in (await shop.bills())[-1].lines


async def test_a_clock_is_told_the_next_instant_at_which_something_is_due(shop: Shop) -> None:
    async def due() -> str | None:
        async with shop.db.transaction() as tx:
            # What an opened invoice stages is due at once, and done long before.
            await tx.execute(
                sa.text("DELETE FROM outbox_job WHERE kind IN ('collect_invoice', 'send_notice', 'render_invoice')")
            )
            found = await contracts.next_due_at(tx, shop.clock_id)
            return found.isoformat() if found else None

    assert await due() is None
    subscription = await shop.subscribe()
    assert await due() == "2026-02-28T10:00:00+00:00"
    await shop.move("2026-02-28T10:00")
    await shop.close(subscription)
    assert await due() == "2026-02-28T11:00:00+00:00"


async def test_two_subscriptions_of_a_customer_keep_their_own_boundaries(shop: Shop) -> None:
    subscription = await shop.subscribe()
    async with shop.db.transaction() as tx:
        await examples.publish_other(tx)
    await shop.move("2026-02-28T10:00")
    await shop.close(subscription)
    await shop.move("2026-02-28T10:30")
    async with shop.db.transaction() as tx:
        other = await contracts.subscribe(
            tx,
            shop.call,
            customer_id=shop.customer.id,
            product_key="scan",
            plan_key="basic",
            interval=Interval.MONTH,
        )
    # There is one draft a currency: the first fee of the second one takes the waiting draft with it.
    assert await shop.bills() == [_FIRST, Bill(State.OPEN, 2_000, [_FEE, _FEE])]
    assert [each.final for each in await shop.segments(subscription)] == [True, False]
    assert other.period.end == make.at("2026-03-28T10:30")
