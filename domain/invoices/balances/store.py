"""The table and statements of customers' credit."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.statement import Statement, narrowed

customer_credit = sa.Table(
    "customer_credit",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("about", db.Id, nullable=False, comment="the credit note, invoice or unapplied credit that caused it"),
    sa.Column("at", db.Instant, nullable=False, comment="business time"),
    sa.UniqueConstraint("customer_id", "reason", "about", name="customer_credit_about_key"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    sa.CheckConstraint("reason IN ('credit_note', 'applied', 'returned', 'net_credit', 'unapplied')", name="reason"),
    sa.CheckConstraint("CASE WHEN reason = 'applied' THEN amount_minor < 0 ELSE amount_minor > 0 END", name="amount"),
    comment="a customer's balance is the sum of these rows; each has its ledger entry",
)


async def insert_credit(tx: db.Tx, values: dict[str, Any]) -> None:
    """Append a movement of a customer's credit; the database refuses a second one of the same cause."""
    await tx.execute(sa.insert(customer_credit).values(values))


_CREDIT = Statement(
    sa.select(sa.func.coalesce(sa.func.sum(customer_credit.c.amount_minor), 0)).where(
        *narrowed(customer_credit, ("customer_id", "currency"))
    )
)


async def sum_credit(tx: db.Tx, *, customer_id: CustomerId, currency: str) -> int:
    """Return a customer's credit in minor units of a currency."""
    return int(await _CREDIT.value(tx, customer_id=customer_id, currency=currency))


async def credit_by_customer_ids(tx: db.Tx, ids: Collection[CustomerId]) -> dict[CustomerId, list[Money]]:
    """Return the credit of each customer, by currency, where it is not zero: one statement, for loaders."""
    own = customer_credit.c
    total = sa.func.sum(own.amount_minor)
    statement = (
        sa.select(own.customer_id, own.currency, total.label("total"))
        .where(own.customer_id.in_(ids))
        .group_by(own.customer_id, own.currency)
        .having(total != 0)
        .order_by(own.currency)
    )
    found: dict[CustomerId, list[Money]] = {each: [] for each in ids}
    for row in await tx.rows(statement):
        found[row.customer_id].append(Money(int(row.total), row.currency))
    return found
