"""Offer jobs that failed for good again, one or all of a kind, after a person has mended the cause."""

from domain.db import Tx
from domain.journal import service as journal
from domain.journal import store as jobs_store
from domain.journal.jobs import KINDS
from domain.journal.retrying import store
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import JobId, encode
from domain.kernel.values import dataclass

# Jobs that are offered again at once: about as many as the queue holds.
RETRIED_MAX = 500


@dataclass(eq=False)
class JobNotFailed(DomainError):
    """There is no failed job with this id. See the list of failed jobs."""

    code = "job_not_failed"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class JobWaits(DomainError):
    """Another job of this kind about the same thing waits already. It is tried by itself; see what becomes of it."""

    code = "job_waits"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class JobKindUnknown(DomainError):
    """There is no such kind of job. There are {kinds}."""

    code = "job_kind_unknown"
    kind = Kind.INVALID
    kinds: str


async def retry(tx: Tx, call: Call, job_id: JobId) -> None:
    """Offer a job that failed for good again, after a person has mended the cause. Raises JobNotFailed, JobWaits."""
    found = await jobs_store.find_job(tx, job_id)
    if found is None or found.state != "failed":
        raise JobNotFailed
    if not await store.save_failed_job_pending(tx, job_id, at=call.at):
        raise JobWaits
    await journal.audit(tx, call, "retry_job", encode("job", job_id))


async def retry_kind(tx: Tx, call: Call, kind: str, *, error: str | None) -> int:
    """Offer failed jobs of a kind, or only those with one error, again, the oldest RETRIED_MAX; return how many.

    Of several about the same thing it is the newest one, and none where one waits. Raises JobKindUnknown.
    """
    if kind not in KINDS:
        raise JobKindUnknown(", ".join(sorted(KINDS)))
    count = await store.save_failed_jobs_pending(tx, kind, error=error, at=call.at, limit=RETRIED_MAX)
    if count:
        await journal.audit(tx, call, "retry_jobs", kind, facts={"count": count, "error": error})
    return count
