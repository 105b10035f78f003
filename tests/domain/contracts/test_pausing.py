"""Pausing and resuming, and starts on another day."""

import pytest

from domain.contracts import service as contracts
from domain.contracts.starting.wish import Wish
from domain.invoices.invoice import State
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status
from domain.subscriptions.transitions import TransitionRefused
from tests.domain.contracts.examples import Bill, Shop
from tests.make import at

_FEE = Bill(State.OPEN, 1000, [("fee", 0, 1, 1000)])


async def test_a_paused_subscription_is_neither_billed_nor_counted_and_resumes_with_a_full_period(shop: Shop) -> None:
    running = await shop.subscribe()
    await shop.print_pages(10, "2026-02-10T12:00")
    async with shop.db.transaction() as tx:
        asked = await contracts.pause(tx, shop.call, subscription_id=running.id)
        assert await contracts.pause(tx, shop.call, subscription_id=running.id) == asked
    assert (asked.status, asked.pause_at) == (Status.ACTIVE, at("2026-02-28T10:00"))

    # The fee of the month that was paid, then 10 pages at 0.05 on an invoice of their own: 50 cents.
    await shop.move_and_close("2026-02-28T12:00", running)
    assert (await shop.again(running)).status is Status.PAUSED
    assert await shop.bills() == [_FEE, Bill(State.OPEN, 50, [("usage", 0, 10, 50)])]
    await shop.move_and_close("2026-05-20T00:00", running)
    assert await shop.print_pages(5, "2026-05-20T00:00") == "quarantined"
    assert len(await shop.bills()) == 2

    async with shop.db.transaction() as tx:
        resumed = await contracts.resume(tx, shop.call, subscription_id=running.id)
    whole = Period(at("2026-05-20T00:00"), at("2026-06-20T00:00"))
    assert (resumed.status, resumed.period, resumed.fee_period) == (Status.ACTIVE, whole, whole)
    assert (await shop.bills())[2:] == [_FEE]
    assert await shop.print_pages(1, "2026-05-20T00:01") == "counted"
    assert [each.during for each in await shop.segments(running)] == [
        Period(at("2026-01-31T10:00"), at("2026-02-28T10:00")),
        whole,
    ]
    await shop.move_and_close("2026-06-20T02:00", running)
    # The next fee and one page.
    assert (await shop.bills())[3].total_minor == 1005
    rows = await shop.rows()
    async with shop.db.transaction() as tx:
        with pytest.raises(TransitionRefused):
            await contracts.resume(tx, shop.call, subscription_id=running.id)
    assert await shop.rows() == rows


async def test_a_pause_ends_by_itself_where_it_was_asked_to_and_can_be_taken_back_before(shop: Shop) -> None:
    running = await shop.subscribe()
    async with shop.db.transaction() as tx:
        await contracts.pause(tx, shop.call, subscription_id=running.id)
        kept = await contracts.undo_pause(tx, shop.call, subscription_id=running.id)
        assert (kept.pause_at, await contracts.undo_pause(tx, shop.call, subscription_id=running.id)) == (None, kept)
        await contracts.pause(tx, shop.call, subscription_id=running.id, resumes_at=at("2026-04-10"))
    # Late by weeks: the same invoices as in time.
    await shop.move("2026-05-11T00:00")
    await shop.close(running)
    resumed = await shop.again(running)
    assert (resumed.status, resumed.fee_period) == (Status.ACTIVE, Period(at("2026-05-10"), at("2026-06-10")))
    assert [bill.total_minor for bill in await shop.bills()] == [1000, 1000, 1000]


async def test_a_bill_day_makes_a_short_first_period_and_a_start_that_lies_back_owes_its_fees(shop: Shop) -> None:
    async def subscribe(wish: Wish) -> None:
        async with shop.db.transaction() as tx:
            made = await contracts.subscribe(
                tx,
                shop.call,
                customer_id=shop.customer.id,
                product_key="print",
                plan_key="basic",
                interval=Interval.MONTH,
                wish=wish,
            )
            await contracts.cancel(tx, shop.call, subscription_id=made.id, at_period_end=False)

    # 31 January 10:00 to 15 February 00:00 are 350 hours of the 744 from 15 January: 10.00 x 350/744 = 4.704.
    await subscribe(Wish(bill_day=15))
    assert await shop.bills() == [Bill(State.OPEN, 470, [("fee", 0, 1, 470)])]
    # From 30 November: fees of 30 November, 30 December and 30 January on one invoice.
    await subscribe(Wish(starts_at=at("2025-11-30T10:00")))
    assert (await shop.bills())[1] == Bill(State.OPEN, 3000, [("fee", 0, 1, 1000)] * 3)
    # The calendar's month: 31 January 10:00 to midnight are 14 hours of 744, 18.8 cents. Too little to be collected.
    await subscribe(Wish(calendar=True))
    assert [bill.total_minor for bill in await shop.bills()][2:] == [19]


async def test_an_end_at_a_date_comes_on_time_and_a_fee_period_that_begins_before_it_is_charged_up_to_it(
    shop: Shop,
) -> None:
    running = await shop.subscribe()
    async with shop.db.transaction() as tx:
        await contracts.cancel(tx, shop.call, subscription_id=running.id, at=at("2026-03-14T10:00"))
    await shop.move_and_close("2026-03-01T00:00", running)
    # 28 February to 14 March are 14 of the 31 days to 31 March: 10.00 x 14/31 = 4.516.
    assert [bill.total_minor for bill in await shop.bills()] == [1000, 452]
    await shop.move_and_close("2026-03-14T12:00", running)
    ended = await shop.again(running)
    assert (ended.status, ended.ended_at) == (Status.CANCELED, at("2026-03-14T10:00"))
    assert [bill.total_minor for bill in await shop.bills()] == [1000, 452]
