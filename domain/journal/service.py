"""Write the journal inside the transaction of the change, and read it back."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.db import Tx
from domain.journal import store
from domain.journal.job import Job
from domain.journal.jobs import KINDS
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import NOBODY, ClockId, CustomerId, JobId
from domain.kernel.money import Money

ATTEMPTS_MAX = 12
RETRY_FIRST_S = 1
RETRY_MAX_S = 300
# Of a job that waits for an outside party to answer again. After ten pauses of 1 to 512 s, 1,023 s in all, it is tried
# every 900 s: 95 such pauses make a day.
OUTAGE_ATTEMPTS_MAX = 106
OUTAGE_RETRY_MAX_S = 900
# Runs that ended with their worker. More are not begun: it may be the job that ends them.
DEATHS_MAX = 10
SEAL_BATCH = 1_000
IDEMPOTENCY_DAYS = 30
KEY_LENGTH_MAX = 255


@dataclasses.dataclass(eq=False)
class IdempotencyConflict(DomainError):
    """This idempotency key was used before with another input. Use a new key for a new request."""

    code = "idempotency_conflict"
    kind = Kind.CONFLICT


@dataclasses.dataclass(eq=False)
class IdempotencyKeyMalformed(DomainError):
    """An idempotency key has 1 to {length_max} characters."""

    code = "idempotency_key_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclasses.dataclass(eq=False)
class InProgress(DomainError):
    """A request with this idempotency key is still running. Send it again in a moment."""

    code = "in_progress"
    kind = Kind.BUSY


async def stage(
    tx: Tx,
    call: Call,
    job: Job,
    *,
    customer_id: CustomerId = NOBODY,
    clock_id: ClockId | None = None,
    run_at: datetime | None = None,
) -> None:
    """Stage a job in the caller's transaction; a worker carries it out after the commit. What is tried stages none.

    `run_at` is business time on `clock_id` (None: real time) and defaults to the call's instant, which is right for a
    real-time customer only: pass the customer's business time beside a clock. Safe to repeat for jobs with a key.
    """
    assert clock_id is None or run_at is not None, "a job on a test clock says when it is due on that clock"
    if tx.is_tried:
        return
    payload = {field.name: str(getattr(job, field.name)) for field in dataclasses.fields(job)}
    await store.insert_job(
        tx,
        {
            "customer_id": customer_id,
            "id": call.new_id(),
            "kind": job.kind,
            "payload": payload,
            "key": job.key,
            "clock_id": clock_id,
            "run_at": run_at or call.at,
            "retry_at": call.at,
            "created_at": call.at,
        },
    )


def read_job(stored: store.StoredJob) -> Job:
    """Rebuild the job that was staged: ids come back as UUIDs, everything else as text."""
    kind = KINDS[stored.kind]
    values = {
        field.name: stored.payload[field.name] if field.type is str else UUID(stored.payload[field.name])
        for field in dataclasses.fields(kind)
    }
    return kind(**values)


async def offer_due(
    tx: Tx,
    clocks: Sequence[tuple[ClockId | None, datetime]],
    *,
    at: datetime,
    until: datetime,
    limit: int,
    kinds: Collection[str] | None = None,
) -> list[store.StoredJob]:
    """Take the oldest jobs due on each of some clocks, at most `limit` in all, and keep them from others until then.

    `clocks` pairs a clock (None: real time) with the instant it shows; `at` and `until` are real instants. `kinds`
    leaves out all other kinds of job.
    """
    offered: list[store.StoredJob] = []
    for clock_id, now in clocks:
        room = limit - len(offered)
        if room > 0:
            offered += await store.claim_due_jobs(
                tx, clock_id=clock_id, now=now, at=at, until=until, limit=room, kinds=kinds
            )
    return offered


async def begin(tx: Tx, job_id: JobId, *, until: datetime) -> store.StoredJob | None:
    """Take an offered job in hand and keep it from other workers until a real instant; None where it has ended."""
    return await store.save_job_begun(tx, job_id, until=until)


async def keep_offer(tx: Tx, stored: store.StoredJob, *, until: datetime) -> None:
    """Keep a running job from other workers until a real instant."""
    await store.save_job_offer(tx, stored.id, until=until)


async def finish(tx: Tx, call: Call, stored: store.StoredJob) -> bool:
    """Mark a job done in the transaction of its last effect. False where another run was first."""
    return await store.save_job_end(tx, stored, state="done", at=call.at, error=None)


async def put_off(tx: Tx, call: Call, stored: store.StoredJob, *, error: str, is_outage: bool = False) -> bool:
    """Offer a job again with a doubling delay. After ATTEMPTS_MAX it ends as failed, and True is returned.

    `is_outage`: an outside party does not answer. Then it is tried for a day, at most OUTAGE_ATTEMPTS_MAX times.
    """
    attempts_max, retry_max_s = (OUTAGE_ATTEMPTS_MAX, OUTAGE_RETRY_MAX_S) if is_outage else (ATTEMPTS_MAX, RETRY_MAX_S)
    if stored.attempts + 1 >= attempts_max:
        await fail(tx, call, stored, error=error)
        return True
    delay_s = min(RETRY_FIRST_S * 2**stored.attempts, retry_max_s)
    await store.save_job_retry(tx, stored, retry_at=call.at + timedelta(seconds=delay_s), error=error)
    return False


async def fail(tx: Tx, call: Call, stored: store.StoredJob, *, error: str) -> None:
    """End a job as failed, for staff to look at."""
    await store.save_job_end(tx, stored, state="failed", at=call.at, error=error)


def is_deadly(stored: store.StoredJob) -> bool:
    """Whether the workers of a job that is begun died so often that it is not carried out any more."""
    return stored.runs - stored.attempts > DEATHS_MAX


async def audit(
    tx: Tx,
    call: Call,
    action: str,
    about: str,
    *,
    customer_id: CustomerId = NOBODY,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append who did what to which row. `facts` hold ids, states and amounts, never personal values or secrets.

    What is only tried was not done.
    """
    if tx.is_tried:
        return
    values: dict[str, Any] = {
        "customer_id": customer_id,
        "id": call.new_id(),
        "at": call.at,
        "call_id": call.id,
        "principal_kind": call.principal.kind,
        "principal_id": call.principal.id,
        "action": action,
        "about": about,
        "facts": dict(facts or {}),
    }
    canonical = json.dumps(values, sort_keys=True, default=str, separators=(",", ":"))
    await store.insert_audit_entry(tx, {**values, "digest": hashlib.sha256(canonical.encode()).digest()})


