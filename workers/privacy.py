"""Jobs about personal data."""

from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime


async def export_customer(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.ExportCustomer) -> None:
    """Write some more of an export; where more follows, the next job goes on from there."""
    from domain.privacy.exporting import service as exporting  # noqa: PLC0415 -- it loads every store

    is_over = await exporting.carry_on(runtime.db, call, job.customer_id, job.export_id)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        if not is_over:
            await journal.stage(tx, call, job, customer_id=job.customer_id)


async def erase_customer(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.EraseCustomer) -> None:
    """Clear some more of an erased customer, here and at the gateway; where more is left, the next job goes on."""
    from domain.privacy.erasing import service as erasing  # noqa: PLC0415 -- it loads every store

    is_over = await erasing.carry_on(runtime.db, runtime.gateway, call, job.customer_id)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        if not is_over:
            await journal.stage(tx, call, job, customer_id=job.customer_id)
    await runtime.wakeups.publish([job.customer_id])
