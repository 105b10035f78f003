"""Statements on jobs that have failed."""

from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.journal.store import outbox_job
from domain.kernel.ids import JobId


async def save_failed_job_pending(tx: db.Tx, job_id: JobId, *, at: datetime) -> bool:
    """Offer a failed job again. False where it is not failed, or another of its kind and key is pending."""
    job, other = outbox_job.c, outbox_job.alias()
    waits = sa.exists().where(other.c.kind == job.kind, other.c.key == job.key, other.c.state == "pending")
    statement = (
        sa.update(outbox_job)
        .where(job.id == job_id, job.state == "failed", ~waits)
        .values(state="pending", retry_at=at, attempts=0, runs=0, ended_at=None)
    )
    return (await tx.execute(statement)).rowcount == 1


async def save_failed_jobs_pending(tx: db.Tx, kind: str, *, error: str | None, at: datetime, limit: int) -> int:
    """Offer failed jobs of a kind, or those with one error, again, and return how many.

    Of several about the same thing it is the newest, and none where one is pending.
    """
    job, other = outbox_job.c, outbox_job.alias()
    stands_back = sa.exists().where(
        other.c.kind == job.kind,
        other.c.key == job.key,
        sa.or_(other.c.state == "pending", (other.c.state == "failed") & (other.c.id > job.id)),
    )
    failed = sa.select(job.customer_id, job.id).where(job.kind == kind, job.state == "failed", ~stands_back)
    if error is not None:
        failed = failed.where(job.last_error == error)
    chosen = failed.order_by(job.id).limit(limit).with_for_update(skip_locked=True).cte("chosen")
    statement = (
        sa.update(outbox_job)
        .where(job.customer_id == chosen.c.customer_id, job.id == chosen.c.id)
        .values(state="pending", retry_at=at, attempts=0, runs=0, ended_at=None)
    )
    return (await tx.execute(statement)).rowcount
