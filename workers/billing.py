"""Jobs that move a subscription's periods and open invoices."""

from domain.contracts import service as contracts
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime


async def close_period(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.ClosePeriod) -> None:
    """Close what has ended of a subscription, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await contracts.close_period(tx, call, job.customer_id, job.subscription_id)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def finalise_invoice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.FinaliseInvoice) -> None:
    """Open a draft at the end of its grace, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await contracts.finalise(tx, call, job.customer_id, job.invoice_id)
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])
