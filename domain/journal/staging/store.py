"""Statements on outbox jobs whose speed matters, and on jobs that leave no trace."""

from collections.abc import Collection, Mapping
from datetime import datetime

import asyncpg
import sqlalchemy as sa

from domain import db
from domain.journal.store import StoredJob, outbox_job
from domain.kernel.ids import ClockId, CustomerId

# The look comes before the insert: a row that is there is neither locked nor waited for. A row's id is that of the
# first one but for its last four digits, which count on.
_INSERT_MISSING = """
INSERT INTO outbox_job
    (customer_id, id, kind, payload, key, clock_id, run_at, retry_at, state, attempts, created_at)
SELECT n.id, ($3 || lpad(to_hex(n.position), 4, '0'))::uuid, $1, jsonb_build_object('customer_id', n.id::text),
    n.id::text, c.clock_id, coalesce(c.now_at, $4), $5, 'pending', 0, $4
FROM unnest($2::text::uuid[]) WITH ORDINALITY AS n (id, position)
LEFT JOIN unnest($6::uuid[], $7::uuid[], $8::timestamptz[]) AS c (id, clock_id, now_at) ON c.id = n.id
WHERE NOT EXISTS (SELECT FROM outbox_job o WHERE o.kind = $1 AND o.key = n.id::text AND o.state = 'pending')
ON CONFLICT (kind, key) WHERE state = 'pending' DO NOTHING
"""
_COUNTED_DIGITS = 4


async def insert_missing(
    driver: asyncpg.Connection,
    kind: str,
    customers: Collection[CustomerId],
    *,
    first_id: str,
    at: datetime,
    retry_at: datetime,
    clocks: Mapping[CustomerId, tuple[ClockId, datetime]],
) -> None:
    """Insert a job of one kind for each customer, but for those of whom one waits. `clocks` has those on a clock."""
    await driver.execute(
        _INSERT_MISSING,
        kind,
        f"{{{','.join([each.hex for each in customers])}}}",
        first_id[:-_COUNTED_DIGITS],
        at,
        retry_at,
        list(clocks),
        [clock_id for clock_id, _ in clocks.values()],
        [now for _, now in clocks.values()],
    )


async def save_keyless(tx: db.Tx, job: StoredJob) -> None:
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
