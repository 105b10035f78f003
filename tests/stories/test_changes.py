"""Plans, quantities and intervals change in the middle of things, and every minor unit is accounted for."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.contracts.changing.wish import Wish
from domain.contracts.replanning import service as replanning
from domain.db import Database
from domain.invoices.invoice import State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.ledger.account import Account
from domain.payments.methods import service as methods
from domain.subscriptions.change import ChangeAt
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription
from tests.domain.contracts.changing.office import Office, amounts, open_office
from tests.world import World


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    """Open an office whose clock stands at 1 April 2026, 00:00."""
    async with open_office(db, on="2026-04-01") as opened:
        yield opened


async def change(world: World, of: Subscription, **wish: Any) -> None:
    """Change a subscription as the API does, and carry out what that staged."""
    async with world.runtime.db.transaction() as tx:
        at_once = await methods.answers_at_once(tx, of.customer_id)
        await replanning.change(tx, world.call, subscription_id=of.id, wish=Wish(pays_at_once=at_once, **wish))
    await world.drain()


async def plan_of(world: World, of: Subscription) -> str:
    """Return the plan that a subscription is on."""
    now = await world.subscription(of)
    return (await world.runtime.catalogue()).plan_of_version(now.plan_version_id).key


async def test_an_upgrade_is_paid_by_card_and_then_in_effect(world: World) -> None:
    ada = await world.customer(on="2026-04-01")
    own = await world.subscribe(ada, "basic")
    await world.advance(to="2026-04-16")
    await change(world, own, plan_key="pro")
    assert await plan_of(world, own) == "pro"
    last = (await world.invoices(ada))[-1]
    # Half of 29.00 back and half of 79.00 for the rest.
    assert (last.state, amounts(await world.lines(last))) == (
        State.PAID,
        [("proration", "credit", -1_450), ("proration", "charge", 3_950)],
    )


async def test_an_upgrade_whose_card_is_declined_lapses_and_the_customer_stays_in_good_standing(world: World) -> None:
    ada = await world.customer(on="2026-04-01", card="pm_card_chargeDeclined")
    own = await world.subscribe(ada, "free")
    await world.advance(to="2026-04-16")
    await change(world, own, plan_key="basic")
    # The card was declined at once; the upgrade waits for another one.
    assert [each.state for each in await world.invoices(ada)] == [State.PAID, State.OPEN]
    await world.advance(to="2026-04-16T22:59")
    assert (await plan_of(world, own), (await world.invoices(ada))[-1].state) == ("free", State.OPEN)
    await world.advance(to="2026-04-18")
    assert (await plan_of(world, own), (await world.invoices(ada))[-1].state) == ("free", State.VOID)
    assert (await world.subscription(own)).status is Status.ACTIVE
    await world.advance(to="2026-05-02")
    assert {each.amount_due.minor for each in await world.invoices(ada)} == {0}


async def test_an_upgrade_in_the_night_of_a_clock_change_counts_true_hours(db: Database) -> None:
    # March in Vienna has 743 hours: on the 29th, 02:00 is followed by 03:00. At 03:30, 68.5 of them are left.
    async with open_office(db, on="2026-02-28T23:00", zone="Europe/Vienna") as office:
        own = await office.start()
        await office.move("2026-03-29T01:30")
        done = await office.change(own, plan_key="large")
        assert done.invoice is not None
        # 10.00 x 68.5 / 743 = 0.9219... off the unpaid fee, and 30.00 x 68.5 / 743 = 2.7658...
        assert [note.offset_minor for note in done.notes] == [92]
        assert (await office.bills())[1].lines == [("proration", 0, 1, 277)]
        await office.move_and_close("2026-03-31T23:30", own)
        assert (await office.again(own)).period.start.isoformat() == "2026-03-31T22:00:00+00:00"


async def test_changes_in_the_hour_that_comes_twice_are_an_hour_apart(db: Database) -> None:
    # October in Vienna has 745 hours; on the 25th, 02:30 comes at 00:30 and again at 01:30 UTC.
    async with open_office(db, on="2026-09-30T22:00", zone="Europe/Vienna") as office:
        own = await office.start()
        await office.move("2026-10-25T00:30")
        await office.change(own, quantity=746)
        await office.move("2026-10-25T01:30")
        done = await office.change(own, quantity=1, at=ChangeAt.NOW)
        [_, up] = await office.bills()
        # 745 more units for the 166.5 hours that are left come to 1,665.00, for 165.5 hours to 1,655.00: not yet paid.
        assert (up.total_minor, [note.offset_minor for note in done.notes]) == (166_500, [165_500])


async def test_a_month_of_mixed_changes_adds_up_to_what_was_used(office: Office) -> None:
    """Small costs 10.00 a month or 108.00 a year a unit, large 30.00; both grant 300 pages a month, then 1.00 a 100."""
    own = await office.start()
    await office.move("2026-04-04")
    await office.change(own, quantity=3)
    await office.move("2026-04-05")
    assert await office.use("pages", "2026-04-05", count=200) == "counted"
    await office.move("2026-04-10")
    await office.change(own, plan_key="large")
    await office.move("2026-04-16")
    await office.change(own, quantity=2, at=ChangeAt.NOW)
    assert await office.use("pages", "2026-04-16", count=100) == "counted"
    await office.move("2026-04-22")
    await office.change(own, plan_key="small", at=ChangeAt.NOW)
    assert await office.use("pages", "2026-04-22", count=40) == "counted"
    await office.move("2026-04-25")
    await office.change(own, interval=Interval.YEAR)

    bills, invoices = await office.bills(), await office.invoices()
    # Nothing is paid: what a change takes back lowers the invoice that charged it.
    assert [(bill.total_minor, each.amount_due.minor) for bill, each in zip(bills, invoices, strict=True)] == [
        (1_000, 300),  # 10.00 less its 21 of 30 days
        (1_800, 400),  # 2 more for 27 of 30 days, less 21 of them
        (6_300, 3_000),  # large for 21 days: 90.00; less 1 unit for 15 days, less 2 for 9: 15.00 and 18.00
        (600, 200),  # small: 20.00 for 9 days, less 6: the change to a year
        (21_800, 21_800),  # the year and usage
    ]
    assert bills[-1].lines == [
        ("fee", 0, 2, 21_600),
        # Large had 12 of 30 days: 120 pages free. Small had 12 days too, and 240 pages: 120 above are two packages.
        ("usage", 0, 100, 0),
        ("usage", 0, 240, 200),
    ]
    # Fees: small 1 unit 3 days 1.00, 3 units 6 days 6.00, large 3 units 6 days 18.00, 2 units 6 days 12.00, small
    # 2 units 3 days 2.00; the year 216.00; usage 2.00.
    assert sum(each.amount_due.minor for each in invoices) == 25_700
    book = await office.book()
    assert (book[Account.RECEIVABLE], book.get(Account.CUSTOMER_CREDIT, 0)) == (25_700, 0)
    rows = await office.rows()
    await office.close(own)
    assert await office.rows() == rows
    for invoice in invoices:
        async with office.db.transaction() as tx:
            found = await verify_invoice(tx, office.call, invoice.id)
        assert found.outcome is Outcome.EQUAL, found
