"""Table and statements of refunds."""

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, RefundId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.payments.overdue.store import due
from domain.payments.refund import UNRESOLVED, Refund, RefundReason, RefundState

refund = sa.Table(
    "refund",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("credit_note_id", db.Id),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("gateway_payment_id", sa.Text, nullable=False, comment="the payment that it is taken from"),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True, comment="idempotency key of the call"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("ordered_at", db.Instant, nullable=False, comment="business time"),
    sa.Column("gateway_refund_id", sa.Text, unique=True),
    sa.Column("failure", sa.Text, comment="the gateway's word for why it failed"),
    sa.Column("sent_at", db.Instant, comment="real time; the age of the key"),
    sa.Column("settled_at", db.Instant, comment="real time"),
    sa.Column("ended_at", db.Instant, comment="business time"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("unapplied_payment_id", db.Id, comment="what it pays back where that is no credit note"),
    sa.ForeignKeyConstraint(
        ["customer_id", "credit_note_id"], ["credit_note.customer_id", "credit_note.id"], ondelete="RESTRICT"
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "unapplied_payment_id"],
        ["unapplied_payment.customer_id", "unapplied_payment.id"],
        name="refund_unapplied_payment_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("(credit_note_id IS NULL) <> (unapplied_payment_id IS NULL)", name="pays_back"),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("reason IN ('duplicate', 'fraudulent', 'requested_by_customer')", name="reason"),
    sa.CheckConstraint("state IN ('planned', 'sent', 'unknown', 'pending', 'succeeded', 'failed')", name="state"),
    sa.CheckConstraint("state = 'planned' OR sent_at IS NOT NULL", name="sent"),
    sa.CheckConstraint("(state IN ('succeeded', 'failed')) = (settled_at IS NOT NULL)", name="settled"),
    sa.Index("refund_invoice_id_idx", "customer_id", "invoice_id"),
    sa.Index("refund_credit_note_id_idx", "customer_id", "credit_note_id"),
    sa.Index("refund_unapplied_payment_idx", "customer_id", "unapplied_payment_id"),
    sa.Index("refund_unresolved_idx", "sent_at", postgresql_where=sa.text("state IN ('sent', 'unknown')")),
)


async def insert_refund(tx: db.Tx, new: Refund) -> None:
    """Insert a refund."""
    await tx.execute(sa.insert(refund).values(_values(new)))


async def save_refund(tx: db.Tx, before: Refund, after: Refund) -> None:
    """Write a changed refund over the version that was read under its invoice's lock."""
    statement = sa.update(refund).where(
        refund.c.customer_id == before.customer_id, refund.c.id == before.id, refund.c.version == before.version
    )
    result = await tx.execute(statement.values(_values(after) | {"version": before.version + 1}))
    assert result.rowcount == 1, "its invoice was locked"


async def find_refund(tx: db.Tx, customer_id: CustomerId, refund_id: RefundId) -> Refund | None:
    """Return a customer's refund, or None."""
    row = await tx.row(sa.select(refund).where(refund.c.customer_id == customer_id, refund.c.id == refund_id))
    return _refund(row) if row else None


async def list_refunds(tx: db.Tx, customer_id: CustomerId, ids: Collection[RefundId]) -> Sequence[Refund]:
    """Return those of a customer's refunds that have these ids."""
    rows = await tx.rows(sa.select(refund).where(refund.c.customer_id == customer_id, refund.c.id.in_(ids)))
    return [_refund(row) for row in rows]


async def find_refund_of(tx: db.Tx, gateway_refund_id: str) -> Refund | None:
    """Return the refund with this id at the gateway, or None."""
    row = await tx.row(sa.select(refund).where(refund.c.gateway_refund_id == gateway_refund_id))
    return _refund(row) if row else None


async def list_refunds_of(
    tx: db.Tx, invoices: Collection[tuple[CustomerId, InvoiceId]]
) -> dict[InvoiceId, list[Refund]]:
    """Return the refunds of customers' invoices, the oldest first: one statement, for loaders."""
    found: dict[InvoiceId, list[Refund]] = {invoice_id: [] for _, invoice_id in invoices}
    wanted = sa.tuple_(refund.c.customer_id, refund.c.invoice_id).in_(invoices)
    for row in await tx.rows(sa.select(refund).where(wanted).order_by(refund.c.id)):
        found[row.invoice_id].append(_refund(row))
    return found


async def list_stale(tx: db.Tx, *, sent_before: datetime, at: datetime, limit: int) -> Sequence[Refund]:
    """Return refunds of whose call nothing certain is known and which are to be looked at, the longest due first."""
    statement = due(refund, sent_before=sent_before, at=at, states=tuple(UNRESOLVED), limit=limit)
    return [_refund(row) for row in await tx.rows(statement)]


async def refunds_there(
    tx: db.Tx, gateway_refund_ids: Collection[str], ids: Collection[RefundId]
) -> tuple[dict[str, Refund], dict[RefundId, Refund]]:
    """Return the refunds of ours that have these ids at the gateway, and those with these ids of our own."""
    statement = sa.select(refund).where(refund.c.gateway_refund_id.in_(gateway_refund_ids) | refund.c.id.in_(ids))
    found = [_refund(row) for row in await tx.rows(statement)]
    answered = {each.gateway_refund_id: each for each in found if each.gateway_refund_id is not None}
    return answered, {each.id: each for each in found}


async def page_refunds(
    tx: db.Tx, environment: Environment, window: Period, *, after: UUID | None, limit: int
) -> Sequence[Refund]:
    """Return refunds that the gateway has answered and that are on their way or were sent in a stretch, by id."""
    lately = (refund.c.sent_at >= window.start) & (refund.c.sent_at < window.end)
    under_way = (refund.c.state == RefundState.PENDING) & (refund.c.sent_at < window.end)
    statement = (
        sa.select(refund)
        .where(refund.c.environment == environment, refund.c.gateway_refund_id.is_not(None), lately | under_way)
        .order_by(refund.c.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(refund.c.id > after)
    return [_refund(row) for row in await tx.rows(statement)]


def _values(value: Refund) -> dict[str, Any]:
    values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    amount = values.pop("amount")
    return values | {"amount_minor": amount.minor, "currency": amount.currency}


def _refund(row: sa.Row[Any]) -> Refund:
    found = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
    amount = Money(found.pop("amount_minor"), found.pop("currency"))
    words = {
        "environment": Environment(row.environment),
        "reason": RefundReason(row.reason),
        "state": RefundState(row.state),
    }
    return Refund(**found | words, amount=amount)
