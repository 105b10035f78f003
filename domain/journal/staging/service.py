"""Stage many jobs in one statement, and run jobs of which another one may be staged meanwhile.

Such a job looks at how things stand, so one that waits stands for all that happens until it begins. From then on the
next one is staged, however long the first runs. It leaves no row: there may be one a second for each customer.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from domain.db import Tx
from domain.journal.jobs import Job
from domain.journal.staging import store
from domain.journal.store import StoredJob
from domain.kernel.ids import ClockId, CustomerId, JobId


@dataclasses.dataclass(frozen=True, slots=True)
class Staged:
    """A job with a key, and when it is due. `retry_at` is the real instant before which it is not offered."""

    customer_id: CustomerId
    id: JobId
    job: Job
    clock_id: ClockId | None
    run_at: datetime
    retry_at: datetime
    created_at: datetime


async def stage_missing(driver: asyncpg.Connection, staged: Sequence[Staged]) -> None:
    """Stage jobs of one kind, each unless one of its key is pending already: one statement, none for none."""
    if not staged:
        return
    assert len({each.job.kind for each in staged}) == 1, "jobs of one kind"
    await store.insert_missing(
        driver,
        staged[0].job.kind,
        [
            store.NewJob(
                each.customer_id,
                each.id,
                {field.name: str(getattr(each.job, field.name)) for field in dataclasses.fields(each.job)},
                each.job.key or str(each.id),
                each.clock_id,
                each.run_at,
                each.retry_at,
                each.created_at,
            )
            for each in staged
        ],
    )


async def begin(tx: Tx, stored: StoredJob) -> None:
    """Let another job of the same key be staged from the commit on; this one is still pending. Safe to repeat."""
    await store.save_job_begun(tx, stored)


async def drop(tx: Tx, stored: StoredJob) -> None:
    """End a job in the transaction of its last effect, and keep no row of it. Safe to repeat."""
    await store.delete_job(tx, stored)
