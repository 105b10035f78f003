"""Jobs that move a subscription's periods and open invoices."""

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.contracts import service as contracts
from domain.contracts.replanning import service as replanning
from domain.contracts.scheduling import service as scheduling
from domain.invoices.taxing.asking import service as asking
from domain.invoices.taxing.port import TaxUnavailable
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.runtime import Runtime

# A draft changes while its taxes are asked for only where usage or its address do.
TAX_ROUNDS_MAX = 3


async def close_period(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.ClosePeriod) -> None:
    """Close what has ended of a subscription, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await contracts.close_period(tx, call, job.customer_id, job.subscription_id, tries=stored.attempts)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def calculate_tax(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CalculateTax) -> None:
    """Ask for a draft's taxes and open it with the answer; a draft that changed meanwhile is asked about anew.

    Without an answer it stays a draft, and the job is put off. Raises TaxUnavailable, TaxRefused.
    """
    for _ in range(TAX_ROUNDS_MAX):
        asked = await asking.calculate(
            runtime.db, runtime.tax, call, customer_id=job.customer_id, invoice_id=job.invoice_id
        )
        async with runtime.db.transaction() as tx:
            await contracts.finalise(tx, call, job.customer_id, job.invoice_id)
            if not asked:
                await journal.finish(tx, call, stored)
        if not asked:
            await runtime.wakeups.publish([job.customer_id])
            return
    raise TaxUnavailable("the draft keeps changing")


async def finalise_invoice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.FinaliseInvoice) -> None:
    """Open a draft at the end of its grace, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await contracts.finalise(tx, call, job.customer_id, job.invoice_id)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def invoice_settled(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.InvoiceSettled) -> None:
    """Clear the subscriptions on an invoice that needs no payment, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await contracts.note_payment(tx, call, job.customer_id, job.invoice_id, succeeded=True)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def begin_subscription(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.BeginSubscription) -> None:
    """Carry out a scheduled start, in one transaction with the job's end; staff hear of one that is refused."""
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        start = await scheduling.carry_out(tx, call, job.customer_id, job.start_id)
        if start is not None and start.refusal is not None:
            facts = {
                "customer_id": encode("customer", start.customer_id),
                "starts_at": start.terms.starts_at.isoformat(),
                "refusal": start.refusal,
            }
            about, kind = encode("scheduled_start", start.id), StaffAlertKind.START_REFUSED
            await staffing.raise_alert(tx, call, kind, about, environment=start.environment, facts=facts)
    await runtime.wakeups.publish([job.customer_id])


async def lapse_change(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.LapseChange) -> None:
    """Take back an upgrade that was not paid in time, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        await replanning.lapse(tx, call, job.customer_id, job.change_id)
    await runtime.wakeups.publish([job.customer_id])
