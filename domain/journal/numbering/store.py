"""Statements that number billing events, and read them by number."""

from typing import Any

import sqlalchemy as sa

from domain import db
from domain.journal.store import billing_event, try_lock
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass

_LOCK = 0x5EA2


@dataclass(frozen=True, slots=True)
class Numbered:
    """What the sealer has numbered; enough to find whom it concerns."""

    customer_id: CustomerId
    type: str
    metadata: dict[str, Any]
    number: int


async def try_numbering(tx: db.Tx) -> bool:
    """Be the only one to number until the transaction ends. False where another one is."""
    return await try_lock(tx, _LOCK)


async def save_numbers(tx: db.Tx, *, limit: int) -> list[Numbered]:
    """Give numbers to the oldest events without one, in the order in which they were written."""
    event, told = billing_event.c, billing_event.alias("told")
    fresh = (
        sa.select(event.customer_id, event.id, event.written)
        .where(event.number.is_(None))
        .order_by(event.written)
        .limit(limit)
        .cte("fresh")
    )
    head = sa.select(sa.func.coalesce(sa.func.max(told.c.number), 0)).scalar_subquery()
    own_head = (
        sa.select(sa.func.coalesce(sa.func.max(told.c.sequence), 0))
        .where(told.c.customer_id == fresh.c.customer_id)
        .scalar_subquery()
    )
    placed = sa.select(
        fresh.c.customer_id,
        fresh.c.id,
        (head + sa.func.row_number().over(order_by=fresh.c.written)).label("number"),
        (own_head + sa.func.row_number().over(partition_by=fresh.c.customer_id, order_by=fresh.c.written)).label("own"),
    ).cte("placed")
    statement = (
        sa.update(billing_event)
        .where(event.customer_id == placed.c.customer_id, event.id == placed.c.id)
        .values(number=placed.c.number, sequence=placed.c.own)
        .returning(event.customer_id, event.type, event.metadata, event.number)
    )
    found = [Numbered(*tuple(row)) for row in await tx.rows(statement)]
    return sorted(found, key=lambda each: each.number)
