"""The table and statements of derived credits: lines that stand on a credit note instead of on an invoice."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.invoices.credit_note import CreditNote
from domain.invoices.derivation import NewLine
from domain.invoices.invoice import DERIVED, FEE_KINDS, Invoice, Line, State
from domain.invoices.store import LINES, SAME_INVOICE, bounded, invoice, invoice_line, lines_of
from domain.kernel.ids import CustomerId, SegmentId, SubscriptionId
from domain.statement import Statement, among, given, narrowed

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


_INSERT = Statement(sa.insert(derived_credit).values(given(derived_credit)))


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
    await _INSERT.run(tx, **values)


# What a line has that no credit on a note has of its own: a credit is of a fee, and nothing is taken off it or added.
_OF_CREDITS: dict[str, object] = {
    "origin": DERIVED,
    "segment_id": None,
    "discount_minor": 0,
    "discounts": [],
    "tax_minor": 0,
    "tax_inclusive": False,
}


def _as_line(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return what a credit on a note has for a column of lines: its own, or what no such credit has."""
    if column.name in derived_credit.c:
        return derived_credit.c[column.name]
    return sa.cast(sa.literal(_OF_CREDITS[column.name], column.type), column.type).label(column.name)


def _credits(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    own = derived_credit.c
    same = sa.and_(invoice.c.customer_id == own.customer_id, invoice.c.id == own.invoice_id)
    columns = [_as_line(each) for each in invoice_line.c]
    statement = sa.select(*columns, invoice.c.currency).select_from(derived_credit.join(invoice, same))
    return statement.where(*narrowed(derived_credit, ("customer_id",)), ~own.void, *conditions)


@cache
def _standing(*, with_fees: bool) -> Statement:
    own, credit, since = invoice_line.c, derived_credit.c, sa.bindparam("fees_since", type_=db.Instant)
    of_segments = among(own.segment_id, "segment_ids")
    lines = LINES.where(*narrowed(invoice_line, ("customer_id",)), ~own.void)
    if not with_fees:
        return Statement(bounded(lines.where(of_segments)))
    is_fee = own.kind == sa.any_(sa.literal(sorted(FEE_KINDS), pg.ARRAY(sa.Text)))
    fees = sa.and_(is_fee, among(own.subscription_id, "subscription_ids"), own.service_start_at >= since)
    credits_ = _credits(among(credit.subscription_id, "subscription_ids"), credit.service_start_at >= since)
    return Statement(bounded(lines.where(sa.or_(of_segments, fees)).union_all(credits_)))


async def list_standing_lines(
    tx: db.Tx,
    *,
    customer_id: CustomerId,
    segment_ids: Collection[SegmentId],
    subscription_ids: Collection[SubscriptionId],
    fees_since: datetime | None,
) -> list[Line]:
    """Return the lines that stand, on invoices that are not void and on credit notes of them.

    They are those of these segments, and these subscriptions' fees and prorations from an instant on; without the
    instant no fees are looked for. A credit on a note names the invoice that the note lowers.
    """
    fees = {} if fees_since is None else {"fees_since": fees_since, "subscription_ids": list(subscription_ids)}
    statement = _standing(with_fees=bool(fees))
    return lines_of(await statement.rows(tx, customer_id=customer_id, segment_ids=list(segment_ids), **fees))


_BILLED_SEGMENT_IDS = Statement(
    sa.select(invoice_line.c.segment_id)
    .distinct()
    .join(invoice, SAME_INVOICE)
    .where(
        *narrowed(invoice_line, ("customer_id",)),
        among(invoice_line.c.segment_id, "segment_ids"),
        ~invoice_line.c.void,
        invoice.c.state != State.DRAFT,
    )
)


async def list_billed_segment_ids(
    tx: db.Tx, *, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> frozenset[SegmentId]:
    """Return which of the segments have a line on an opened invoice that is not void."""
    rows = await _BILLED_SEGMENT_IDS.rows(tx, customer_id=customer_id, segment_ids=list(segment_ids))
    return frozenset(row.segment_id for row in rows)


async def void_credits(tx: db.Tx, void: Invoice) -> None:
    """Free the identities of the credits on notes of a void invoice."""
    own = derived_credit.c
    await tx.execute(
        sa.update(derived_credit)
        .where(own.customer_id == void.customer_id, own.invoice_id == void.id)
        .values(void=True)
    )
