"""The journal on real Postgres."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from domain.db import Database, Tx
from domain.journal import jobs, service, store
from domain.journal.retrying import service as retrying
from domain.journal.service import IdempotencyConflict
from domain.kernel.ids import NOBODY, CustomerId, InvoiceId
from tests import make

_CUSTOMER = CustomerId(make.new_id())
_JOB = jobs.CollectInvoice(_CUSTOMER, InvoiceId(make.new_id()))


async def test_a_job_with_a_key_is_staged_once_while_it_is_pending(db: Database) -> None:
    call = make.call()
    async with db.transaction() as tx:
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        first = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
        assert [service.read_job(job) for job in first] == [_JOB]
        assert await service.finish(tx, call, first[0])
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        assert await store.count_pending_jobs(tx, clock_id=None, now=call.at) == 1


async def test_a_claimed_job_is_not_offered_again_before_its_offer_ends(db: Database) -> None:
    call = make.call()
    until = call.at + timedelta(seconds=60)
    async with db.transaction() as tx:
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        for at, found in ((call.at, 1), (call.at, 0), (until - timedelta(microseconds=1), 0), (until, 1)):
            claimed = await store.claim_due_jobs(tx, clock_id=None, now=at, at=at, until=until, limit=10)
            assert len(claimed) == found


async def test_a_job_fails_for_good_after_its_last_attempt_and_can_be_offered_again(db: Database) -> None:
    call = make.call()
    async with db.transaction() as tx:
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        [stored] = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
        outcomes = []
        for _ in range(service.ATTEMPTS_MAX):
            found = await store.find_job(tx, stored.id)
            assert found is not None
            outcomes.append(await service.put_off(tx, call, found, error="gateway_unavailable"))
        assert outcomes == [False] * (service.ATTEMPTS_MAX - 1) + [True]
        assert [job.id for job in await store.list_failed_jobs(tx, limit=10)] == [stored.id]
        await retrying.retry(tx, call, stored.id)
        assert await store.count_pending_jobs(tx, clock_id=None, now=call.at) == 1


async def test_a_job_that_waits_for_an_outside_party_is_tried_for_a_day(db: Database) -> None:
    call = make.call()
    async with db.transaction() as tx:
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        [stored] = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
        waited_s = []
        while not await service.put_off(tx, call, stored, error="gateway_unavailable", is_outage=True):
            own = store.outbox_job.c
            row = await tx.row(sa.select(own.attempts, own.retry_at).where(own.id == stored.id))
            assert row is not None
            waited_s.append(int((row.retry_at - call.at).total_seconds()))
            stored = replace(stored, attempts=row.attempts)
        assert waited_s[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
        # 1,023 s of doubling pauses and 95 of 900 s: a day has 86,400.
        assert sum(waited_s) == 86_523
        assert [job.last_error for job in await store.list_failed_jobs(tx, limit=10)] == ["gateway_unavailable"]


async def test_a_failed_job_is_not_offered_again_beside_one_that_waits_for_the_same(db: Database) -> None:
    call = make.call()
    async with db.transaction() as tx:
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        [failed] = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
        assert await store.save_job_end(tx, failed, state="failed", at=call.at, error="gateway_unavailable")
        await service.stage(tx, call, _JOB, customer_id=_CUSTOMER)
        [waiting] = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=10)
        with pytest.raises(retrying.JobWaits):
            await retrying.retry(tx, call, failed.id)
        with pytest.raises(retrying.JobNotFailed):
            await retrying.retry(tx, call, waiting.id)
        assert await store.list_audit_entries(tx, scope=None, before=None, limit=9) == []
        assert await service.finish(tx, call, waiting)
        await retrying.retry(tx, call, failed.id)
        found = await store.find_job(tx, failed.id)
        assert found is not None
        assert (found.state, found.attempts) == ("pending", 0)


async def test_failed_jobs_of_a_kind_are_offered_again_together_but_one_for_each_thing(db: Database) -> None:
    call = make.call()

    async def fail(tx: Tx, *, error: str, invoice: InvoiceId) -> store.StoredJob:
        await service.stage(tx, call, jobs.CollectInvoice(_CUSTOMER, invoice), customer_id=_CUSTOMER)
        [staged] = await store.claim_due_jobs(tx, clock_id=None, now=call.at, at=call.at, until=call.at, limit=1)
        await service.fail(tx, call, staged, error=error)
        return staged

    first, second, third = (InvoiceId(make.new_id()) for _ in range(3))
    async with db.transaction() as tx:
        older = await fail(tx, error="gateway_refused", invoice=first)
        newer = await fail(tx, error="gateway_refused", invoice=first)
        lone = await fail(tx, error="invoice_not_found", invoice=second)
        blocked = await fail(tx, error="gateway_refused", invoice=third)
        await service.stage(tx, call, jobs.CollectInvoice(_CUSTOMER, third), customer_id=_CUSTOMER)
        with pytest.raises(retrying.JobKindUnknown):
            await retrying.retry_kind(tx, call, "wash_dishes", error=None)
        assert await retrying.retry_kind(tx, call, "collect_invoice", error="gateway_refused") == 1
        assert await retrying.retry_kind(tx, call, "collect_invoice", error=None) == 1
        assert await retrying.retry_kind(tx, call, "collect_invoice", error=None) == 0
        states = [(await store.find_job(tx, each.id) or each).state for each in (older, newer, lone, blocked)]
        assert states == ["failed", "pending", "pending", "failed"]
        told = [
            (entry.about, entry.facts["count"])
            for entry in await store.list_audit_entries(tx, scope=None, before=None, limit=9)
        ]
        assert told == [("collect_invoice", 1), ("collect_invoice", 1)]


async def test_audit_entries_are_numbered_in_order_and_can_not_be_changed(db: Database) -> None:
    call = make.call()
    async with db.transaction() as tx:
        await service.audit(tx, call, "first", "a")
        await service.audit(tx, call, "second", "b")
    async with db.transaction() as tx:
        assert await service.seal_audit(tx) == 2
        assert await service.seal_audit(tx) == 0
        entries = await store.list_audit_entries(tx, scope=None, before=None, limit=10)
        assert [(entry.action, entry.number) for entry in entries] == [("second", 2), ("first", 1)]
    for fault in ("UPDATE audit_entry SET action = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"):
        with pytest.raises(DBAPIError, match="append-only"):
            async with db.transaction() as tx:
                await tx.execute(sa.text(fault))


async def test_an_idempotency_key_recalls_its_outcome_and_refuses_another_input(db: Database) -> None:
    call = make.call()
    digest = service.input_digest({"plan": "pro", "interval": "month"})
    assert digest == service.input_digest({"interval": "month", "plan": "pro"})
    async with db.transaction() as tx:
        assert await service.recall(tx, call, "subscribe", "k1", customer_id=NOBODY, digest=digest) is None
        kept = {"type": "SubscriptionStarted", "id": "sub_1"}
        assert await service.remember(tx, call, "subscribe", "k1", customer_id=NOBODY, digest=digest, outcome=kept)
        assert await service.recall(tx, call, "subscribe", "k1", customer_id=NOBODY, digest=digest) == kept
        with pytest.raises(IdempotencyConflict):
            await service.recall(tx, call, "subscribe", "k1", customer_id=NOBODY, digest=b"other")


async def test_of_what_is_only_tried_nothing_is_staged_told_or_written_down(db: Database) -> None:
    call = make.call()
    jobs_and_entries = sa.text("SELECT (SELECT count(*) FROM outbox_job) + (SELECT count(*) FROM audit_entry)")
    events = sa.text("SELECT count(*) FROM billing_event")
    async with db.transaction() as tx:
        async with tx.undone() as tried:
            await service.stage(tried, call, _JOB, customer_id=_CUSTOMER)
            await service.audit(tried, call, "tried", "nothing")
            await service.tell(tried, call, call.at, _CUSTOMER, "tried", description="Nothing")
            # Nothing stands here, where what is tried is not taken back yet.
            assert await tx.value(jobs_and_entries) == 0
            assert await tx.value(events) == 0
        await service.tell(tx, call, call.at, _CUSTOMER, "done", description="Something")
        assert await tx.value(events) == 1
