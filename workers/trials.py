"""Jobs about trials."""

from domain.contracts.trialing import service as trialing
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime


async def remind_trial(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RemindTrial) -> None:
    """Tell a customer that a trial ends soon, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await trialing.remind(tx, call, job.customer_id, job.subscription_id)
        await journal.finish(tx, call, stored)
