"""Bill days that move and zones that change, with what is billed for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from domain.contracts import service as contracts
from domain.contracts.changing.wish import Wish
from domain.contracts.previewing import service as previewing
from domain.contracts.previewing.service import Preview
from domain.contracts.replanning import service as replanning
from domain.customers import service as customers
from domain.customers.customer import ZoneUnknown
from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.invoice import State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.period import Period
from domain.ledger.account import Account
from domain.subscriptions.change import ChangeAt, ChangeWaits
from domain.subscriptions.grid import BillDay
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests.domain.contracts.changing.office import Office, amounts, open_office
from tests.make import at


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened


async def _move(office: Office, of: Subscription, **wish: Any) -> Subscription:
    async with office.db.transaction() as tx:
        return await contracts.move_bill_day(tx, office.call, subscription_id=of.id, wish=BillDay(**wish))


async def _preview(office: Office, of: Subscription, **wish: Any) -> Preview:
    before = await office.rows()
    async with office.db.transaction() as tx:
        shown = await previewing.preview_bill_day(tx, office.call, subscription_id=of.id, wish=BillDay(**wish))
    assert await office.rows() == before
    return shown


async def _last(office: Office) -> list[tuple[str, str, int]]:
    last = (await office.invoices())[-1]
    async with office.db.transaction() as tx:
        return amounts((await invoices.lines_by_invoice_ids(tx, [last.id], scope=None))[last.id])


async def _pay(office: Office) -> None:
    """Have every open invoice paid: what is taken back of an unpaid one would be a credit note of it."""
    for invoice in await office.invoices():
        if invoice.state is State.OPEN:
            await office.pay(invoice)


async def _fees(office: Office) -> list[Period]:
    async with office.db.transaction() as tx:
        found = await invoices.lines_by_invoice_ids(tx, [each.id for each in await office.invoices()], scope=None)
    lines = [line for each in found.values() for line in each if line.identity.kind == "fee"]
    return sorted(line.identity.period for line in lines)


async def _proved(office: Office, of: Subscription) -> None:
    """Prove that the books hold, that every line can be recomputed, and that closing again adds nothing."""
    await office.book()
    rows = await office.rows()
    await office.close(of)
    assert await office.rows() == rows
    for invoice in await office.invoices():
        if invoice.state is not State.DRAFT:
            async with office.db.transaction() as tx:
                found = await verify_invoice(tx, office.call, invoice.id)
            assert found.outcome is Outcome.EQUAL, found


async def test_a_period_that_is_paid_is_cut_where_the_new_bill_day_comes(office: Office) -> None:
    own = await office.start("large")
    await _pay(office)
    await office.move("2026-04-05")
    assert await office.use("pages", "2026-04-05", count=250) == "counted"
    shown = await _preview(office, own, day=16)
    asked = await _move(office, own, day=16)
    assert asked.moves_at == at("2026-04-16")
    await office.move_and_close("2026-04-16T02:00", own)
    # Half of 30.00 was not used. Half of the free 300 pages, 150, was: 100 more are one package.
    expected = [("usage", "", 100), ("proration", "credit", -1_500), ("fee", "", 3_000)]
    assert sorted(await _last(office)) == sorted(amounts(shown.lines)) == sorted(expected)
    moved = await office.again(own)
    assert (moved.period, moved.fee_period) == (Period(at("2026-04-16"), at("2026-05-16")),) * 2
    assert [each.during for each in await office.segments(own)] == [
        Period(at("2026-04-01"), at("2026-04-16")),
        Period(at("2026-04-16"), at("2026-05-16")),
    ]
    await _proved(office, own)


async def test_a_period_that_begins_before_the_new_bill_day_is_a_short_one(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-05")
    shown = await _preview(office, own, day=3)
    await _move(office, own, day=3)
    await office.move_and_close("2026-05-01T02:00", own)
    # Two days of May's 31, the cycle that was running: 30.00 x 2 / 31 = 1.9354...
    assert await _last(office) == amounts(shown.lines) == [("fee", "", 194)]
    short = await office.again(own)
    assert short.fee_period == Period(at("2026-05-01"), at("2026-05-03"))
    for act in (_move(office, own, day=9), _keep(office, own)):
        with pytest.raises(TransitionRefused):
            await act
    await office.move_and_close("2026-05-03T02:00", own)
    assert await _last(office) == [("fee", "", 3_000)]
    assert await _fees(office) == [
        Period(at("2026-04-01"), at("2026-05-01")),
        Period(at("2026-05-01"), at("2026-05-03")),
        Period(at("2026-05-03"), at("2026-06-03")),
    ]
    await _proved(office, own)


async def _keep(office: Office, of: Subscription) -> Subscription:
    async with office.db.transaction() as tx:
        return await contracts.keep_bill_day(tx, office.call, subscription_id=of.id)


async def test_moved_to_now_the_rest_is_taken_back_and_a_full_period_charged(office: Office) -> None:
    own = await office.start("large")
    await _pay(office)
    await office.move("2026-04-11T06:00")
    shown = await _preview(office, own, now=True)
    moved = await _move(office, own, now=True)
    # 19.75 of 30 days are left: 30.00 x 19.75 / 30 = 19.75.
    assert await _last(office) == amounts(shown.lines) == [("proration", "credit", -1_975), ("fee", "", 3_000)]
    assert moved.fee_period == Period(at("2026-04-11T06:00"), at("2026-05-11T06:00"))
    assert (await office.book())[Account.RECEIVABLE] == 1_025
    await _proved(office, own)


async def test_what_is_taken_back_of_an_unpaid_fee_lowers_its_invoice(office: Office) -> None:
    own = await office.start("large")
    await office.move("2026-04-16")
    shown = await _preview(office, own, now=True)
    await _move(office, own, now=True)
    assert await _last(office) == amounts(shown.lines) == [("fee", "", 3_000)]
    assert [each.amount_due.minor for each in await office.invoices()] == [1_500, 3_000]
    await _proved(office, own)


async def test_a_bill_day_is_kept_where_it_has_not_come(office: Office) -> None:
    own = await office.start()
    await _move(office, own, calendar=False, day=16)
    assert (await _keep(office, own)).moves_at is None
    rows = await office.rows()
    assert (await _keep(office, own)).moves_at is None
    assert await office.rows() == rows
    await office.move_and_close("2026-05-01T02:00", own)
    assert await _fees(office) == [
        Period(at("2026-04-01"), at("2026-05-01")),
        Period(at("2026-05-01"), at("2026-06-01")),
    ]


async def test_plans_and_quantities_change_while_a_bill_day_waits(office: Office) -> None:
    own = await office.start()
    await _pay(office)
    await _move(office, own, day=16)
    await office.move("2026-04-11")
    await office.change(own, quantity=3)
    await _pay(office)
    await office.change(own, plan_key="large")
    await _pay(office)
    scheduled = await office.change(own, quantity=1)
    # A downgrade waits for the end of what runs: the new bill day.
    assert scheduled.decision.charged_from == at("2026-04-16")
    await office.move_and_close("2026-04-16T02:00", own)
    # Small 10.00 for 10 of 30 days and large 3 x 30.00 for 5 of 30, then 30.00 for a month.
    totals = [each.total.minor for each in await office.invoices()]
    assert totals == [1_000, 1_333, 4_000, -4_500 + 3_000]
    assert (await office.again(own)).quantity == 1
    await _proved(office, own)


async def test_other_changes_of_the_grid_wait_for_the_bill_day(office: Office) -> None:
    own = await office.start()
    await _move(office, own, day=16)
    before = await office.rows()
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: office.change(own, interval=Interval.YEAR),
        lambda: _pause(office, own),
    ]
    for act in refused:
        with pytest.raises(TransitionRefused):
            await act()
    assert await office.rows() == before


async def _pause(office: Office, of: Subscription) -> None:
    async with office.db.transaction() as tx:
        await contracts.pause(tx, office.call, subscription_id=of.id)


async def test_a_bill_day_does_not_move_under_an_upgrade_that_waits_for_its_payment(office: Office) -> None:
    own = await office.start()
    async with office.db.transaction() as tx:
        wish = Wish(plan_key="large", pays_at_once=True)
        await replanning.change(tx, office.call, subscription_id=own.id, wish=wish)
    before = await office.rows()
    with pytest.raises(ChangeWaits):
        await _move(office, own, day=16)
    assert await office.rows() == before


async def test_a_cancel_at_the_end_of_what_is_paid_outlives_the_bill_day(office: Office) -> None:
    own = await office.start("large")
    await _pay(office)
    await _move(office, own, day=16)
    async with office.db.transaction() as tx:
        await contracts.cancel(tx, office.call, subscription_id=own.id)
    await office.move_and_close("2026-04-16T02:00", own)
    # 15 days were taken back, and 15 of the 30 days of the new period are charged: it ends on 1 May.
    assert await _last(office) == [("proration", "credit", -1_500), ("fee", "", 1_500)]
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.again(own)).ended_at == at("2026-05-01")
    await _proved(office, own)


async def _live_in(office: Office, zone: str) -> None:
    async with office.db.transaction() as tx:
        await customers.change_zone(tx, office.call, office.customer.id, zone)


async def test_a_zone_changes_at_a_boundary_and_periods_go_on_without_a_gap_over_clock_changes(db: Database) -> None:
    # Anchored at 31 January, 00:00 in Berlin; in spring New York changes its clocks three weeks before Berlin.
    async with open_office(db, on="2026-01-30T23:00", zone="Europe/Berlin") as office:
        own = await office.start("large")
        await office.move("2026-02-10")
        await _live_in(office, "America/New_York")
        await office.move_and_close("2026-02-28T12:00", own)
        # At the end of February the 31st would become the 27th for ever, so Berlin's calendar goes on.
        assert (await office.again(own)).zone == "Europe/Berlin"
        await office.move_and_close("2026-03-31T12:00", own)
        assert (await office.again(own)).zone == "America/New_York"
        assert await office.use("pages", "2026-03-31T12:00", count=1) == "counted"
        await office.move_and_close("2026-12-01T12:00", own)
        fees = await _fees(office)
        assert [f"{each.start:%m-%dT%H}" for each in fees] == [
            "01-30T23",  # Berlin, UTC+1
            "02-27T23",
            "03-30T22",  # the boundary of both: 00:00 in Berlin, 18:00 in New York, UTC-4
            "04-30T22",
            "05-30T22",
            "06-30T22",
            "07-30T22",
            "08-30T22",
            "09-30T22",
            "10-30T22",
            "11-30T23",  # UTC-5
        ]
        assert all(one.end == other.start for one, other in pairwise(fees))
        segments = await office.segments(own)
        assert [each.during for each in segments] == fees
        assert {each.zone for each in segments[2:]} == {"America/New_York"}
        # Eleven full fees: no hour is charged twice or given away.
        assert sum(each.total.minor for each in await office.invoices()) == 33_000
        await _proved(office, own)


async def test_a_zone_changes_with_a_yearly_fee_and_is_the_same_the_second_time(office: Office) -> None:
    own = await office.start(interval=Interval.YEAR)
    await _live_in(office, "Asia/Kolkata")
    rows = await office.rows()
    await _live_in(office, "Asia/Kolkata")
    for wrong in ("Europe/Atlantis", ""):
        with pytest.raises(ZoneUnknown):
            await _live_in(office, wrong)
    assert await office.rows() == rows
    await office.move_and_close("2026-05-01T02:00", own)
    assert (await office.again(own)).zone == "UTC"
    await office.move_and_close("2027-04-01T02:00", own)
    after = await office.again(own)
    # 00:00 UTC is 05:30 in Kolkata.
    assert (after.zone, after.period.start, after.anchor_at) == ("Asia/Kolkata", at("2027-04-01"), at("2027-04-01"))
    assert await office.use("pages", "2027-04-01T01:50", count=1) == "counted"
    async with office.db.transaction() as tx:
        connection = await tx.raw()
        hour = await connection.fetchval("SELECT max(hour_at) FROM hour_of_meter")
    # The hour of 07:20 there begins at 07:00, which is 01:30.
    assert hour == at("2027-04-01T01:30")


async def test_a_downgrade_at_the_boundary_meets_the_new_zone(office: Office) -> None:
    own = await office.start("large")
    await _live_in(office, "Europe/Berlin")
    await office.change(own, plan_key="small", interval=Interval.YEAR, at=ChangeAt.PERIOD_END)
    await office.move_and_close("2026-05-01T02:00", own)
    after = await office.again(own)
    assert (after.zone, after.interval) == ("Europe/Berlin", Interval.YEAR)
    # 1 May, 02:00 in Berlin, to the same a year later.
    assert after.fee_period == Period(at("2026-05-01"), at("2027-05-01"))
    assert await _last(office) == [("fee", "", 10_800)]
    await _proved(office, own)
