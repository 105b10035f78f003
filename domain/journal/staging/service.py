"""Stage a job for many customers in one statement, and run jobs of which another one may be staged meanwhile.

Such a job looks at how things stand, so one that waits stands for all that happens until it begins. From then on the
next one is staged, however long the first runs. It leaves no row: there may be one a second for each customer.
"""

import dataclasses
from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from domain.db import Tx
from domain.journal.job import Job
from domain.journal.staging import store
from domain.journal.store import StoredJob
from domain.kernel.ids import ClockId, CustomerId

# The ids of one statement's jobs differ in their last four digits.
CUSTOMERS_MAX = 0xFFFF


async def stage_missing(
    driver: asyncpg.Connection,
    job: type[Job],
    customers: Collection[CustomerId],
    *,
    first_id: UUID,
    at: datetime,
    retry_at: datetime,
    clocks: Mapping[CustomerId, tuple[ClockId, datetime]],
) -> None:
    """Stage a job that names nothing but its customer for each of some, unless one of theirs waits: one statement.

    `clocks` holds the clocks, with what they show, of those customers that have one. A job is not offered before the
    real instant `retry_at`.
    """
    assert [field.name for field in dataclasses.fields(job)] == ["customer_id"], "the customer is all that it names"
    assert len(customers) <= CUSTOMERS_MAX, "more than a flush may hold"
    if customers:
        await store.insert_missing(
            driver, job.kind, customers, first_id=first_id.hex, at=at, retry_at=retry_at, clocks=clocks
        )


async def begin(tx: Tx, stored: StoredJob) -> None:
    """Let another job of the same key be staged from the commit on; this one is still pending. Safe to repeat."""
    await store.save_keyless(tx, stored)


async def drop(tx: Tx, stored: StoredJob) -> None:
    """End a job in the transaction of its last effect, and keep no row of it. Safe to repeat."""
    await store.delete_job(tx, stored)
