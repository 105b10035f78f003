"""Tables and statements of calls whose usage nobody told."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import customer
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.limits.reservation import Name, State, type_digest_of
from domain.limits.settling.store import limit_reservation
from domain.limits.unsettled.unsettled import Expired, Reached, Sum, Unsettled

limit_unsettled = sa.Table(
    "limit_unsettled",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("reservation_id", db.Id, nullable=False),
    sa.Column("expired_at", db.Instant, nullable=False),
    sa.Column("found_at", db.Instant, nullable=False, comment="real time, as expired_at"),
    sa.UniqueConstraint("customer_id", "reservation_id", "expired_at"),
    sa.Index("limit_unsettled_id_idx", "id"),
    comment="metered reservations that were found expired, neither settled nor released",
)
limit_unsettled_look = sa.Table(
    "limit_unsettled_look",
    db.metadata,
    sa.Column("only", sa.Boolean, primary_key=True),
    sa.Column("expires_at", db.Instant, nullable=False),
    sa.Column("customer_id", db.Id, nullable=False),
    sa.Column("reservation_id", db.Id, nullable=False),
    sa.CheckConstraint("only", name="only"),
    comment="the expired reservation up to which all were looked at, in this order",
)

_found, _look, _held = limit_unsettled.c, limit_unsettled_look.c, limit_reservation.c
# What was settled or released since, or is held anew under its id, is not unsettled any more.
_OPEN = sa.and_(
    _held.customer_id == _found.customer_id,
    _held.id == _found.reservation_id,
    _held.state == State.HELD.value,
    _held.expires_at == _found.expired_at,
)


async def lock_reached(tx: db.Tx) -> Reached | None:
    """Return up to where was looked, and hold it until the transaction ends; None before the first look."""
    row = await tx.row(sa.select(_look.expires_at, _look.customer_id, _look.reservation_id).with_for_update())
    return Reached(row.expires_at, CustomerId(row.customer_id), row.reservation_id) if row else None


async def save_reached(tx: db.Tx, reached: Reached) -> None:
    """Note up to where was looked."""
    values = reached._asdict()
    statement = pg.insert(limit_unsettled_look).values(only=True, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["only"], set_=values))


async def list_expired(tx: db.Tx, after: Reached | None, *, upto: datetime, limit: int) -> list[Expired]:
    """Return reservations that have expired up to an instant, the earliest first."""
    order = (_held.expires_at, _held.customer_id, _held.id)
    is_unsettled = sa.and_(_held.metered, _held.state == State.HELD.value)
    statement = sa.select(*order, is_unsettled.label("is_unsettled")).where(_held.expires_at <= upto)
    if after is not None:
        # The first condition is the one that the index of the instants answers.
        given = sa.tuple_(*(sa.literal(each, column.type) for each, column in zip(after, order, strict=True)))
        statement = statement.where(_held.expires_at >= after.expires_at, sa.tuple_(*order) > given)
    rows = await tx.rows(statement.order_by(*order).limit(limit))
    return [Expired(Reached(row.expires_at, CustomerId(row.customer_id), row.id), row.is_unsettled) for row in rows]


async def insert_unsettled(tx: db.Tx, new: Sequence[tuple[UUID, Reached]], *, at: datetime) -> None:
    """Note that the usage of calls was not told; what was noted before stays."""
    rows = [
        {
            "customer_id": each.customer_id,
            "id": own,
            "reservation_id": each.reservation_id,
            "expired_at": each.expires_at,
            "found_at": at,
        }
        for own, each in new
    ]
    if rows:
        await tx.execute(pg.insert(limit_unsettled).on_conflict_do_nothing(), rows)


async def sums_of(tx: db.Tx, customer_ids: Collection[CustomerId], *, since: datetime) -> list[Sum]:
    """Return what was found of customers since an instant and is unsettled still."""
    statement = (
        sa.select(
            _found.customer_id,
            customer.c.environment,
            sa.func.count().label("calls"),
            sa.func.coalesce(sa.func.sum(_held.cost), 0).label("cost"),
            sa.func.count().filter(_held.cost.is_(None)).label("unpriced"),
        )
        .join(limit_reservation, _OPEN)
        .join(customer, customer.c.customer_id == _found.customer_id)
        .where(_found.customer_id.in_(customer_ids), _found.found_at >= since)
        .group_by(_found.customer_id, customer.c.environment)
        .order_by(_found.customer_id)
    )
    return [
        Sum(CustomerId(row.customer_id), Environment(row.environment), row.calls, Decimal(row.cost), row.unpriced)
        for row in await tx.rows(statement)
    ]


async def list_unsettled(
    tx: db.Tx, *, environment: Environment | None, of: CustomerId | None, before: UUID | None, limit: int
) -> list[Unsettled]:
    """Return calls whose usage was not told, the one found last first."""
    statement = sa.select(limit_unsettled, _held.subscription_id, _held.event_type, _held.created_at, _held.cost)
    statement = statement.join(limit_reservation, _OPEN)
    if environment is not None:
        statement = statement.join(customer, customer.c.customer_id == _found.customer_id)
        statement = statement.where(customer.c.environment == environment)
    if of is not None:
        statement = statement.where(_found.customer_id == of)
    if before is not None:
        statement = statement.where(_found.id < before)
    return [_unsettled(row) for row in await tx.rows(statement.order_by(_found.id.desc()).limit(limit))]


async def delete_unsettled(tx: db.Tx, before: datetime, *, limit: int) -> int:
    """Delete what was found long ago, a bounded number; return how many."""
    old = sa.select(_found.customer_id, _found.id).where(_found.found_at < before).limit(limit)
    deleted = await tx.execute(sa.delete(limit_unsettled).where(sa.tuple_(_found.customer_id, _found.id).in_(old)))
    return deleted.rowcount


def _unsettled(row: sa.Row[Any]) -> Unsettled:
    return Unsettled(
        row.id,
        Name(CustomerId(row.customer_id), row.reservation_id, type_digest_of(row.event_type)),
        SubscriptionId(row.subscription_id),
        row.event_type,
        row.created_at,
        row.expired_at,
        row.found_at,
        row.cost,
    )
