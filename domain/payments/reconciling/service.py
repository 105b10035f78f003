"""Compare what the gateway holds with our rows, page by page, heal what was but lost news, and report the rest.

Where a run stands is in the database: broken off anywhere, it goes on from its last page. Nothing that moves money is
done by it: what it heals is what a webhook or a job that was lost would have done.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from domain.access.roles import Permission
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import encode
from domain.kernel.values import dataclass
from domain.payments import service as payments
from domain.payments.disputing import service as disputing
from domain.payments.ordering.service import stage
from domain.payments.port import GatewayEnvironmentDiffers, GatewayRefused, PaymentGateway
from domain.payments.reconciling import run as runs
from domain.payments.reconciling import store
from domain.payments.reconciling.comparing import service as comparing
from domain.payments.reconciling.comparing.service import Compared
from domain.payments.reconciling.finding import Finding, Found, Outcome, Remedy
from domain.payments.reconciling.run import Run
from domain.payments.refunding import service as refunding
from domain.payments.transferring import service as transferring

# Pages of one job: each asks the gateway up to ROWS_MAX times, and a job has two minutes.
STEPS_MAX = 2
FINDINGS_MAX = 100
RUNS_MAX = 100
NOTE_LENGTH_MAX = 500


@dataclass(eq=False)
class FindingNotFound(DomainError):
    """There is no open finding with this id. See the list of findings."""

    code = "finding_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class FindingNoteMalformed(DomainError):
    """A note has 1 to {length_max} characters: say what was done about it."""

    code = "finding_note_malformed"
    kind = Kind.INVALID
    length_max: int = NOTE_LENGTH_MAX


async def start(
    tx: Tx, call: Call, gateway: PaymentGateway, *, trigger: str, environment: Environment | None = None
) -> Run:
    """Begin a comparison of the gateway's environment and stage it; return the one under way where there is one.

    `trigger` is schedule, staff or command. Raises Forbidden; GatewayEnvironmentDiffers where another is wanted.
    """
    _need(call, Permission.JOB_WRITE)
    if environment not in {None, gateway.environment}:
        raise GatewayEnvironmentDiffers(str(environment))
    environment = gateway.environment
    last = await store.find_last_ended(tx, environment)
    new = runs.begin(call.new_id(), environment, call.at, last=last, trigger=trigger)
    if await store.insert_run(tx, new):
        await journal.audit(tx, call, "start_reconciliation", encode("reconciliation", new.id))
    else:
        [new] = await store.list_runs(tx, environment=environment, before=None, limit=1)
    if new.ended_at is None:
        await journal.stage(tx, call, jobs.Reconcile(new.id))
    return new


async def start_nightly(tx: Tx, call: Call, gateway: PaymentGateway) -> Run | None:
    """Begin the comparison of this night, unless it was begun. Safe to repeat."""
    newest = await store.list_runs(tx, environment=gateway.environment, before=None, limit=1)
    if not runs.is_due(newest[0].started_at if newest else None, call.at):
        return None
    return await start(tx, call, gateway, trigger="schedule")


async def go_on(db: Database, gateway: PaymentGateway, call: Call, run_id: UUID, *, steps: int = STEPS_MAX) -> Run:
    """Compare some more pages of a run and return how far it is.

    Safe to repeat, and to run beside another worker: the page of whoever was first counts. Raises GatewayUnavailable,
    GatewayEnvironmentDiffers.
    """
    async with db.transaction() as tx:
        run = await store.find_run(tx, run_id)
    assert run is not None, "a run is never deleted"
    if run.environment is not gateway.environment:
        raise GatewayEnvironmentDiffers(run.environment)
    for _ in range(steps):
        if run.ended_at is not None:
            break
        run = await _step(db, gateway, call, run)
    return run


async def count_waiting(tx: Tx, run: Run) -> int:
    """Return how many differences need a person, in the environment of a comparison."""
    return await store.count_open(tx, run.environment)


async def count_healed(tx: Tx, run: Run) -> int:
    """Return how many differences a comparison has healed."""
    return await store.count_healed(tx, run)


async def list_runs(tx: Tx, call: Call, *, before: UUID | None, limit: int) -> Sequence[Run]:
    """Return comparisons, the newest first, at most RUNS_MAX and one more. Raises Forbidden."""
    _need(call, Permission.JOB_READ)
    return await store.list_runs(tx, environment=None, before=before, limit=min(limit, RUNS_MAX + 1))


async def list_findings(
    tx: Tx,
    call: Call,
    *,
    outcome: Outcome | None,
    run_id: UUID | None,
    before: UUID | None,
    limit: int,
    environment: Environment | None = None,
) -> Sequence[Finding]:
    """Return findings, the newest first, at most FINDINGS_MAX and one more. Raises Forbidden."""
    _need(call, Permission.JOB_READ)
    return await store.list_findings(
        tx,
        environment=environment,
        outcome=outcome,
        run_id=run_id,
        before=before,
        limit=min(limit, FINDINGS_MAX + 1),
    )


async def close_finding(tx: Tx, call: Call, finding_id: UUID, *, note: str) -> Finding:
    """Close a finding that a person has seen to; the next run reports it anew where it is still so.

    Raises Forbidden, FindingNotFound, FindingNoteMalformed.
    """
    _need(call, Permission.JOB_WRITE)
    if not 1 <= len(note.strip()) <= NOTE_LENGTH_MAX:
        raise FindingNoteMalformed
    before = await store.lock_finding(tx, finding_id)
    if before is None or before.outcome is not Outcome.OPEN:
        raise FindingNotFound
    await store.save_closed(tx, [finding_id], outcome=Outcome.CLOSED, at=call.at, note=note.strip())
    facts = {"kind": before.kind, "about": before.about, "ours": before.ours, "theirs": before.theirs}
    await journal.audit(tx, call, "close_drift_finding", encode("finding", finding_id), facts=facts)
    after = await store.lock_finding(tx, finding_id)
    assert after is not None, "a finding is never deleted"
    return after


async def _step(db: Database, gateway: PaymentGateway, call: Call, run: Run) -> Run:
    """Compare one page, heal and report what was found on it, and write where the run stands then."""
    try:
        page = await comparing.compare(db, gateway, run)
    except GatewayRefused:
        if run.after is None:
            raise
        # The gateway has forgotten the thing at which the last page ended: the stage begins anew.
        page = None
    if page is not None:
        for found in page.found:
            await _report(db, gateway, call, run, found)
    async with db.transaction() as tx:
        after = _after(run, page, call)
        if page is not None:
            await store.save_closed(tx, page.gone, outcome=Outcome.GONE, at=call.at)
        await store.save_run(tx, run, after)
        stands = await store.find_run(tx, run.id)
    assert stands is not None, "a run is never deleted"
    return stands


def _after(run: Run, page: Compared | None, call: Call) -> Run:
    if page is None:
        return runs.again(run)
    return runs.go_on(run, compared=page.count, after=page.after, at=call.at)


async def _report(db: Database, gateway: PaymentGateway, call: Call, run: Run, found: Found) -> None:
    """Heal a difference where that is safe, and write it down either way."""
    is_healed = await _REMEDIES[found.remedy](db, gateway, call, found)
    write = store.insert_healed if is_healed else store.upsert_finding
    async with db.transaction() as tx:
        await write(tx, run, found, new_id=call.new_id(), at=call.at)


async def _leave(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    del db, gateway, call, found
    return False


async def _follow_invoice(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    """Do what the webhook that was lost would have done; healed is what a second look does not find any more."""
    await payments.settle_from_gateway(db, gateway, call, found.about)
    left = await comparing.look_at_copy(db, gateway, found.about)
    return not any(each.kind is found.kind for each in left)


async def _follow_method(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    """Likewise, of a payment method; one that is not there at all cannot be followed."""
    return await payments.record_from_gateway(db, gateway, call, found.about) is not None


async def _follow_refund(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    """Likewise, of a refund."""
    await refunding.settle_from_gateway(db, gateway, call, found.about)
    left = await comparing.look_at_refund(db, gateway, found.about)
    return not any(each.kind is found.kind for each in left)


async def _follow_dispute(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    """Likewise, of a dispute; one that we may not follow stays for a person."""
    await disputing.settle_from_gateway(db, gateway, call, found.about)
    return not await comparing.look_at_dispute(db, gateway, found.about)


async def _follow_cash(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    """Likewise, of what a customer has transferred."""
    return await transferring.converge(db, gateway, call, found.about) is not None


async def _collect(db: Database, gateway: PaymentGateway, call: Call, found: Found) -> bool:
    """Stage what brings the copy to ours; the next run says whether it has."""
    del gateway
    assert found.customer_id is not None, "an invoice has an owner"
    assert found.invoice_id is not None, "the finding is about one"
    async with db.transaction() as tx:
        await stage(tx, call, jobs.CollectInvoice(found.customer_id, found.invoice_id), found.customer_id)
    return True


def _need(call: Call, permission: Permission) -> None:
    """Refuse callers who work in one environment or for one customer: the report is of all. Raises Forbidden."""
    call.need(permission)
    if call.scope is not None or call.principal.environment is not None:
        raise Forbidden(permission)


_Remedy = Callable[[Database, PaymentGateway, Call, Found], Awaitable[bool]]
_REMEDIES: dict[Remedy, _Remedy] = {
    Remedy.PERSON: _leave,
    Remedy.FOLLOW_INVOICE: _follow_invoice,
    Remedy.FOLLOW_METHOD: _follow_method,
    Remedy.FOLLOW_REFUND: _follow_refund,
    Remedy.FOLLOW_DISPUTE: _follow_dispute,
    Remedy.FOLLOW_CASH: _follow_cash,
    Remedy.COLLECT: _collect,
}
