"""Jobs that converge on what an inbound event is about."""

from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime
from domain.webhooks import service as webhooks


async def process_inbox_event(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.ProcessInboxEvent) -> None:
    """Fetch the object an event names again and bring our rows to its state."""
    customer_id = await webhooks.process(runtime.db, runtime.gateway, call, job.provider, job.event_id)
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
    if customer_id is not None:
        await runtime.wakeups.publish([customer_id])
