"""Jobs that collect money and follow it up."""

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.db import Tx
from domain.dunning import service as dunning
from domain.dunning.asking import service as asking
from domain.dunning.freezing import service as freezing
from domain.dunning.sending import service as sending
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.payments import service as payments
from domain.payments.dispute import Dispute, Stance, facts_of
from domain.payments.disputing import service as disputing
from domain.payments.extending import service as extending
from domain.payments.keeping import service as keeping
from domain.payments.reconciling import service as reconciling
from domain.payments.refunding import service as refunding
from domain.payments.unapplied import service as unapplied
from domain.payments.unapplied.payment import facts_of as facts_of_unapplied
from domain.runtime import Runtime

# What a dispute comes to that staff have to see to.
_ALERTS = {
    Stance.INQUIRY: StaffAlertKind.DISPUTE_OPENED,
    Stance.HELD: StaffAlertKind.DISPUTE_OPENED,
    Stance.LOST: StaffAlertKind.DISPUTE_LOST,
}


async def collect_invoice(
    runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CollectInvoice | jobs.CollectWhenDue
) -> None:
    """Push and charge one invoice; what was begun before a crash is found out first."""

    async def end(tx: Tx) -> None:
        await journal.finish(tx, call, stored)
        if isinstance(job, jobs.CollectWhenDue):
            await extending.wait_again(tx, call, job)

    await payments.collect(
        runtime.db, runtime.gateway, call, customer_id=job.customer_id, invoice_id=job.invoice_id, end=end
    )
    await runtime.wakeups.publish([job.customer_id])


async def payment_settled(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.PaymentSettled) -> None:
    """Move the subscriptions on the invoice, follow up what failed, and tell the customer."""
    async with runtime.db.transaction() as tx:
        await dunning.note_settled(tx, call, customer_id=job.customer_id, attempt_id=job.attempt_id)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def payment_method_missing(
    runtime: Runtime, call: Call, stored: StoredJob, job: jobs.PaymentMethodMissing
) -> None:
    """Follow an invoice up that has nothing to be charged to, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await asking.follow(tx, call, customer_id=job.customer_id, invoice_id=job.invoice_id)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def follow_sent_invoice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.FollowSentInvoice) -> None:
    """Do what has come of the calendar of a sent invoice, in one transaction with the job of its next day."""
    async with runtime.db.transaction() as tx:
        coming = await sending.follow(tx, call, job)
        await journal.finish(tx, call, stored)
        if coming is not None:
            await sending.stage_next(tx, call, coming)
    await runtime.wakeups.publish([job.customer_id])


async def run_dunning(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RunDunning) -> None:
    """Do what is due about a dunning case, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await dunning.run_case(tx, call, customer_id=job.customer_id, case_id=job.case_id)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def detach_method(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.DetachMethod) -> None:
    """Remove a method at the gateway too; again until it answers."""
    await keeping.carry_out_detach(
        runtime.db, runtime.gateway, call, customer_id=job.customer_id, method_id=job.method_id
    )
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)


async def carry_refund(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CarryRefund) -> None:
    """Send a refund, or look what became of it; one that is on its way is looked at again."""
    refund = await refunding.carry_out(
        runtime.db, runtime.gateway, call, customer_id=job.customer_id, refund_id=job.refund_id
    )
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        await refunding.look_again(tx, call, refund)
    await runtime.wakeups.publish([job.customer_id])


async def dispute_moved(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.DisputeMoved) -> None:
    """Tell staff what became of a dispute, and have dunning of its invoice stand still or go on."""
    async with runtime.db.transaction() as tx:
        dispute = await disputing.load_dispute(tx, job.customer_id, job.dispute_id)
        await freezing.follow_disputes(tx, call, customer_id=job.customer_id, invoice_id=dispute.invoice_id)
        kind = _ALERTS.get(dispute.stance)
        if kind is not None and (dispute.is_open or dispute.stance is Stance.LOST):
            await _alert_of(tx, call, dispute, kind)
        elif await disputing.came_after_end(tx, dispute):
            # Dunning drops what has ended: without this nobody would know that money is missing.
            await _alert_of(tx, call, dispute, StaffAlertKind.DEBIT_RETURNED, once=True)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def _alert_of(tx: Tx, call: Call, dispute: Dispute, kind: StaffAlertKind, *, once: bool = False) -> None:
    about, facts = encode("dispute", dispute.id), facts_of(dispute)
    await staffing.raise_alert(tx, call, kind, about, environment=dispute.environment, facts=facts, once=once)


async def payment_unapplied(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.PaymentUnapplied) -> None:
    """Tell staff that money is held which no invoice can take."""
    async with runtime.db.transaction() as tx:
        held = await unapplied.load_payment(tx, job.customer_id, job.unapplied_payment_id)
        about, kind = encode("unapplied_payment", held.id), StaffAlertKind.PAYMENT_UNAPPLIED
        await staffing.raise_alert(tx, call, kind, about, environment=held.environment, facts=facts_of_unapplied(held))
        await journal.finish(tx, call, stored)


async def reconcile(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.Reconcile) -> None:
    """Compare some pages; where more follow, the next job goes on from there."""
    run = await reconciling.go_on(runtime.db, runtime.gateway, call, job.run_id)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        if run.ended_at is None:
            await journal.stage(tx, call, job)
        elif count := await reconciling.count_waiting(tx, run):
            about, kind = encode("reconciliation", run.id), StaffAlertKind.DRIFT_FOUND
            facts = {"count": count}
            await staffing.raise_alert(tx, call, kind, about, environment=run.environment, facts=facts)
