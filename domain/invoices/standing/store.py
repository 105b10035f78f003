"""The table and statements of derived credits: lines that stand on a credit note instead of on an invoice."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.invoices import store as invoices
from domain.invoices.credit_note import CreditNote
from domain.invoices.derivation import NewLine
from domain.invoices.invoice import Identity, Invoice, Line, LineKind
from domain.kernel.ids import CustomerId, LineId, SegmentId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period

derived_credit = sa.Table(
    "derived_credit",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("credit_note_id", db.Id, nullable=False),
    sa.Column("invoice_id", db.Id, nullable=False, comment="the unpaid invoice that the note lowers"),
    sa.Column("subscription_id", db.Id, nullable=False),
    sa.Column("price_id", db.Id, sa.ForeignKey("price.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("service_start_at", db.Instant, nullable=False),
    sa.Column("service_end_at", db.Instant, nullable=False),
    sa.Column("dimension_key", sa.Text, nullable=False, comment="which side of a proration it is"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("quantity", sa.Numeric, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("derivation", db.Json, nullable=False, comment="how the amount came about"),
    sa.Column("void", sa.Boolean, nullable=False, comment="its invoice is void: the identity is free again"),
    sa.ForeignKeyConstraint(
        ["customer_id", "credit_note_id"],
        ["credit_note.customer_id", "credit_note.id"],
        name="derived_credit_note_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="derived_credit_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"],
        ["subscription.customer_id", "subscription.id"],
        name="derived_credit_subscription_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("kind IN ('fee', 'proration')", name="kind"),
    sa.CheckConstraint("service_start_at < service_end_at", name="service"),
    sa.CheckConstraint("revision >= 0", name="revision"),
    sa.CheckConstraint("amount_minor < 0", name="amount"),
    sa.Index(
        "derived_credit_identity_key",
        "customer_id",
        "subscription_id",
        "price_id",
        "kind",
        "service_start_at",
        "service_end_at",
        "dimension_key",
        "revision",
        unique=True,
        postgresql_where=sa.text("NOT void"),
    ),
    sa.Index("derived_credit_invoice_idx", "customer_id", "invoice_id"),
    comment="what a change takes back of a fee that is not paid: a derived line on a note",
)


async def insert_credit(tx: db.Tx, note: CreditNote, credit_id: UUID, credit: NewLine, *, amount_minor: int) -> None:
    """Append the part of a derived credit that a note gives back; the database refuses a second one."""
    own = credit.identity
    values = {
        "customer_id": note.customer_id,
        "id": credit_id,
        "credit_note_id": note.id,
        "invoice_id": note.invoice_id,
        "subscription_id": own.subscription_id,
        "price_id": own.price_id,
        "kind": own.kind,
        "service_start_at": own.period.start,
        "service_end_at": own.period.end,
        "dimension_key": own.dimension_key,
        "revision": credit.revision,
        "description": credit.description,
        "quantity": credit.quantity,
        "unit": credit.unit,
        "amount_minor": -amount_minor,
        "derivation": credit.derivation,
        "void": False,
    }
    await tx.execute(sa.insert(derived_credit).values(values))


async def list_standing_lines(
    tx: db.Tx,
    *,
    customer_id: CustomerId,
    segment_ids: Collection[SegmentId],
    subscription_ids: Collection[SubscriptionId],
    fees_since: datetime | None,
) -> list[Line]:
    """Return the lines that stand, on invoices and on credit notes: see `list_standing_lines` of invoices.

    A credit on a note names the invoice that the note lowers.
    """
    found = await invoices.list_standing_lines(
        tx,
        customer_id=customer_id,
        segment_ids=segment_ids,
        subscription_ids=subscription_ids,
        fees_since=fees_since,
    )
    if fees_since is None:
        return found
    return [
        *found,
        *await list_credits(tx, customer_id=customer_id, subscription_ids=subscription_ids, since=fees_since),
    ]


async def list_credits(
    tx: db.Tx, *, customer_id: CustomerId, subscription_ids: Collection[SubscriptionId], since: datetime
) -> list[Line]:
    """Return the credits that stand on notes of invoices that are not void, of service from an instant on."""
    own = derived_credit.c
    statement = (
        sa.select(derived_credit, invoices.invoice.c.currency)
        .join(invoices.invoice, _SAME_INVOICE)
        .where(
            own.customer_id == customer_id,
            own.subscription_id.in_(subscription_ids),
            own.service_start_at >= since,
            ~own.void,
        )
    )
    return [_line(row) for row in await tx.rows(statement)]


async def void_credits(tx: db.Tx, void: Invoice) -> None:
    """Free the identities of the credits on notes of a void invoice."""
    own = derived_credit.c
    await tx.execute(
        sa.update(derived_credit)
        .where(own.customer_id == void.customer_id, own.invoice_id == void.id)
        .values(void=True)
    )


_SAME_INVOICE = sa.and_(
    invoices.invoice.c.customer_id == derived_credit.c.customer_id,
    invoices.invoice.c.id == derived_credit.c.invoice_id,
)


def _line(row: sa.Row[Any]) -> Line:
    return Line(
        id=LineId(row.id),
        invoice_id=row.invoice_id,
        customer_id=row.customer_id,
        identity=Identity(
            LineKind(row.kind),
            row.subscription_id,
            row.price_id,
            None,
            Period(row.service_start_at, row.service_end_at),
            row.dimension_key,
        ),
        revision=row.revision,
        description=row.description,
        quantity=row.quantity,
        unit=row.unit,
        amount=Money(row.amount_minor, row.currency),
        tax=Money(0, row.currency),
        derivation=row.derivation,
    )
