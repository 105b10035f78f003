"""Table and statements of looks at unanswered calls."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import CustomerId

overdue_look = sa.Table(
    "overdue_look",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True, comment="of the attempt or the refund"),
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("next_at", db.Instant, nullable=False, comment="real time"),
    sa.CheckConstraint("looks >= 1", name="looks"),
    comment="unanswered calls to the payment provider that were looked at, and when they are again",
)

_look = overdue_look.c


def due(rows: sa.Table, *, sent_before: datetime, at: datetime, states: Sequence[str], limit: int) -> sa.Select[Any]:
    """Select the rows of a table in some states whose answer is overdue and whose next look is due, in that order."""
    own = rows.c
    of_row = sa.and_(_look.customer_id == own.customer_id, _look.id == own.id)
    return (
        sa.select(rows)
        .outerjoin(overdue_look, of_row)
        .where(own.state.in_(states), own.sent_at < sent_before)
        .where(sa.or_(_look.next_at.is_(None), _look.next_at <= at))
        .order_by(sa.func.coalesce(_look.next_at, own.sent_at), own.id)
        .limit(limit)
    )


async def count_looks(tx: db.Tx, customer_id: CustomerId, row_id: UUID) -> int:
    """Return how often a row was looked at."""
    statement = sa.select(_look.looks).where(_look.customer_id == customer_id, _look.id == row_id)
    return int(await tx.value(statement) or 0)


async def upsert_look(tx: db.Tx, customer_id: CustomerId, row_id: UUID, *, looks: int, next_at: datetime) -> None:
    """Write how often a row was looked at, and when it is again."""
    values = {"customer_id": customer_id, "id": row_id, "looks": looks, "next_at": next_at}
    statement = pg.insert(overdue_look).values(values)
    changed = {"looks": looks, "next_at": next_at}
    await tx.execute(statement.on_conflict_do_update(index_elements=["customer_id", "id"], set_=changed))


async def delete_look(tx: db.Tx, customer_id: CustomerId, row_id: UUID) -> None:
    """Forget the looks at a row that has its answer."""
    await tx.execute(sa.delete(overdue_look).where(_look.customer_id == customer_id, _look.id == row_id))


async def delete_looks(tx: db.Tx, *, due_before: datetime, limit: int) -> int:
    """Delete looks that were due before an instant."""
    old = sa.select(_look.customer_id, _look.id).where(_look.next_at < due_before).limit(limit).cte("old")
    statement = sa.delete(overdue_look).where(_look.customer_id == old.c.customer_id, _look.id == old.c.id)
    return (await tx.execute(statement)).rowcount
