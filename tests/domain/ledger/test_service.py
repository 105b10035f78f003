"""The ledger on real Postgres."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from domain.db import Database, Tx
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.kernel.period import Range
from domain.ledger import service, store
from domain.ledger.account import Account, EntryUnbalanced, Posting, collected, invoiced
from domain.ledger.filter import EntryFilter, EntryFilterRefused
from tests import make

_ADA = CustomerId(make.new_id())
_BOB = CustomerId(make.new_id())
_NONE = Money(0, "USD")


async def _post(
    tx: Tx,
    reason: str,
    about: str,
    lines: list[Posting],
    *,
    customer_id: CustomerId = _ADA,
    environment: Environment = Environment.LIVE,
) -> bool:
    call = make.call()
    return await service.post(
        tx, call, call.at, customer_id=customer_id, environment=environment, reason=reason, about=about, lines=lines
    )


async def _count(tx: Tx, table: sa.Table) -> int:
    return int(await tx.value(sa.select(sa.func.count()).select_from(table)))


async def test_balances_are_sums_of_entries_and_the_sum_of_all_is_zero(db: Database) -> None:
    async with db.transaction() as tx:
        assert await _post(tx, "invoice_opened", "a", invoiced(Money(2900, "USD"), Money(551, "USD")))
        assert await _post(tx, "invoice_opened", "b", invoiced(Money(1000, "USD"), _NONE))
        assert await _post(tx, "invoice_paid", "a", collected(Money(3451, "USD")))
        assert await _post(tx, "invoice_opened", "c", invoiced(Money(700, "USD"), _NONE), customer_id=_BOB)
    async with db.transaction() as tx:
        # Owed: 34.51 + 10.00 - 34.51. Revenue: 29.00 + 10.00.
        assert await service.balances(tx, _ADA) == [
            (Account.CASH, Money(3451, "USD")),
            (Account.RECEIVABLE, Money(1000, "USD")),
            (Account.REVENUE, Money(-3900, "USD")),
            (Account.TAX_PAYABLE, Money(-551, "USD")),
        ]
        total = await service.trial_balance(tx, Environment.LIVE)
        assert dict(total)[Account.RECEIVABLE] == Money(1700, "USD")
        assert sum(amount.minor for _, amount in total) == 0


async def test_test_customers_have_books_of_their_own(db: Database) -> None:
    async with db.transaction() as tx:
        await _post(tx, "invoice_opened", "a", invoiced(Money(500, "USD"), _NONE), environment=Environment.TEST)
        assert await service.trial_balance(tx, Environment.LIVE) == []
        assert len(await service.trial_balance(tx, Environment.TEST)) == 2
        assert await service.list_entries(tx, scope=None, environment=Environment.LIVE) == []


async def test_a_cause_is_posted_once(db: Database) -> None:
    async with db.transaction() as tx:
        assert await _post(tx, "invoice_paid", "a", collected(Money(500, "USD")))
        assert not await _post(tx, "invoice_paid", "a", collected(Money(500, "USD")))
        assert await _count(tx, store.ledger_line) == 2


async def test_entries_are_listed_newest_first_with_their_lines_and_only_those_of_the_scope(db: Database) -> None:
    async with db.transaction() as tx:
        await _post(tx, "invoice_opened", "a", invoiced(Money(500, "USD"), _NONE))
        await _post(tx, "invoice_paid", "a", collected(Money(500, "USD")))
        await _post(tx, "invoice_opened", "b", invoiced(Money(700, "USD"), _NONE), customer_id=_BOB)
        newest, oldest = await service.list_entries(tx, scope=_ADA, environment=Environment.LIVE)
        assert [newest.reason, oldest.reason] == ["invoice_paid", "invoice_opened"]
        assert list(newest.lines) == collected(Money(500, "USD"))
        page = await service.list_entries(tx, scope=_ADA, environment=Environment.LIVE, before=newest.id)
        assert page == [oldest]


async def test_entries_are_found_by_an_account_and_by_when_they_were_booked(db: Database) -> None:
    async with db.transaction() as tx:
        await _post(tx, "invoice_opened", "a", invoiced(Money(500, "USD"), _NONE))
        await _post(tx, "invoice_paid", "a", collected(Money(500, "USD")))
        [paid, opened] = await service.list_entries(tx, scope=None, environment=Environment.LIVE)

        async def found(wanted: EntryFilter) -> list[str]:
            entries = await service.list_entries(tx, scope=None, environment=Environment.LIVE, wanted=wanted)
            return [each.reason for each in entries]

        assert await found(EntryFilter(Account.CASH)) == ["invoice_paid"]
        assert await found(EntryFilter(Account.RECEIVABLE)) == ["invoice_paid", "invoice_opened"]
        assert await found(EntryFilter(Account.BAD_DEBT)) == []
        assert paid.at == opened.at
        assert await found(EntryFilter(at=Range(start=opened.at))) == ["invoice_paid", "invoice_opened"]
        assert await found(EntryFilter(at=Range(end=opened.at))) == []
        assert await found(EntryFilter(Account.REVENUE, Range(opened.at, None))) == ["invoice_opened"]
        with pytest.raises(EntryFilterRefused):
            await found(EntryFilter(at=Range(opened.at, opened.at)))


async def test_the_service_writes_nothing_of_an_unbalanced_entry(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(EntryUnbalanced):
            await _post(tx, "x", "a", [Posting(Account.CASH, Money(5, "USD"))])
        assert await _count(tx, store.ledger_entry) == 0


def _entry(line_count: int = 2) -> dict[str, Any]:
    return {
        "customer_id": _ADA,
        "id": make.new_id(),
        "environment": "live",
        "at": make.at("2026-01-01"),
        "posted_at": make.at("2026-01-01"),
        "reason": "x",
        "about": "a",
        "line_count": line_count,
    }


def _line(entry: dict[str, Any], number: int, amount: int, currency: str = "USD") -> dict[str, Any]:
    return {
        "customer_id": _ADA,
        "entry_id": entry["id"],
        "no": number,
        "account": "cash",
        "amount_minor": amount,
        "currency": currency,
    }


async def _insert(db: Database, line_count: int, amounts: list[tuple[int, str]]) -> None:
    entry = _entry(line_count)
    async with db.transaction() as tx:
        await tx.execute(sa.insert(store.ledger_entry).values(entry))
        for number, (amount, currency) in enumerate(amounts, 1):
            await tx.execute(sa.insert(store.ledger_line).values(_line(entry, number, amount, currency)))


@pytest.mark.parametrize(
    ("line_count", "amounts"),
    [
        (2, []),  # an entry without lines
        (2, [(5, "USD"), (-4, "USD")]),  # one cent too much
        (2, [(5, "USD"), (-5, "EUR")]),  # balanced only across currencies
        (3, [(5, "USD"), (-5, "USD")]),  # a line is missing
    ],
)
async def test_the_database_refuses_an_unbalanced_entry_at_commit(
    db: Database, line_count: int, amounts: list[tuple[int, str]]
) -> None:
    with pytest.raises(DBAPIError, match="unbalanced or not whole"):
        await _insert(db, line_count, amounts)
    async with db.transaction() as tx:
        assert await _count(tx, store.ledger_entry) == 0


async def test_the_database_refuses_lines_added_to_a_posted_entry(db: Database) -> None:
    async with db.transaction() as tx:
        await _post(tx, "invoice_paid", "a", collected(Money(500, "USD")))
        [posted] = await service.list_entries(tx, scope=_ADA, environment=Environment.LIVE)
    with pytest.raises(DBAPIError, match="unbalanced or not whole"):
        async with db.transaction() as tx:
            await tx.execute(
                sa.insert(store.ledger_line).values([_line({"id": posted.id}, 3, 5), _line({"id": posted.id}, 4, -5)])
            )
    async with db.transaction() as tx:
        assert await _count(tx, store.ledger_line) == 2


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE ledger_line SET amount_minor = 1",
        "UPDATE ledger_entry SET reason = 'y'",
        "DELETE FROM ledger_line",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_line",
        "TRUNCATE ledger_entry CASCADE",
    ],
)
async def test_the_database_refuses_any_change_of_a_posted_entry(db: Database, fault: str) -> None:
    async with db.transaction() as tx:
        await _post(tx, "invoice_paid", "a", collected(Money(500, "USD")))
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.transaction() as tx:
            await tx.execute(sa.text(fault))
