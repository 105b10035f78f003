"""`tollgate verify ledger` and `tollgate export-ledger`: what the books come to, and every line of them."""

import csv
import io

import pytest
import sqlalchemy as sa

from api.books import EARLIEST, LATEST, check_ledger, export_ledger, report
from domain.db import Database
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.kernel.period import Period
from domain.ledger import service as ledger
from tests import make
from tests.api.test_verifying import settings
from tests.world import World, runtime_of


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


async def test_the_books_hold_until_an_entry_is_tampered_with(db: Database, database_url: str) -> None:
    world, given = World(runtime_of(db)), settings(database_url)
    ada = await world.customer(on="2026-01-31", card=None)
    await world.subscribe(ada, "pro")
    found = await check_ledger(given)
    assert list(report(found)) == [
        "live  holds",
        "test  receivable                   79.00 USD",
        "test  revenue                     -79.00 USD",
        "test  holds",
    ]
    async with db.transaction() as tx:
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await tx.execute(sa.text("UPDATE ledger_line SET amount_minor = 7901 WHERE account = 'receivable'"))
    found = await check_ledger(given)
    assert [checked.hold for checked in found] == [True, False]
    assert list(report(found))[3:] == [
        "test  the accounts in USD add up to 1 minor units, not to zero",
        "test  1 entries are not balanced",
        "test  does not hold",
    ]
    # A balanced entry that owes prepaid money which no wallet holds.
    async with db.transaction() as tx:
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await tx.execute(sa.text("UPDATE ledger_line SET amount_minor = 7900 WHERE account = 'receivable'"))
        await tx.execute(sa.text("UPDATE ledger_line SET account = 'prepaid' WHERE account = 'revenue'"))
    found = await check_ledger(given)
    assert [checked.hold for checked in found] == [True, False]
    assert list(report(found))[1:] == [
        "test  prepaid                     -79.00 USD",
        "test  receivable                   79.00 USD",
        "test  the account prepaid stands at 79.00 USD, wallets hold 0.00",
        "test  does not hold",
    ]


async def test_a_period_of_the_books_is_exported_line_by_line(db: Database, database_url: str) -> None:
    world, given = World(runtime_of(db)), settings(database_url)
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")

    async def rows(environment: Environment, period: Period) -> list[list[str]]:
        pages = [page async for page in export_ledger(given, environment, period)]
        return list(csv.reader(io.StringIO("".join(pages))))

    whole = await rows(Environment.TEST, Period(EARLIEST, LATEST))
    # The invoice and its payment: two entries of two lines below the header.
    assert [row[4] for row in whole] == ["reason", *["invoice_opened"] * 2, *["invoice_paid"] * 2]
    assert [row[7:] for row in whole[1:]] == [
        ["receivable", "79.00", "USD"],
        ["revenue", "-79.00", "USD"],
        ["cash", "79.00", "USD"],
        ["receivable", "-79.00", "USD"],
    ]
    assert {row[1] for row in whole[1:]} == {encode("customer", ada.id)}
    assert len(await rows(Environment.LIVE, Period(EARLIEST, LATEST))) == 1
    assert len(await rows(Environment.TEST, Period(EARLIEST, make.at("2026-01-31")))) == 1


async def test_a_balance_just_before_an_instant_leaves_out_what_came_at_it(db: Database) -> None:
    world = World(runtime_of(db))
    ada = await world.customer(on="2026-01-31", card=None)
    await world.subscribe(ada, "pro")
    await world.advance(to="2026-03-01")

    async def owed(before: str | None) -> list[int]:
        at = make.at(before) if before else None
        async with db.transaction() as tx:
            one = await ledger.balances(tx, ada.id, before=at)
            everybody = await ledger.trial_balance(tx, Environment.TEST, before=at)
        assert list(one) == list(everybody)
        return [amount.minor for account, amount in one if account == "receivable"]

    # The fees of 31 January and of 28 February are 79.00 each.
    assert [await owed(at) for at in ("2026-01-31", "2026-02-28", None)] == [[], [7_900], [15_800]]
