"""Count what is still to be closed and what was refused. Reads only: the jobs do the closing."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.journal.store import outbox_job
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.waiting.store import closing_of, waiting_on


@dataclass(frozen=True, slots=True)
class Refused:
    """A subscription that is due and could not be closed so often, with the code of the last error."""

    customer_id: CustomerId
    subscription_id: SubscriptionId
    attempts: int
    error: str


async def count_due(tx: db.Tx, *, now: datetime) -> int:
    """Count the subscriptions that are due in real time, staged or not."""
    waiting = waiting_on(None).subquery()
    statement = sa.select(sa.func.count()).select_from(waiting).where(waiting.c.due_at <= now)
    return int(await tx.value(statement) or 0)


async def list_refused(tx: db.Tx, *, now: datetime, attempts_min: int, limit: int) -> Sequence[Refused]:
    """Return what is due in real time and was refused so often by the job that is to close it; oldest first.

    A job that failed for good is followed by another one while its subscription is due.
    """
    waiting, job = waiting_on(None).subquery(), outbox_job.c
    statement = (
        sa.select(waiting.c.customer_id, waiting.c.id, job.attempts, job.last_error)
        .join(waiting, closing_of(waiting.c.id) & (job.customer_id == waiting.c.customer_id))
        .where(job.state == "pending", job.attempts >= attempts_min, waiting.c.due_at <= now)
        .order_by(waiting.c.due_at, waiting.c.id)
        .limit(limit)
    )
    return [Refused(row.customer_id, row.id, row.attempts, row.last_error or "") for row in await tx.rows(statement)]
