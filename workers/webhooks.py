"""Jobs that converge on what an inbound event is about, and look for those that never arrived."""

from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime
from domain.webhooks import service as webhooks
from domain.webhooks.sweeping import service as sweeping


async def process_inbox_event(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.ProcessInboxEvent) -> None:
    """Fetch the object an event names again and bring our rows to its state."""

    async def end(tx: Tx) -> None:
        await journal.finish(tx, call, stored)

    customer_id = await webhooks.process(runtime.db, runtime.gateway, call, job.provider, job.event_id, end=end)
    if customer_id is not None:
        await runtime.wakeups.publish([customer_id])


async def sweep_inbox(runtime: Runtime, call: Call, stored: StoredJob, _: jobs.SweepInbox) -> None:
    """Look through some pages of the gateway's list; where more follow, the next job goes on from there."""
    is_over = await sweeping.sweep(runtime.db, runtime.gateway, call)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        if not is_over:
            await sweeping.stage_sweep(tx, call)
