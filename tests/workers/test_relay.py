"""Offering due rows to ARQ: what is lost in Redis is offered again, and nothing is offered before it is due."""

from datetime import timedelta
from uuid import UUID

import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix

from domain.journal import jobs, store
from domain.journal import service as journal
from domain.journal.parties import Party
from domain.kernel.ids import NOBODY, CustomerId, InvoiceId, JobId
from tests import make
from tests.world import World
from workers import relay
from workers.relay import queue_of
from workers.runner import OFFER_S
from workers.settings import executor

_QUEUE = queue_of(Party.GATEWAY)


async def _stage(world: World, *, later: timedelta = timedelta()) -> None:
    job = jobs.CollectInvoice(CustomerId(make.new_id()), InvoiceId(make.new_id()))
    async with world.runtime.db.transaction() as tx:
        await journal.stage(tx, world.call, job, run_at=world.call.at + later)


async def test_a_due_job_is_offered_once_and_one_that_is_not_due_is_left(world: World, queue: ArqRedis) -> None:
    await _stage(world)
    await _stage(world, later=timedelta(hours=1))
    assert await relay.relay_once(world.runtime, queue) == 1
    assert await relay.relay_once(world.runtime, queue) == 0
    assert await queue.zcard(_QUEUE) == 1


async def test_a_job_lost_with_redis_is_offered_again_when_its_offer_ends(world: World, queue: ArqRedis) -> None:
    await _stage(world)
    assert await relay.relay_once(world.runtime, queue) == 1
    await queue.flushall()
    at = world.runtime.now()
    async with world.runtime.db.transaction() as tx:
        for after_s, offered in ((OFFER_S - 5, 0), (OFFER_S + 1, 1)):
            later = at + timedelta(seconds=after_s)
            found = await store.claim_due_jobs(tx, clock_id=None, now=later, at=later, until=later, limit=10)
            assert len(found) == offered


async def test_what_a_dead_worker_had_begun_is_taken_from_it_when_its_lease_ends(world: World, queue: ArqRedis) -> None:
    await _stage(world)
    await relay.relay_once(world.runtime, queue)
    [name] = await queue.zrange(_QUEUE, 0, -1)
    begun = in_progress_key_prefix + name.decode()
    # As ARQ leaves it when its process is killed: begun, tried once, and still in the queue.
    await queue.set(begun, b"1")
    await queue.set(retry_key_prefix + name.decode(), b"1")
    assert await relay.relay_once(world.runtime, queue) == 0
    assert await queue.exists(begun)
    async with world.runtime.db.transaction() as tx:
        stored = await store.find_job(tx, JobId(UUID(name.decode())))
        assert stored is not None
        await journal.keep_offer(tx, stored, until=world.runtime.now())
    assert await relay.relay_once(world.runtime, queue) == 1
    assert not await queue.exists(begun, retry_key_prefix + name.decode())
    # It has kept its place and is there once.
    assert await queue.zrange(_QUEUE, 0, -1) == [name]


@pytest.mark.parametrize("tried", [0, 1])
async def test_a_job_that_arq_gave_up_can_be_offered_again(world: World, queue: ArqRedis, tried: int) -> None:
    await _stage(world)
    await relay.relay_once(world.runtime, queue)
    [name] = await queue.zrange(_QUEUE, 0, -1)
    if tried:
        # Tried before by a worker that was killed: ARQ refuses a second try.
        await queue.set(retry_key_prefix + name.decode(), b"1")
    else:
        # Redis was emptied between the look at the queue and the look at the job.
        await queue.delete(job_key_prefix + name.decode())
    worker = executor(world.runtime, queue, Party.GATEWAY)
    worker.burst = True
    await worker.main()
    assert worker.jobs_failed == 1
    assert not await queue.keys(f"arq:*{name.decode()}")
    assert await queue.enqueue_job("run_job", name.decode(), _job_id=name.decode()) is not None


async def test_a_full_queue_gets_no_more(world: World, queue: ArqRedis) -> None:
    await _stage(world)
    await queue.zadd(_QUEUE, {f"job{number}": number for number in range(relay.QUEUE_MAX)})
    assert await relay.relay_once(world.runtime, queue) == 0
    async with world.runtime.db.transaction() as tx:
        later = world.runtime.now()
        assert await store.count_pending_jobs(tx, clock_id=None, now=later) == 1


async def test_jobs_of_a_clock_wait_for_its_time(world: World, queue: ArqRedis) -> None:
    await world.customer(on="2026-01-31", card=None)
    assert world.clock_id is not None
    job = jobs.CollectInvoice(NOBODY, InvoiceId(make.new_id()))
    async with world.runtime.db.transaction() as tx:
        await journal.stage(tx, world.call, job, clock_id=world.clock_id, run_at=make.at("2026-02-01"))
    assert await relay.relay_once(world.runtime, queue) == 0
