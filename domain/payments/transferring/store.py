"""Tables and statements of bank transfers."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.invoices.store import invoice
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.payments.transferring.cash import Account, Awaited, Movement

_CUSTOMER = "customer.customer_id"

cash_movement = sa.Table(
    "cash_movement",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey(_CUSTOMER, ondelete="RESTRICT"), primary_key=True),
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="the gateway's word"),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="below zero: used, or sent back"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("gateway_payment_id", sa.Text, comment="the payment that used it"),
    sa.Column("moved_at", db.Instant, nullable=False, comment="real time, the gateway's"),
    sa.Column("booked_at", db.Instant, nullable=False, comment="business time"),
)

transfer_account = sa.Table(
    "transfer_account",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey(_CUSTOMER, ondelete="RESTRICT"), primary_key=True),
    sa.Column("currency", sa.Text, primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("bank_name", sa.Text),
    sa.Column("last4", sa.Text, nullable=False),
    sa.CheckConstraint("length(last4) BETWEEN 1 AND 4", name="last4"),
)


async def insert_movement(tx: db.Tx, new: Movement) -> bool:
    """Insert a movement. False where it is known."""
    values = {name: getattr(new, name) for name in Movement.__slots__ if name != "amount"}
    values |= {"amount_minor": new.amount.minor, "currency": new.amount.currency}
    statement = pg.insert(cash_movement).values(values).on_conflict_do_nothing()
    return await tx.value(statement.returning(cash_movement.c.gateway_id)) is not None


async def known_of(tx: db.Tx, customer_id: CustomerId, gateway_ids: Collection[str]) -> set[str]:
    """Return which movements of a customer are known."""
    own = cash_movement.c
    wanted = (own.customer_id == customer_id, own.gateway_id.in_(gateway_ids))
    return {row.gateway_id for row in await tx.rows(sa.select(own.gateway_id).where(*wanted))}


async def holders_of(tx: db.Tx, ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return which of some customers have an account to transfer to."""
    own = transfer_account.c.customer_id
    return {row.customer_id for row in await tx.rows(sa.select(own).where(own.in_(ids)).distinct())}


async def balances_of(tx: db.Tx, ids: Collection[CustomerId]) -> dict[CustomerId, list[Money]]:
    """Return what customers have transferred and no invoice has used, where it is not zero: one statement."""
    own = cash_movement.c
    total = sa.func.sum(own.amount_minor)
    statement = (
        sa.select(own.customer_id, own.currency, total.label("minor"))
        .where(own.customer_id.in_(ids))
        .group_by(own.customer_id, own.currency)
        .having(total != 0)
        .order_by(own.currency)
    )
    found: dict[CustomerId, list[Money]] = {each: [] for each in ids}
    for row in await tx.rows(statement):
        found[row.customer_id].append(Money(int(row.minor), row.currency))
    return found


async def awaited_of(tx: db.Tx, ids: Collection[CustomerId], *, limit: int) -> dict[CustomerId, list[Awaited]]:
    """Return the open invoices that were sent to customers, the oldest first, at most `limit` in all."""
    own = invoice.c
    total = own.subtotal_minor - own.discount_minor + own.tax_minor - own.tax_included_minor
    due = (total - own.applied_minor - own.offset_minor - own.kept_minor).label("due_minor")
    statement = (
        sa.select(own.customer_id, own.id, own.currency, due)
        .where(own.customer_id.in_(ids), own.state == "open", own.collection == "send_invoice")
        .order_by(own.issued_at, own.id)
        .limit(limit)
    )
    found: dict[CustomerId, list[Awaited]] = {each: [] for each in ids}
    for row in await tx.rows(statement):
        found[row.customer_id].append(Awaited(row.customer_id, row.id, Money(row.due_minor, row.currency)))
    return found


async def save_account(tx: db.Tx, account: Account) -> None:
    """Write what is kept of an account; the last answer stays."""
    values = {name: getattr(account, name) for name in Account.__slots__}
    told = {name: values[name] for name in ("country", "bank_name", "last4")}
    statement = pg.insert(transfer_account).values(values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["customer_id", "currency"], set_=told))


async def accounts_of(tx: db.Tx, customer_id: CustomerId) -> Sequence[Account]:
    """Return what is kept of a customer's accounts, one for each currency."""
    own = transfer_account
    statement = sa.select(own).where(own.c.customer_id == customer_id).order_by(own.c.currency)
    return [_account(row) for row in await tx.rows(statement)]


def _account(row: sa.Row[Any]) -> Account:
    return Account(row.customer_id, row.currency, row.country, row.bank_name, row.last4)
