"""Carry out one offered job: at least once, with its lease kept alive, its failures counted and put off.

An offered job waits in the queue for OFFER_S before it is offered again; a running one is leased for LEASE_S at a time.
So the jobs of a worker that was killed come back within LEASE_S, and those it had not begun as soon as anyone works.
One that is stopped gives back what it had begun.
"""

import asyncio
import contextlib
from datetime import timedelta

import structlog

from domain.access.roles import system_principal
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.db import DATABASE_ERRORS, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.parties import is_outage
from domain.journal.returning import service as returning
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.kernel.errors import DomainError
from domain.kernel.ids import JobId, encode
from domain.runtime import Runtime
from workers.registry import HANDLERS

OFFER_S = 10
LEASE_S = 5
HEARTBEAT_S = 1.5
JOB_TIMEOUT_S = 120
# A worker that is stopped waits no longer for its database.
GIVE_BACK_S = 3
# The error of a job that was begun often and never ended, nor failed.
WORKER_DIED = "worker_died"
_log = structlog.get_logger()


async def run(runtime: Runtime, job_id: JobId) -> None:
    """Run a job unless it has ended. An error puts it off; after the last attempt it is failed and staff see it."""
    stored = await _begin(runtime, job_id)
    if stored is None:
        return
    if journal.is_deadly(stored):
        await _give_up(runtime, stored)
        return
    call = runtime.call(system_principal(stored.kind))
    heartbeat = asyncio.create_task(_keep(runtime, stored))
    allowed = asyncio.timeout(JOB_TIMEOUT_S)
    try:
        job = journal.read_job(stored)
        async with allowed:
            await HANDLERS[type(job)](runtime, call, stored, job)
    except asyncio.CancelledError:
        if not allowed.expired():
            await _give_back(runtime, stored)
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a handler raises is written on its row, never lost
        await _put_off(runtime, stored, error)
    finally:
        heartbeat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await heartbeat


async def _begin(runtime: Runtime, job_id: JobId) -> StoredJob | None:
    """Lease a job that has not ended. The time that it has waited in the queue is not taken from the lease."""
    async with runtime.db.transaction() as tx:
        return await journal.begin(tx, job_id, until=runtime.now() + timedelta(seconds=LEASE_S))


async def _keep(runtime: Runtime, stored: StoredJob) -> None:
    """Renew the lease while the handler runs, so that no other worker is offered the job meanwhile."""
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        try:
            async with runtime.db.transaction() as tx:
                await journal.keep_offer(tx, stored, until=runtime.now() + timedelta(seconds=LEASE_S))
        except DATABASE_ERRORS as error:
            _log.warning("lease_not_renewed", job=str(stored.id), error=type(error).__name__)


async def _give_back(runtime: Runtime, stored: StoredJob) -> None:
    """Let others go on with a job at once: this worker is stopped. Without a database its lease ends by itself.

    A run that is given back is not one that ended its worker, however often workers are stopped while a party hangs.
    """
    try:
        async with asyncio.timeout(GIVE_BACK_S), runtime.db.transaction() as tx:
            await returning.give_back(tx, runtime.call(system_principal(stored.kind)), stored)
    except DATABASE_ERRORS as error:
        _log.warning("job_not_given_back", job=str(stored.id), error=type(error).__name__)


async def _put_off(runtime: Runtime, stored: StoredJob, error: Exception) -> None:
    name = error.code if isinstance(error, DomainError) else type(error).__name__
    call = runtime.call(system_principal(stored.kind))
    async with runtime.db.transaction() as tx:
        failed = await journal.put_off(tx, call, stored, error=name, is_outage=is_outage(stored.kind, error))
        if failed:
            await _alert(tx, call, stored, StaffAlertKind.JOB_FAILED, name)
        elif stored.attempts + 1 == journal.ATTEMPTS_MAX:
            await _alert(tx, call, stored, StaffAlertKind.JOB_WAITS, name)
    log = _log.error if failed else _log.warning
    log("job_failed" if failed else "job_put_off", job=str(stored.id), kind=stored.kind, error=name, exc_info=error)


async def _give_up(runtime: Runtime, stored: StoredJob) -> None:
    """Fail a job that may be what ends its workers: they have others to carry out."""
    call = runtime.call(system_principal(stored.kind))
    async with runtime.db.transaction() as tx:
        await journal.fail(tx, call, stored, error=WORKER_DIED)
        await _alert(tx, call, stored, StaffAlertKind.JOB_FAILED, WORKER_DIED)
    _log.error("job_failed", job=str(stored.id), kind=stored.kind, error=WORKER_DIED)


async def _alert(tx: Tx, call: Call, stored: StoredJob, kind: StaffAlertKind, error: str) -> None:
    """Tell staff of a job. A mail to staff that cannot be sent is no news that another one could bring."""
    if stored.kind != jobs.MailStaff.kind:
        facts = {"job_id": encode("job", stored.id), "kind": stored.kind, "error": error}
        await staffing.raise_alert(tx, call, kind, f"{stored.kind}: {error}", environment=None, facts=facts)
