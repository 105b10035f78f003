"""Carrying out one job."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.alerts.port import MailUnavailable
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.journal import jobs, store
from domain.journal import service as journal
from domain.journal.job import Job
from domain.journal.retrying import service as retrying
from domain.journal.store import StoredJob
from domain.kernel.ids import CustomerId, InvoiceId, JobId
from domain.payments.port import GatewayUnavailable
from domain.webhooks import service as webhooks
from tests import make
from tests.domain.webhooks.examples import event
from tests.world import World
from workers import runner


async def _offered(world: World, job: Job) -> StoredJob:
    async with world.runtime.db.transaction() as tx:
        await journal.stage(tx, world.call, job)
        at = world.runtime.now()
        [offered] = await journal.offer_due(tx, [(None, at)], at=at, until=at, limit=1)
    return offered


async def _find(world: World, job_id: JobId) -> StoredJob:
    async with world.runtime.db.transaction() as tx:
        found = await store.find_job(tx, job_id)
    assert found is not None
    return found


async def test_a_job_that_raises_is_put_off_with_the_errors_code(world: World) -> None:
    # There is no such invoice: the handler refuses.
    offered = await _offered(world, jobs.CollectInvoice(CustomerId(make.new_id()), InvoiceId(make.new_id())))
    await runner.run(world.runtime, offered.id)
    after = await _find(world, offered.id)
    assert (after.state, after.attempts) == ("pending", 1)
    assert after.last_error == "invoice_not_found"


async def test_a_job_that_has_ended_is_not_run_again(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "basic")
    offered = await _offered(world, jobs.ClosePeriod(ada.id, started.id))
    await runner.run(world.runtime, offered.id)
    assert (await _find(world, offered.id)).state == "done"
    await runner.run(world.runtime, offered.id)
    assert (await _find(world, offered.id)).attempts == 0


async def test_an_unknown_job_is_nothing_to_do(world: World) -> None:
    await runner.run(world.runtime, JobId(make.new_id()))


async def test_a_job_that_has_begun_is_offered_to_nobody_until_its_lease_ends(world: World) -> None:
    offered = await _offered(world, jobs.CollectInvoice(CustomerId(make.new_id()), InvoiceId(make.new_id())))
    at = world.runtime.now()
    begun = await runner._begin(world.runtime, offered.id)
    assert begun is not None
    async with world.runtime.db.transaction() as tx:
        for after_s, found in ((runner.LEASE_S - 1, 0), (runner.LEASE_S + 1, 1)):
            later = at + timedelta(seconds=after_s)
            due = await journal.offer_due(tx, [(None, later)], at=later, until=later, limit=1)
            assert len(due) == found


async def _alerts(world: World) -> list[tuple[str, str]]:
    async with world.runtime.db.transaction() as tx:
        return [(each.kind.value, each.about) for each in await staffing.list_alerts(tx, world.call)]


async def _run_late(world: World, job: Job, *, attempts: int) -> StoredJob:
    """Run a job that has failed that often before."""
    offered = await _offered(world, job)
    own = store.outbox_job
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.update(own).where(own.c.id == offered.id).values(attempts=attempts))
    await runner.run(world.runtime, offered.id)
    return await _find(world, offered.id)


async def test_staff_are_told_once_of_jobs_that_have_failed_for_one_reason(world: World) -> None:
    mailed = []
    for _ in range(2):
        job = jobs.CollectInvoice(CustomerId(make.new_id()), InvoiceId(make.new_id()))
        after = await _run_late(world, job, attempts=journal.ATTEMPTS_MAX - 1)
        assert (after.state, after.last_error) == ("failed", "invoice_not_found")
        async with world.runtime.db.transaction() as tx:
            mails = await tx.execute(sa.delete(store.outbox_job).where(store.outbox_job.c.kind == "mail_staff"))
        mailed.append(mails.rowcount)
    assert mailed == [1, 0]
    assert await _alerts(world) == [("job_failed", "collect_invoice: invoice_not_found")]


async def test_staff_are_told_that_a_job_waits_before_it_has_waited_for_a_day(world: World) -> None:
    assert isinstance(world.runtime.gateway, MemoryGateway)
    for attempts, alerts in (
        (journal.ATTEMPTS_MAX - 2, []),
        (journal.ATTEMPTS_MAX - 1, [("job_waits", "sweep_inbox: gateway_unavailable")]),
    ):
        world.runtime.gateway.listing.failures = [GatewayUnavailable("down")]
        after = await _run_late(world, jobs.SweepInbox("stripe"), attempts=attempts)
        assert (after.state, after.attempts) == ("pending", attempts + 1)
        assert await _alerts(world) == alerts
        async with world.runtime.db.transaction() as tx:
            await tx.execute(sa.delete(store.outbox_job))
    world.runtime.gateway.listing.failures = [GatewayUnavailable("down")]
    last = await _run_late(world, jobs.SweepInbox("stripe"), attempts=journal.OUTAGE_ATTEMPTS_MAX - 1)
    assert last.state == "failed"
    assert ("job_failed", "sweep_inbox: gateway_unavailable") in await _alerts(world)


async def test_a_job_whose_workers_die_is_failed_before_it_takes_another(world: World) -> None:
    offered = await _offered(world, jobs.SweepInbox("stripe"))
    for _ in range(journal.DEATHS_MAX):
        # Begun, and no word of it again.
        assert await runner._begin(world.runtime, offered.id) is not None
    await runner.run(world.runtime, offered.id)
    after = await _find(world, offered.id)
    assert (after.state, after.attempts, after.last_error) == ("failed", 0, "worker_died")
    assert await _alerts(world) == [("job_failed", "sweep_inbox: worker_died")]
    async with world.runtime.db.transaction() as tx:
        await retrying.retry(tx, world.call, offered.id)
    await runner.run(world.runtime, offered.id)
    assert (await _find(world, offered.id)).state == "done"


async def test_tries_that_failed_are_no_deaths(world: World) -> None:
    offered = await _offered(world, jobs.CollectInvoice(CustomerId(make.new_id()), InvoiceId(make.new_id())))
    for _ in range(journal.DEATHS_MAX + 1):
        await runner.run(world.runtime, offered.id)
    after = await _find(world, offered.id)
    # The twelfth try is the last one: eleven were made.
    assert (after.state, after.attempts, after.runs) == ("pending", 11, 11)


async def test_a_mail_to_staff_that_fails_is_no_reason_for_another(world: World) -> None:
    assert isinstance(world.runtime.mailer, MemoryMailer)
    async with world.runtime.db.transaction() as tx:
        await staffing.raise_alert(
            tx, world.call, StaffAlertKind.MAIL_COMPLAINED, "cus_1", environment=None, facts={"customer_id": "cus_1"}
        )
        await tx.execute(sa.delete(store.outbox_job))
        [alert] = await staffing.list_alerts(tx, world.call)
    world.runtime.settings = replace(world.runtime.settings, staff_mail=("ops@example.com",))
    for attempts, state in ((journal.ATTEMPTS_MAX - 1, "pending"), (journal.OUTAGE_ATTEMPTS_MAX - 1, "failed")):
        world.runtime.mailer.failures = [MailUnavailable("timeout")]
        after = await _run_late(world, jobs.MailStaff(alert.id), attempts=attempts)
        assert after.state == state
        async with world.runtime.db.transaction() as tx:
            await tx.execute(sa.delete(store.outbox_job))
    assert await _alerts(world) == [("mail_complained", "cus_1")]


class Hanging(MemoryGateway):
    """Answers no question."""

    def __init__(self) -> None:
        """Hang from the start."""
        super().__init__()
        self.asked = asyncio.Event()

    async def read(self, operation: str) -> None:
        """Wait for ever."""
        self.asked.set()
        await asyncio.Event().wait()
        await super().read(operation)


async def test_a_worker_that_is_stopped_gives_back_what_it_waits_for(world: World) -> None:
    gateway = world.runtime.gateway = Hanging()
    async with world.runtime.db.transaction() as tx:
        await webhooks.receive(tx, world.call, event("invoice.paid", "in_1"))
        at = world.runtime.now()
        [offered] = await journal.offer_due(tx, [(None, at)], at=at, until=at, limit=1)
    # More often than a job may end its worker.
    for _ in range(journal.DEATHS_MAX + 2):
        gateway.asked.clear()
        running = asyncio.create_task(runner.run(world.runtime, offered.id))
        await gateway.asked.wait()
        running.cancel()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)
        after = await _find(world, offered.id)
        assert (after.state, after.attempts, after.runs, after.last_error) == ("pending", 0, 0, None)
        at = world.runtime.now()
        async with world.runtime.db.transaction() as tx:
            assert [each.id for each in await journal.offer_due(tx, [(None, at)], at=at, until=at, limit=1)] == [
                after.id
            ]
    world.runtime.gateway = MemoryGateway()
    await runner.run(world.runtime, offered.id)
    assert (await _find(world, offered.id)).state == "done"