async def seal_audit(tx: Tx) -> int:
    """Give committed entries numbers and chain their digests; return how many.

    chain(n) = SHA-256(chain(n-1) + digest(n)); the chain before the first entry is empty.
    """
    entries = await store.lock_unsealed_entries(tx, limit=SEAL_BATCH)
    number, chain = await store.find_chain_head(tx) or (0, b"")
    for customer_id, entry_id, digest in entries:
        number, chain = number + 1, hashlib.sha256(chain + digest).digest()
        await store.save_seal(tx, customer_id=customer_id, entry_id=entry_id, number=number, chain=chain)
    return len(entries)


async def tell(
    tx: Tx,
    call: Call,
    now: datetime,
    customer_id: CustomerId,
    event_type: str,
    *,
    description: str,
    amount: Money | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Append a billing event: what happened to a customer's money or subscription, at business time `now`.

    What is only tried has not happened.
    """
    if tx.is_tried:
        return
    await store.insert_billing_event(
        tx,
        {
            "customer_id": customer_id,
            "id": call.new_id(),
            "at": now,
            "type": event_type,
            "amount_minor": amount.minor if amount else None,
            "currency": amount.currency if amount else None,
            "description": description,
            "metadata": dict(metadata or {}),
        },
    )


async def hold_key(tx: Tx, call: Call, mutation: str, key: str, *, customer_id: CustomerId) -> None:
    """Keep other calls with the same idempotency key out until the transaction ends. Raises InProgress."""
    whole = f"{customer_id}:{call.principal.id}:{mutation}:{key}"
    digest = hashlib.blake2b(whole.encode(), digest_size=8).digest()
    if not await store.try_lock(tx, int.from_bytes(digest, "big", signed=True)):
        raise InProgress


def input_digest(value: Mapping[str, Any]) -> bytes:
    """Digest a mutation's input; the order of its parts does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str, separators=(",", ":")).encode()).digest()


async def recall(tx: Tx, call: Call, mutation: str, key: str, *, customer_id: CustomerId, digest: bytes) -> Any | None:
    """Return the outcome kept for an idempotency key, or None where it is new.

    Raises IdempotencyConflict where the key was used with another input, IdempotencyKeyMalformed.
    """
    if not 1 <= len(key) <= KEY_LENGTH_MAX:
        raise IdempotencyKeyMalformed(KEY_LENGTH_MAX)
    kept = await store.find_idempotency(
        tx, customer_id=customer_id, principal_id=call.principal.id, mutation=mutation, key=key
    )
    if kept is not None and kept.input_digest != digest:
        raise IdempotencyConflict
    return kept.outcome if kept else None


async def remember(
    tx: Tx, call: Call, mutation: str, key: str, *, customer_id: CustomerId, digest: bytes, outcome: Mapping[str, Any]
) -> bool:
    """Keep an outcome (type and ids, or the problem) in the transaction of the effect.

    False where a concurrent call with the same key was first: the caller rolls back and recalls.
    """
    return await store.insert_idempotency(
        tx, _remembered(call, mutation, key, customer_id=customer_id, digest=digest, outcome=outcome)
    )


async def keep(
    tx: Tx, call: Call, mutation: str, key: str, *, customer_id: CustomerId, digest: bytes, outcome: Mapping[str, Any]
) -> None:
    """Keep an outcome in place of what stands for the key, which the caller holds in this transaction."""
    await store.save_idempotency(
        tx, _remembered(call, mutation, key, customer_id=customer_id, digest=digest, outcome=outcome)
    )


def _remembered(
    call: Call, mutation: str, key: str, *, customer_id: CustomerId, digest: bytes, outcome: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "principal_id": call.principal.id,
        "mutation": mutation,
        "key": key,
        "input_digest": digest,
        "outcome": dict(outcome),
        "created_at": call.at,
    }


async def forget(tx: Tx, call: Call, *, done_jobs_days: int, limit: int) -> int:
    """Delete jobs done long ago and idempotency rows past their promise of IDEMPOTENCY_DAYS; return how many.

    At most `limit` of each.
    """
    ended = await store.delete_ended_jobs(tx, before=call.at - timedelta(days=done_jobs_days), limit=limit)
    return ended + await store.delete_idempotency(tx, before=call.at - timedelta(days=IDEMPOTENCY_DAYS), limit=limit)
