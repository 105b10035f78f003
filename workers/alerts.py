"""Jobs that look at limits, and tell customers of them."""

from domain.alerts.preferring import service as preferring
from domain.alerts.raising import service as raising
from domain.config import thresholds_of
from domain.contracts.prepaying import service as prepaying
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.staging import service as staging
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime
from domain.usage import service as usage


async def check_thresholds(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CheckThresholds) -> None:
    """Raise what is due for a customer.

    Flushes that found this job waiting have staged none: they are waited for before anything is read. Those that come
    later stage the next one.
    """
    async with runtime.db.transaction() as tx:
        await usage.hold_usage(tx, job.customer_id)
        await staging.begin(tx, stored)
    catalogue = await runtime.catalogue()
    async with runtime.db.transaction() as tx:
        percents = thresholds_of(runtime.settings)
        raised = await raising.check(tx, call, catalogue, job.customer_id, percents=percents)
    # What is used and not billed yet counts against wallets.
    async with runtime.db.transaction() as tx:
        await prepaying.check(tx, call, job.customer_id)
        await staging.drop(tx, stored)
    if raised:
        await runtime.wakeups.publish([job.customer_id])


async def check_override(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CheckOverride) -> None:
    """Raise what is due for a customer one of whose limits has another amount from now on."""
    catalogue, percents = await runtime.catalogue(), thresholds_of(runtime.settings)
    async with runtime.db.transaction() as tx:
        if await journal.finish(tx, call, stored):
            await raising.check(tx, call, catalogue, job.customer_id, percents=percents)
    await runtime.wakeups.publish([job.customer_id])


async def remind_grace(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RemindGrace) -> None:
    """Tell what is left of a grace. The job ends first, so that the next one can be staged."""
    catalogue = await runtime.catalogue()
    async with runtime.db.transaction() as tx:
        if await journal.finish(tx, call, stored):
            await raising.remind(tx, call, catalogue, customer_id=job.customer_id, alert_id=job.alert_id)
    await runtime.wakeups.publish([job.customer_id])


async def send_digest(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.SendDigest) -> None:
    """Stage the week's digest. The job ends first, so that the next one can be staged."""
    async with runtime.db.transaction() as tx:
        if await journal.finish(tx, call, stored):
            await preferring.send_digest(tx, call, job.customer_id)
