"""Tables and statements of the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, EntryId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.ledger.account import Account, Posting
from domain.ledger.filter import EntryFilter
from domain.statement import Statement, given, within

ledger_entry = sa.Table(
    "ledger_entry",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False, comment="live and test customers have books of their own"),
    sa.Column("at", db.Instant, nullable=False, comment="business time"),
    sa.Column("posted_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="id of the row that caused it"),
    sa.Column("line_count", sa.SmallInteger, nullable=False, comment="so that no line can be added later"),
    sa.UniqueConstraint("customer_id", "reason", "about", name="ledger_entry_reason_about_key"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("line_count >= 2", name="line_count"),
    sa.Index("ledger_entry_id_idx", "environment", "id"),
)

ledger_line = sa.Table(
    "ledger_line",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("entry_id", db.Id, primary_key=True),
    sa.Column("no", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="debit above zero, credit below"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["customer_id", "entry_id"],
        ["ledger_entry.customer_id", "ledger_entry.id"],
        name="ledger_line_entry_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint(
        "account IN ('receivable', 'revenue', 'tax_payable', 'cash', 'customer_credit', 'bad_debt', 'prepaid',"
        " 'prepaid_pending', 'promotion', 'breakage', 'disputed', 'unapplied_cash')",
        name="account",
    ),
    sa.CheckConstraint("amount_minor <> 0", name="amount_minor"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A posted entry with its lines in order."""

    customer_id: CustomerId
    id: EntryId
    environment: Environment
    at: datetime
    reason: str
    about: str
    lines: tuple[Posting, ...]


_INSERT = Statement(
    pg.insert(ledger_entry)
    .values(given(ledger_entry))
    .on_conflict_do_nothing(index_elements=["customer_id", "reason", "about"])
    .returning(ledger_entry.c.id)
)
_INSERT_LINE = Statement(sa.insert(ledger_line).values(given(ledger_line)))


async def insert_entry(tx: db.Tx, values: dict[str, Any], postings: Sequence[Posting]) -> bool:
    """Append an entry with its lines. False where one of the same customer, reason and row is posted."""
    if await _INSERT.value(tx, **values, line_count=len(postings)) is None:
        return False
    lines = [
        {
            "customer_id": values["customer_id"],
            "entry_id": values["id"],
            "no": number,
            "account": posting.account,
            "amount_minor": posting.amount.minor,
            "currency": posting.amount.currency,
        }
        for number, posting in enumerate(postings, 1)
    ]
    await _INSERT_LINE.run_each(tx, lines)
    return True


async def has_entry(tx: db.Tx, customer_id: CustomerId, reason: str) -> bool:
    """Whether a customer has an entry of a reason."""
    own = ledger_entry.c
    found = sa.select(own.id).where(own.customer_id == customer_id, own.reason == reason)
    return bool(await tx.value(sa.select(found.exists())))


async def list_entries(
    tx: db.Tx,
    wanted: EntryFilter,
    *,
    scope: CustomerId | None,
    environment: Environment,
    before: EntryId | None,
    limit: int,
) -> Sequence[Entry]:
    """Return entries of one environment's books, newest first; `before` is the id of the last one seen."""
    entry, line = ledger_entry.c, ledger_line.c
    statement = sa.select(ledger_entry).where(entry.environment == environment, *within(entry.at, wanted.at))
    statement = statement.order_by(entry.id.desc()).limit(limit)
    if wanted.account is not None:
        of_entry = (line.customer_id == entry.customer_id, line.entry_id == entry.id)
        statement = statement.where(sa.exists().where(*of_entry, line.account == wanted.account))
    if scope is not None:
        statement = statement.where(entry.customer_id == scope)
    if before is not None:
        statement = statement.where(entry.id < before)
    rows = await tx.rows(statement)
    lines = await _lines_by_entry_id(tx, rows)
    return [
        Entry(r.customer_id, r.id, Environment(r.environment), r.at, r.reason, r.about, tuple(lines.get(r.id, ())))
        for r in rows
    ]


async def _lines_by_entry_id(tx: db.Tx, entries: Sequence[sa.Row[Any]]) -> dict[UUID, list[Posting]]:
    """Return the lines of some entries; an entry has few lines, and their number is fixed."""
    line = ledger_line.c
    keys = [(entry.customer_id, entry.id) for entry in entries]
    statement = (
        sa.select(ledger_line)
        .where(sa.tuple_(line.customer_id, line.entry_id).in_(keys))
        .order_by(line.entry_id, line.no)
    )
    found: dict[UUID, list[Posting]] = {}
    for row in await tx.rows(statement):
        found.setdefault(row.entry_id, []).append(Posting(Account(row.account), Money(row.amount_minor, row.currency)))
    return found


async def list_entries_after(
    tx: db.Tx, *, environment: Environment, period: Period, after: EntryId | None, limit: int
) -> Sequence[Entry]:
    """Return entries of one environment's books of a period in business time, in the order in which they were posted.

    `after` is the id of the last one seen.
    """
    entry = ledger_entry.c
    statement = (
        sa.select(ledger_entry)
        .where(entry.environment == environment, entry.at >= period.start, entry.at < period.end)
        .order_by(entry.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(entry.id > after)
    rows = await tx.rows(statement)
    lines = await _lines_by_entry_id(tx, rows)
    return [
        Entry(r.customer_id, r.id, Environment(r.environment), r.at, r.reason, r.about, tuple(lines.get(r.id, ())))
        for r in rows
    ]


async def count_unbalanced(tx: db.Tx, environment: Environment) -> int:
    """Count the entries of one environment's books that do not add up to zero in a currency, or are not whole."""
    line, entry = ledger_line.c, ledger_entry.c
    owner = sa.and_(entry.customer_id == line.customer_id, entry.id == line.entry_id)
    sums = (
        sa.select(entry.customer_id, entry.id)
        .select_from(ledger_entry.outerjoin(ledger_line, owner))
        .where(entry.environment == environment)
        .group_by(entry.customer_id, entry.id, entry.line_count, line.currency)
        .having(sa.func.coalesce(sa.func.sum(line.amount_minor), 1) != 0)
    )
    parts = (
        sa.select(entry.customer_id, entry.id)
        .select_from(ledger_entry.outerjoin(ledger_line, owner))
        .where(entry.environment == environment)
        .group_by(entry.customer_id, entry.id, entry.line_count)
        .having(sa.func.count(line.no) != entry.line_count)
    )
    return int(await tx.value(sa.select(sa.func.count()).select_from(sums.union(parts).subquery())))


async def sum_by_account(
    tx: db.Tx, *, scope: CustomerId | None, environment: Environment | None, before: datetime | None = None
) -> Sequence[tuple[Account, Money]]:
    """Add up the lines by account and currency: at most one row for each pair of them.

    `before` leaves out what was posted at that business time or later.
    """
    line = ledger_line.c
    statement = (
        sa.select(line.account, line.currency, sa.func.sum(line.amount_minor).label("total"))
        .group_by(line.account, line.currency)
        .order_by(line.currency, line.account)
    )
    if environment is not None or before is not None:
        owner = sa.and_(ledger_entry.c.customer_id == line.customer_id, ledger_entry.c.id == line.entry_id)
        statement = statement.join(ledger_entry, owner)
    if environment is not None:
        statement = statement.where(ledger_entry.c.environment == environment)
    if before is not None:
        statement = statement.where(ledger_entry.c.at < before)
    if scope is not None:
        statement = statement.where(line.customer_id == scope)
    return [(Account(row.account), Money(int(row.total), row.currency)) for row in await tx.rows(statement)]
