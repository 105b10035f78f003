"""Tables and statements of the journal."""

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import ClockId, CustomerId, JobId, uuid7
from domain.kernel.values import dataclass
from domain.statement import Statement, given, narrowed

outbox_job = sa.Table(
    "outbox_job",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", db.Json, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("clock_id", db.Id, comment="null: due by real time"),
    sa.Column("run_at", db.Instant, nullable=False, comment="business time of the clock"),
    sa.Column("retry_at", db.Instant, nullable=False, comment="real time; also the end of the present offer"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, comment="tries that failed"),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("ended_at", db.Instant),
    sa.Column("runs", sa.Integer, nullable=False, server_default=sa.text("0"), comment="tries that were begun"),
    sa.CheckConstraint("state IN ('pending', 'done', 'failed')", name="state"),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    sa.Index("outbox_job_due_idx", "run_at", "retry_at", postgresql_where=sa.text("state = 'pending'")),
    sa.Index("outbox_job_key", "kind", "key", unique=True, postgresql_where=sa.text("state = 'pending'")),
    sa.Index("outbox_job_id_idx", "id"),
)

audit_entry = sa.Table(
    "audit_entry",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("at", db.Instant, nullable=False),
    sa.Column("call_id", db.Id, nullable=False),
    sa.Column("principal_kind", sa.Text, nullable=False),
    sa.Column("principal_id", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("facts", db.Json, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("number", sa.BigInteger, unique=True, comment="given by the sealer after commit"),
    sa.Column("chain", sa.LargeBinary, comment="digest of the chain up to this entry"),
    sa.Index("audit_entry_unsealed_idx", "id", postgresql_where=sa.text("number IS NULL")),
)

billing_event = sa.Table(
    "billing_event",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("at", db.Instant, nullable=False, comment="business time"),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("metadata", db.Json, nullable=False),
    sa.Column("written", sa.BigInteger, sa.Identity(always=True), comment="order within a transaction"),
    sa.Column("number", sa.BigInteger, unique=True, comment="its place among all, given by the sealer after commit"),
    sa.Column("sequence", sa.BigInteger, comment="its place among its customer's, without gaps"),
    sa.UniqueConstraint("customer_id", "sequence"),
    sa.CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="money"),
    sa.CheckConstraint("(number IS NULL) = (sequence IS NULL)", name="sequence"),
    sa.Index("billing_event_unnumbered_idx", "written", postgresql_where=sa.text("number IS NULL")),
    sa.Index("billing_event_customer_id_number_idx", "customer_id", "number"),
)

idempotency = sa.Table(
    "idempotency",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("principal_id", sa.Text, primary_key=True),
    sa.Column("mutation", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("input_digest", sa.LargeBinary, nullable=False),
    sa.Column("outcome", db.Json, nullable=False, comment="type and ids, or the problem; never rendered data"),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Index("idempotency_age_idx", "created_at"),
)


@dataclass(frozen=True, slots=True)
class StoredJob:
    """An outbox row as a worker sees it."""

    customer_id: CustomerId
    id: JobId
    kind: str
    payload: dict[str, Any]
    clock_id: ClockId | None
    run_at: datetime
    attempts: int
    runs: int
    state: str
    last_error: str | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which row, and when. `number` is None until the sealer has passed."""

    customer_id: CustomerId
    id: UUID
    at: datetime
    principal_kind: str
    principal_id: str
    action: str
    about: str
    facts: dict[str, Any]
    number: int | None


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """What happened to a customer's money or subscription, in the customer's words."""

    customer_id: CustomerId
    id: UUID
    at: datetime
    type: str
    amount_minor: int | None
    currency: str | None
    description: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The outcome of an earlier call with the same idempotency key."""

    input_digest: bytes
    outcome: dict[str, Any]


async def insert_job(tx: db.Tx, values: dict[str, Any]) -> bool:
    """Insert a pending job. Returns False where one of the same kind and key is pending."""
    given = {**values, "payload": json.dumps(values["payload"], sort_keys=True)}
    return await (await tx.raw()).fetchval(_INSERT_JOB, *(given[name] for name in _JOB_VALUES)) is not None


async def claim_due_jobs(
    tx: db.Tx,
    *,
    clock_id: ClockId | None,
    now: datetime,
    at: datetime,
    until: datetime,
    limit: int,
    kinds: Collection[str] | None = None,
) -> Sequence[StoredJob]:
    """Take the oldest jobs due on one clock, of all kinds or of some, and keep them from others until an instant.

    `at` and `until` are real instants, `now` is one of the clock.
    """
    job = outbox_job.c
    conditions = [
        *(job.state == "pending", job.clock_id.is_not_distinct_from(clock_id)),
        *(job.run_at <= now, job.retry_at <= at),
    ]
    if kinds is not None:
        conditions.append(is_of(kinds))
    due = (
        sa.select(job.customer_id, job.id)
        .where(*conditions)
        .order_by(job.run_at, job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        sa.update(outbox_job)
        .where(job.customer_id == due.c.customer_id, job.id == due.c.id)
        .values(retry_at=until)
        .returning(*_JOB_COLUMNS)
    )
    return sorted((_job(row) for row in await tx.rows(statement)), key=lambda found: (found.run_at, found.id))


async def find_job(tx: db.Tx, job_id: JobId) -> StoredJob | None:
    """Return a job, or None."""
    row = await tx.row(sa.select(*_JOB_COLUMNS).where(outbox_job.c.id == job_id))
    return _job(row) if row else None


async def save_job_end(tx: db.Tx, job: StoredJob, *, state: str, at: datetime, error: str | None) -> bool:
    """End a pending job. False where it has ended already."""
    done = await (await tx.raw()).execute(_END_JOB, job.customer_id, job.id, state, at, error)
    return bool(done == "UPDATE 1")


async def save_job_retry(tx: db.Tx, job: StoredJob, *, retry_at: datetime, error: str | None) -> None:
    """Count an attempt and offer the job again at a real instant."""
    await tx.execute(
        sa.update(outbox_job)
        .where(outbox_job.c.customer_id == job.customer_id, outbox_job.c.id == job.id, outbox_job.c.state == "pending")
        .values(retry_at=retry_at, attempts=outbox_job.c.attempts + 1, last_error=error)
    )


async def save_job_begun(tx: db.Tx, job_id: JobId, *, until: datetime) -> StoredJob | None:
    """Count a run of a pending job, keep others from it until a real instant, and return it; None where it ended."""
    job = outbox_job.c
    begun = sa.update(outbox_job).where(job.id == job_id, job.state == "pending")
    row = await tx.row(begun.values(retry_at=until, runs=job.runs + 1).returning(*_JOB_COLUMNS))
    return _job(row) if row else None


async def save_job_offer(tx: db.Tx, job_id: JobId, *, until: datetime) -> None:
    """Keep a pending job from other workers until a real instant."""
    job = outbox_job.c
    await tx.execute(sa.update(outbox_job).where(job.id == job_id, job.state == "pending").values(retry_at=until))


async def count_pending_jobs(tx: db.Tx, *, clock_id: ClockId | None, now: datetime, kinds: Sequence[str] = ()) -> int:
    """Count jobs due on a clock, of all kinds or of some."""
    job = outbox_job.c
    conditions = [job.state == "pending", job.clock_id.is_not_distinct_from(clock_id), job.run_at <= now]
    if kinds:
        conditions.append(job.kind.in_(kinds))
    return int(await tx.value(sa.select(sa.func.count()).select_from(outbox_job).where(*conditions)) or 0)


async def find_next_run_at(tx: db.Tx, *, clock_id: ClockId) -> datetime | None:
    """Return the earliest business instant at which a pending job of a clock is due."""
    statement = sa.select(sa.func.min(outbox_job.c.run_at)).where(
        outbox_job.c.state == "pending", outbox_job.c.clock_id == clock_id
    )
    found: datetime | None = await tx.value(statement)
    return found


async def list_failed_jobs(tx: db.Tx, *, limit: int) -> Sequence[StoredJob]:
    """Return failed jobs, newest first."""
    statement = (
        sa.select(*_JOB_COLUMNS).where(outbox_job.c.state == "failed").order_by(outbox_job.c.id.desc()).limit(limit)
    )
    return [_job(row) for row in await tx.rows(statement)]


async def delete_ended_jobs(tx: db.Tx, *, before: datetime, limit: int) -> int:
    """Delete jobs done before an instant; failed ones stay for staff to look at."""
    job = outbox_job.c
    # Ids are in the order of time and have an index: what was staged since is not looked at.
    first_since = uuid7(before, bytes)
    old = (
        sa.select(job.customer_id, job.id)
        .where(job.id < first_since, job.state == "done", job.ended_at < before)
        .order_by(job.id)
        .limit(limit)
        .cte("old")
    )
    statement = sa.delete(outbox_job).where(outbox_job.c.customer_id == old.c.customer_id, outbox_job.c.id == old.c.id)
    return (await tx.execute(statement)).rowcount


async def insert_audit_entry(tx: db.Tx, values: dict[str, Any]) -> None:
    """Append an audit entry."""
    await _AUDIT.run(tx, **values)


async def list_audit_entries(
    tx: db.Tx, *, scope: CustomerId | None, before: UUID | None, limit: int
) -> Sequence[AuditEntry]:
    """Return entries newest first; `before` is the id of the last one seen."""
    entry = audit_entry.c
    statement = sa.select(*(entry[field.name] for field in fields(AuditEntry))).order_by(entry.id.desc()).limit(limit)
    if scope is not None:
        statement = statement.where(entry.customer_id == scope)
    if before is not None:
        statement = statement.where(entry.id < before)
    return [AuditEntry(*tuple(row)) for row in await tx.rows(statement)]


async def lock_unsealed_entries(tx: db.Tx, *, limit: int) -> Sequence[tuple[CustomerId, UUID, bytes]]:
    """Return committed entries without a number, oldest first, after taking the sealer's lock."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_SEALER_LOCK)))
    entry = audit_entry.c
    unsealed = sa.select(entry.customer_id, entry.id, entry.digest).where(entry.number.is_(None))
    statement = unsealed.order_by(entry.id).limit(limit)
    return [(r.customer_id, r.id, r.digest) for r in await tx.rows(statement)]


async def find_chain_head(tx: db.Tx) -> tuple[int, bytes] | None:
    """Return the last number given and the chain's digest there."""
    statement = (
        sa.select(audit_entry.c.number, audit_entry.c.chain)
        .where(audit_entry.c.number.is_not(None))
        .order_by(audit_entry.c.number.desc())
        .limit(1)
    )
    row = await tx.row(statement)
    return (row.number, row.chain) if row else None


async def save_seal(tx: db.Tx, *, customer_id: CustomerId, entry_id: UUID, number: int, chain: bytes) -> None:
    """Give one entry its number; the database refuses any other update of it."""
    await tx.execute(
        sa.update(audit_entry)
        .where(audit_entry.c.customer_id == customer_id, audit_entry.c.id == entry_id)
        .values(number=number, chain=chain)
    )


async def insert_billing_event(tx: db.Tx, values: dict[str, Any]) -> None:
    """Append a billing event."""
    await _TELL.run(tx, **values)


async def list_billing_events_of(
    tx: db.Tx, ids: Collection[CustomerId], *, before: UUID | None, limit: int
) -> dict[CustomerId, list[BillingEvent]]:
    """Return the newest events of each customer, at most `limit`; `before` is the id of the last one seen."""
    found: dict[CustomerId, list[BillingEvent]] = {each: [] for each in ids}
    for row in await tx.rows(db.newest_of_each(billing_event, ids, before=before, limit=limit)):
        found[row.customer_id].append(BillingEvent(*(getattr(row, each.name) for each in fields(BillingEvent))))
    return found


async def try_lock(tx: db.Tx, number: int) -> bool:
    """Take an advisory lock until the transaction ends. False where another transaction holds it."""
    return bool(await tx.value(sa.select(sa.func.pg_try_advisory_xact_lock(number))))


async def insert_idempotency(tx: db.Tx, values: dict[str, Any]) -> bool:
    """Remember an outcome. False where the key was used before; waits for one that is still running."""
    statement = pg.insert(idempotency).values(values).on_conflict_do_nothing().returning(idempotency.c.key)
    return await tx.value(statement) is not None


async def save_idempotency(tx: db.Tx, values: dict[str, Any]) -> None:
    """Remember an outcome in place of what stands; the caller holds the key."""
    statement = pg.insert(idempotency).values(values)
    key = ["customer_id", "principal_id", "mutation", "key"]
    await tx.execute(statement.on_conflict_do_update(index_elements=key, set_={"outcome": values["outcome"]}))


async def find_idempotency(
    tx: db.Tx, *, customer_id: CustomerId, principal_id: str, mutation: str, key: str
) -> Remembered | None:
    """Return what an earlier call with this key came to, or None."""
    row = await _KEPT.row(tx, customer_id=customer_id, principal_id=principal_id, mutation=mutation, key=key)
    return Remembered(row.input_digest, row.outcome) if row else None


async def delete_idempotency(tx: db.Tx, *, before: datetime, limit: int) -> int:
    """Forget outcomes older than an instant."""
    kept = idempotency.c
    names = ("customer_id", "principal_id", "mutation", "key")
    old = sa.select(*(kept[name] for name in names)).where(kept.created_at < before).limit(limit).cte("old")
    statement = sa.delete(idempotency).where(*(kept[name] == old.c[name] for name in names))
    return (await tx.execute(statement)).rowcount


def is_of(kinds: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether a job is of one of some kinds.

    They are written into the statement: the server then finds them by the index of keys, however many others wait. Of
    a plan for kinds that it does not know it would look through all that are due.
    """
    return outbox_job.c.kind.in_(sa.bindparam("kinds", list(kinds), expanding=True, literal_execute=True))


_SEALER_LOCK = 0x5EA1
# The numbers are the sealer's.
_AUDIT = Statement(sa.insert(audit_entry).values(given(audit_entry, but=("number", "chain"))))
_TELL = Statement(sa.insert(billing_event).values(given(billing_event, but=("written", "number", "sequence"))))
_KEPT = Statement(
    sa.select(idempotency.c.input_digest, idempotency.c.outcome).where(
        *narrowed(idempotency, ("customer_id", "principal_id", "mutation", "key"))
    )
)
# Written out, since each job takes both: SQLAlchemy takes five times as long to make the statements.
_JOB_VALUES = ("customer_id", "id", "kind", "payload", "key", "clock_id", "run_at", "retry_at", "created_at")
_INSERT_JOB = """INSERT INTO outbox_job
(customer_id, id, kind, payload, key, clock_id, run_at, retry_at, created_at, state, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', 0)
ON CONFLICT (kind, key) WHERE state = 'pending' DO NOTHING RETURNING id"""
_END_JOB = """UPDATE outbox_job SET state = $3, ended_at = $4, last_error = $5
WHERE customer_id = $1 AND id = $2 AND state = 'pending'"""
_JOB_COLUMNS = [outbox_job.c[field.name] for field in fields(StoredJob)]


def _job(row: sa.Row[Any]) -> StoredJob:
    return StoredJob(*tuple(row))
