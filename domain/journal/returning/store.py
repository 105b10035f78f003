"""The statement that gives a job back."""

from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.journal.store import StoredJob, outbox_job


async def save_job_given_back(tx: db.Tx, job: StoredJob, *, at: datetime) -> None:
    """Offer a pending job at a real instant, and count its run no more."""
    own = outbox_job.c
    statement = sa.update(outbox_job).where(own.customer_id == job.customer_id, own.id == job.id)
    await tx.execute(statement.where(own.state == "pending", own.runs > 0).values(runs=own.runs - 1, retry_at=at))
