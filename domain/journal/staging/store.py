"""Statements on outbox jobs whose speed matters, and on jobs that leave no trace."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import sqlalchemy as sa

from domain import db
from domain.journal.store import StoredJob, outbox_job
from domain.kernel.ids import ClockId, CustomerId, JobId


@dataclass(frozen=True, slots=True)
class NewJob:
    """A row of a job of some kind with a key."""

    customer_id: CustomerId
    id: JobId
    payload: Mapping[str, Any]
    key: str
    clock_id: ClockId | None
    run_at: datetime
    retry_at: datetime
    created_at: datetime


# The look comes before the insert: a row that is there is neither locked nor waited for.
_INSERT_MISSING = """
INSERT INTO outbox_job
    (customer_id, id, kind, payload, key, clock_id, run_at, retry_at, state, attempts, created_at)
SELECT n.customer_id, n.id, $1, n.payload::jsonb, n.key, n.clock_id, n.run_at, n.retry_at, 'pending', 0, n.created_at
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[], $8::timestamptz[],
    $9::timestamptz[]) AS n (customer_id, id, payload, key, clock_id, run_at, retry_at, created_at)
WHERE NOT EXISTS (SELECT FROM outbox_job o WHERE o.kind = $1 AND o.key = n.key AND o.state = 'pending')
ON CONFLICT DO NOTHING
"""


async def insert_missing(driver: asyncpg.Connection, kind: str, new: Sequence[NewJob]) -> None:
    """Insert jobs of one kind, but for those of whose key one is pending."""
    await driver.execute(
        _INSERT_MISSING,
        kind,
        [each.customer_id for each in new],
        [each.id for each in new],
        [json.dumps(each.payload, separators=(",", ":"), sort_keys=True) for each in new],
        [each.key for each in new],
        [each.clock_id for each in new],
        [each.run_at for each in new],
        [each.retry_at for each in new],
        [each.created_at for each in new],
    )


async def save_job_begun(tx: db.Tx, job: StoredJob) -> None:
    """Take a pending job's key away, so that another one may wait."""
    await tx.execute(
        sa.update(outbox_job)
        .where(outbox_job.c.customer_id == job.customer_id, outbox_job.c.id == job.id, outbox_job.c.state == "pending")
        .values(key=None)
    )


async def delete_job(tx: db.Tx, job: StoredJob) -> None:
    """Delete a job."""
    await tx.execute(
        sa.delete(outbox_job).where(outbox_job.c.customer_id == job.customer_id, outbox_job.c.id == job.id)
    )
