"""Carrying out one job."""

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.alerts.port import MailUnavailable
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.journal import jobs, store
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.ids import CustomerId, InvoiceId, JobId
from tests import make
from tests.world import World
from workers import runner


async def _offered(world: World, job: jobs.Job) -> StoredJob:
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


async def _fail_for_good(world: World, job: jobs.Job) -> StoredJob:
    """Run a job that has failed as often as it may, but once."""
    offered = await _offered(world, job)
    own = store.outbox_job
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.update(own).where(own.c.id == offered.id).values(attempts=journal.ATTEMPTS_MAX - 1))
    await runner.run(world.runtime, offered.id)
    return await _find(world, offered.id)


async def test_staff_are_told_once_of_jobs_that_have_failed_for_one_reason(world: World) -> None:
    mailed = []
    for _ in range(2):
        job = jobs.CollectInvoice(CustomerId(make.new_id()), InvoiceId(make.new_id()))
        after = await _fail_for_good(world, job)
        assert (after.state, after.last_error) == ("failed", "invoice_not_found")
        async with world.runtime.db.transaction() as tx:
            mails = await tx.execute(sa.delete(store.outbox_job).where(store.outbox_job.c.kind == "mail_staff"))
        mailed.append(mails.rowcount)
    assert mailed == [1, 0]
    assert await _alerts(world) == [("job_failed", "collect_invoice: invoice_not_found")]


async def test_a_mail_to_staff_that_fails_is_no_reason_for_another(world: World) -> None:
    assert isinstance(world.runtime.mailer, MemoryMailer)
    async with world.runtime.db.transaction() as tx:
        await staffing.raise_alert(
            tx, world.call, StaffAlertKind.MAIL_COMPLAINED, "cus_1", environment=None, facts={"customer_id": "cus_1"}
        )
        await tx.execute(sa.delete(store.outbox_job))
        [alert] = await staffing.list_alerts(tx, world.call)
    world.runtime.settings = replace(world.runtime.settings, staff_mail=("ops@example.com",))
    world.runtime.mailer.failures.append(MailUnavailable("timeout"))
    assert (await _fail_for_good(world, jobs.MailStaff(alert.id))).state == "failed"
    assert await _alerts(world) == [("mail_complained", "cus_1")]
