"""How many jobs are due and not done, for staff to see who keeps them waiting."""

from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.journal.parties import Party, kinds_of
from domain.journal.store import is_of, outbox_job
from domain.kernel.values import dataclass

# More are not counted.
COUNTED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs due in real time that may wait for one party and are not done, at most COUNTED_MAX of the oldest.

    `retried` is how many of them have come to nothing at least once, `error` the code with which the one of them that
    was tried most often did so last.
    """

    party: Party
    waiting: int
    retried: int
    oldest_at: datetime | None
    error: str | None


async def count_backlog(tx: db.Tx, party: Party, *, at: datetime) -> Backlog:
    """Count what is due of a party's jobs at a real instant."""
    job = outbox_job.c
    due = (
        sa.select(job.run_at, job.attempts, job.last_error)
        .where(job.state == "pending", job.clock_id.is_(None), job.run_at <= at, is_of(kinds_of([party])))
        .order_by(job.run_at)
        .limit(COUNTED_MAX)
        .cte("due")
    )
    tried = sa.select(due.c.last_error).where(due.c.attempts > 0).order_by(due.c.attempts.desc()).limit(1)
    row = await tx.row(
        sa.select(
            sa.func.count().label("waiting"),
            sa.func.count().filter(due.c.attempts > 0).label("retried"),
            sa.func.min(due.c.run_at).label("oldest_at"),
            tried.scalar_subquery().label("error"),
        ).select_from(due)
    )
    assert row is not None, "an aggregate has a row"
    return Backlog(party, *tuple(row))
