"""Table and statements of recurring tasks."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db

schedule = sa.Table(
    "schedule",
    db.metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("every_s", sa.Integer, nullable=False),
    sa.Column("next_run_at", db.Instant, nullable=False),
    sa.CheckConstraint("every_s > 0", name="every"),
)


async def insert_schedule(tx: db.Tx, *, name: str, every_s: int, first_at: datetime) -> None:
    """Add a recurring task, or change its interval."""
    statement = pg.insert(schedule).values(name=name, every_s=every_s, next_run_at=first_at)
    await tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"every_s": every_s}))


async def lock_due_schedules(tx: db.Tx, names: Collection[str], *, at: datetime) -> Sequence[tuple[str, int]]:
    """Lock those of some recurring tasks that are due; another worker's are skipped."""
    statement = (
        sa.select(schedule.c.name, schedule.c.every_s)
        .where(schedule.c.name.in_(names), schedule.c.next_run_at <= at)
        .order_by(schedule.c.next_run_at)
        .with_for_update(skip_locked=True)
    )
    return [(r.name, r.every_s) for r in await tx.rows(statement)]


async def save_schedule(tx: db.Tx, *, name: str, next_run_at: datetime) -> None:
    """Set when a recurring task runs next."""
    await tx.execute(sa.update(schedule).where(schedule.c.name == name).values(next_run_at=next_run_at))
