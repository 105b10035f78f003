"""Tables and statements of unit grants and what invoices took of them."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.credits.unit_grant import Refill, TakingLine, UnitGrant
from domain.kernel.ids import CustomerId, GrantId, InvoiceId, MeterId, PriceId, SegmentId, SubscriptionId
from domain.statement import Row, Statement, among, narrowed

# Counters share their rows; the view of usage tells them apart.
_HOURS = """
SELECT segment_id, meter_id, hour_at, sum(quantity) AS quantity FROM hour_of_meter
WHERE customer_id = $1::uuid AND segment_id = ANY($2::uuid[]) AND meter_id = ANY($3::uuid[])
GROUP BY segment_id, meter_id, hour_at ORDER BY hour_at, segment_id
"""

unit_grant = sa.Table(
    "unit_grant",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, nullable=False),
    sa.Column("meter_id", db.Id, sa.ForeignKey("meter.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("amount", db.Quantity, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False, comment="a smaller one burns first"),
    sa.Column("effective_at", db.Instant, nullable=False, comment="business time, as expires_at and voided_at"),
    sa.Column("expires_at", db.Instant),
    sa.Column("voided_at", db.Instant),
    sa.Column("rollover_max", db.Quantity, comment="null: all of it"),
    sa.Column("rollover_min", db.Quantity, nullable=False),
    sa.Column("refill", sa.Text, comment="null: never"),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"],
        ["subscription.customer_id", "subscription.id"],
        name="unit_grant_subscription_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("expires_at > effective_at", name="expires_at"),
    sa.CheckConstraint("rollover_min >= 0 AND rollover_max >= rollover_min", name="rollover"),
    sa.CheckConstraint("refill IN ('day', 'week', 'month')", name="refill"),
)

unit_grant_use = sa.Table(
    "unit_grant_use",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("grant_id", db.Id, primary_key=True),
    sa.Column("line_id", db.Id, primary_key=True, comment="the invoice line whose usage was taken from it"),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("segment_id", db.Id, nullable=False, comment="with price_id, what the line charges"),
    sa.Column("price_id", db.Id, nullable=False),
    sa.Column("quantity", sa.Numeric, nullable=False, comment="below zero: given back by a later difference"),
    sa.Column("priority", sa.SmallInteger, nullable=False, comment="sort key, with expires_at and granted_at"),
    sa.Column("expires_at", db.Instant),
    sa.Column("granted_at", db.Instant, nullable=False),
    sa.Column("used_at", db.Instant, nullable=False, comment="business time, as returned_at"),
    sa.Column("returned_at", db.Instant, comment="when its invoice was voided"),
    sa.ForeignKeyConstraint(
        ["customer_id", "grant_id"],
        ["unit_grant.customer_id", "unit_grant.id"],
        name="unit_grant_use_grant_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("quantity <> 0", name="quantity"),
)


async def insert_grant(tx: db.Tx, new: UnitGrant) -> None:
    """Insert a grant."""
    await tx.execute(sa.insert(unit_grant).values(asdict(new)))


@cache
def _grants(*, of_subscriptions: bool) -> Statement:
    own = unit_grant.c
    statement = sa.select(unit_grant).where(*narrowed(unit_grant, ("customer_id",))).order_by(own.id)
    return Statement(statement.where(among(own.subscription_id, "subscription_ids")) if of_subscriptions else statement)


async def list_grants(
    tx: db.Tx, customer_id: CustomerId, *, subscription_ids: Collection[SubscriptionId] | None = None
) -> list[UnitGrant]:
    """Return a customer's grants, all or those of some subscriptions, oldest first; each has a bounded number."""
    known = {} if subscription_ids is None else {"subscription_ids": list(subscription_ids)}
    statement = _grants(of_subscriptions=bool(known))
    return [_grant(row) for row in await statement.rows(tx, customer_id=customer_id, **known)]


async def save_voiding(tx: db.Tx, grant: UnitGrant) -> None:
    """Write when a grant was voided."""
    own = unit_grant.c
    statement = sa.update(unit_grant).where(own.customer_id == grant.customer_id, own.id == grant.id)
    await tx.execute(statement.values(voided_at=grant.voided_at))


async def list_hours(
    tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], meter_ids: Collection[MeterId]
) -> Sequence[tuple[SegmentId, MeterId, datetime, Decimal]]:
    """Return (segment, meter, hour, quantity) over all combinations: a few hundred rows a month at most."""
    rows = await (await tx.raw()).fetch(_HOURS, customer_id, list(segment_ids), list(meter_ids))
    return [(row["segment_id"], row["meter_id"], row["hour_at"], row["quantity"]) for row in rows]


async def sum_uses(
    tx: db.Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[tuple[SegmentId, PriceId, GrantId], Decimal]:
    """Return what invoices that are not void took of each grant for segments, by the price of the usage."""
    own = unit_grant_use.c
    statement = (
        sa.select(own.segment_id, own.price_id, own.grant_id, sa.func.sum(own.quantity).label("quantity"))
        .where(own.customer_id == customer_id, own.segment_id.in_(segment_ids), own.returned_at.is_(None))
        .group_by(own.segment_id, own.price_id, own.grant_id)
    )
    return {(row.segment_id, row.price_id, row.grant_id): row.quantity for row in await tx.rows(statement)}


async def list_uses(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> Sequence[sa.Row[Any]]:
    """Return what invoices that are not void took of a customer's grants, the newest first."""
    own = unit_grant_use.c
    statement = (
        sa.select(own.grant_id, own.invoice_id, own.quantity, own.used_at)
        .where(own.customer_id == customer_id, own.returned_at.is_(None))
        .order_by(own.used_at.desc(), own.line_id.desc())
        .limit(limit)
    )
    return await tx.rows(statement)


async def insert_uses(
    tx: db.Tx,
    used_at: datetime,
    invoice_id: InvoiceId,
    uses: Sequence[tuple[UnitGrant, TakingLine, Decimal]],
) -> None:
    """Write what lines of an opened invoice took, with the sort key of each grant."""
    rows = [
        {
            "customer_id": grant.customer_id,
            "grant_id": grant.id,
            "line_id": line.line_id,
            "invoice_id": invoice_id,
            "segment_id": line.segment_id,
            "price_id": line.price_id,
            "quantity": quantity,
            "priority": grant.priority,
            "expires_at": grant.expires_at,
            "granted_at": grant.created_at,
            "used_at": used_at,
            "returned_at": None,
        }
        for grant, line, quantity in uses
    ]
    await tx.execute(sa.insert(unit_grant_use), rows)


async def return_uses(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId, at: datetime) -> None:
    """Give back what an invoice took. Safe to repeat."""
    own = unit_grant_use.c
    statement = sa.update(unit_grant_use).where(
        own.customer_id == customer_id, own.invoice_id == invoice_id, own.returned_at.is_(None)
    )
    await tx.execute(statement.values(returned_at=at))


def _grant(row: Row) -> UnitGrant:
    values = row._asdict()
    return UnitGrant(**{**values, "refill": Refill(row.refill) if row.refill else None})
