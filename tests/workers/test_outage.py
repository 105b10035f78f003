"""While an outside party hangs its own jobs wait for it, and nothing else does."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from arq.connections import ArqRedis

from api.local.throwaway import TemporaryServers
from domain.adapters.memory import MemoryGateway, MemoryMailer
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod
from domain.invoices.documents import service as documents
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.backlog import store as backlog
from domain.journal.job import Job
from domain.journal.parties import Party, is_outage, kinds_of, party_of
from domain.journal.retrying.service import JobNotFailed
from domain.journal.store import outbox_job
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.port import GatewayUnavailable
from domain.webhooks import service as webhooks
from tests import make
from tests.domain.webhooks.examples import event
from tests.world import World
from workers.registry import HANDLERS
from workers.relay import QUEUE_MAX, Logged, _tell, queue_of, relay_once
from workers.settings import PLACES, connect, executor

# More than all places of a worker: without places of their own these would hold every one.
EVENTS = sum(PLACES.values()) + 8
POLLS_MAX = 2_000
POLL_S = 0.02


class HangingGateway(MemoryGateway):
    """Answers no question until it is let go."""

    def __init__(self) -> None:
        """Hang from the start."""
        super().__init__()
        self.let_go, self.hanging = asyncio.Event(), 0

    async def read(self, operation: str) -> None:
        """Wait."""
        self.hanging += 1
        await self.let_go.wait()
        self.hanging -= 1
        await super().read(operation)


async def _offer(world: World, queue: ArqRedis, stop: asyncio.Event) -> None:
    """Offer what is due until told to stop."""
    while not stop.is_set():
        await relay_once(world.runtime, queue)
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _working(world: World, servers: TemporaryServers, queue: ArqRedis) -> AsyncIterator[None]:
    """Have one worker's relay and executors run; all jobs have ended when the block does."""
    stop = asyncio.Event()
    executors = [executor(world.runtime, await connect(servers.valkey.url()), party) for party in Party]
    tasks = [asyncio.create_task(part) for part in (_offer(world, queue, stop), *(e.async_run() for e in executors))]
    try:
        yield
        # They end by themselves: one that is cancelled in the middle of a call to Redis leaves its connection open.
        stop.set()
        await tasks[0]
        for each in executors:
            each.burst = True
        await asyncio.gather(*tasks)
    finally:
        for task in [*tasks, *(task for each in executors for task in each.tasks.values())]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in executors:
            await each.pool.aclose()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(POLLS_MAX):
        if await holds():
            return
        await asyncio.sleep(POLL_S)
    raise AssertionError("it does not come about")


async def _receive(world: World) -> None:
    """Receive events for each of which the gateway is asked."""
    async with world.runtime.db.transaction() as tx:
        for number in range(EVENTS):
            await webhooks.receive(tx, world.call, event("invoice.paid", f"in_{number}", f"evt_{number}"))


async def _jobs(world: World, kind: str) -> set[tuple[str, int]]:
    """Return how jobs of a kind stand, and how often each has failed."""
    own = outbox_job.c
    async with world.runtime.db.transaction() as tx:
        return {(row.state, row.attempts) for row in await tx.rows(sa.select(outbox_job).where(own.kind == kind))}


async def _all_done(world: World, kind: str) -> bool:
    return {state for state, _ in await _jobs(world, kind)} == {"done"}


async def test_other_jobs_go_on_while_the_gateway_hangs_and_its_own_end_well_afterwards(
    world: World, servers: TemporaryServers, queue: ArqRedis
) -> None:
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    [invoice] = await world.invoices(ada)
    gateway = world.runtime.gateway = HangingGateway()
    assert isinstance(world.runtime.mailer, MemoryMailer)
    mails = len(world.runtime.mailer.sent)
    # These come first, and are more than a worker has places.
    await _receive(world)
    async with _working(world, servers, queue):

        async def every_place_is_held() -> bool:
            return gateway.hanging == PLACES[Party.GATEWAY]

        await _until(every_place_is_held)
        async with world.runtime.db.transaction() as tx:
            await journal.stage(tx, world.call, jobs.ClosePeriod(ada.id, started.id))
            await journal.stage(tx, world.call, jobs.InvoiceSettled(ada.id, invoice.id))
            await journal.stage(tx, world.call, jobs.SendNotice(ada.id, "weekly_digest", "2026-02-02"))
        for kind in ("close_period", "invoice_settled", "send_notice"):
            await _until(partial(_all_done, world, kind))
        assert len(world.runtime.mailer.sent) == mails + 1
        # None of the gateway's was begun beyond its places, and none has failed meanwhile.
        assert gateway.hanging == PLACES[Party.GATEWAY]
        assert await _jobs(world, "process_inbox_event") == {("pending", 0)}
        async with world.runtime.db.transaction() as tx:
            held = await backlog.count_backlog(tx, Party.GATEWAY, at=world.runtime.now())
            free = await backlog.count_backlog(tx, Party.NOBODY, at=world.runtime.now())
        assert (held.waiting, held.retried, held.error) == (EVENTS, 0, None)
        assert (free.waiting, free.oldest_at) == (0, None)
        # Redis is emptied, and the offers of what was not begun end: the rows are the truth.
        await queue.flushdb()
        own = outbox_job.c
        async with world.runtime.db.transaction() as tx:
            waiting = sa.update(outbox_job).where(own.state == "pending", own.runs == 0)
            await tx.execute(waiting.values(retry_at=world.runtime.now()))
        gateway.let_go.set()
        await _until(partial(_all_done, world, "process_inbox_event"))
    assert await _jobs(world, "process_inbox_event") == {("done", 0)}


async def test_a_full_queue_of_one_party_keeps_no_other_job_back(world: World, queue: ArqRedis) -> None:
    await _receive(world)
    async with world.runtime.db.transaction() as tx:
        await journal.stage(tx, world.call, jobs.CheckWallets(CustomerId(make.new_id())))
        await journal.stage(tx, world.call, jobs.SendNotice(CustomerId(make.new_id()), "invoice_issued", "1"))
    await queue.zadd(queue_of(Party.GATEWAY), {f"job{number}": number for number in range(QUEUE_MAX)})
    logged: Logged = {}
    assert await relay_once(world.runtime, queue, logged) == 2
    assert list(logged) == [Party.GATEWAY]
    assert [await queue.zcard(queue_of(party)) for party in Party] == [1, QUEUE_MAX, 1]
    # Nothing is claimed while none has room.
    for party in Party:
        await queue.zadd(queue_of(party), {f"job{number}": number for number in range(QUEUE_MAX)})
    assert await relay_once(world.runtime, queue, logged) == 0
    assert set(logged) == set(Party)
    await queue.delete(*(queue_of(party) for party in Party))
    # Once there is room, what was left is offered.
    assert await relay_once(world.runtime, queue, logged) == EVENTS
    assert [await queue.zcard(queue_of(party)) for party in Party] == [0, EVENTS, 0]


async def test_jobs_of_a_clock_are_left_where_their_partys_queue_is_full(world: World, queue: ArqRedis) -> None:
    ada = await world.customer(on="2026-01-31", card=None)
    await queue.zadd(queue_of(Party.GATEWAY), {f"job{number}": number for number in range(QUEUE_MAX)})
    staged: list[Job] = [jobs.CollectInvoice(ada.id, InvoiceId(make.new_id()))]
    for offered in (0, 1):
        async with world.runtime.db.transaction() as tx:
            for job in staged:
                await journal.stage(tx, world.call, job, clock_id=world.clock_id, run_at=make.at("2026-01-31"))
        assert await relay_once(world.runtime, queue) == offered
        staged = [jobs.CheckWallets(ada.id)]


async def test_only_the_document_of_a_sent_invoice_waits_for_the_gateway(world: World) -> None:
    ada = await world.customer(on="2026-01-31", card=None)
    async with world.runtime.db.transaction() as tx:
        await collecting.set_collection(tx, world.call, ada.id, CollectionMethod.SEND)
    bob = await world.customer(on="2026-01-31")
    for each in (ada, bob):
        await world.subscribe(each, "pro")
    assert await _jobs(world, "render_invoice") == {("done", 0)}
    assert await _jobs(world, "render_sent_invoice") == {("done", 0)}
    own = outbox_job.c
    async with world.runtime.db.transaction() as tx:
        rows = await tx.rows(sa.select(own.payload).where(own.kind == "render_sent_invoice"))
        assert [CustomerId(UUID(row.payload["customer_id"])) for row in rows] == [ada.id]
        for each in (ada, bob):
            [invoice] = await world.invoices(each)
            assert len(await documents.documents_of_invoices(tx, [invoice.id], scope=each.id)) == 1


async def test_a_full_queue_is_told_of_now_and_then(world: World) -> None:
    at, logged = world.runtime.now(), Logged()
    for after_s, last_s in ((0, 0), (59, 0), (60, 60)):
        _tell([Party.MAIL], at + timedelta(seconds=after_s), logged)
        assert logged == {Party.MAIL: at + timedelta(seconds=last_s)}


async def test_a_backlog_names_the_error_of_the_job_that_was_tried_most_often(world: World) -> None:
    await _receive(world)
    own = outbox_job.c
    async with world.runtime.db.transaction() as tx:
        for number, attempts in ((1, 2), (2, 5), (3, 1)):
            tried = sa.update(outbox_job).where(own.key == f"stripe:evt_{number}")
            await tx.execute(tried.values(attempts=attempts, last_error=f"error_{attempts}"))
        found = await backlog.count_backlog(tx, Party.GATEWAY, at=world.runtime.now())
        before = await backlog.count_backlog(tx, Party.GATEWAY, at=world.runtime.now() - timedelta(hours=1))
    assert (found.waiting, found.retried, found.error) == (EVENTS, 3, "error_5")
    assert (before.waiting, before.retried, before.error) == (0, 0, None)


def test_each_job_that_calls_an_outside_party_has_the_places_of_that_party() -> None:
    parts = {"runtime.gateway": Party.GATEWAY, "runtime.tax": Party.GATEWAY, "runtime.mailer": Party.MAIL}
    for job, handler in HANDLERS.items():
        source = inspect.getsource(handler)
        called = {party for name, party in parts.items() if name in source} or {Party.NOBODY}
        assert called == {party_of(job.kind)}, f"{job.kind} calls {called}: see WAITS_FOR"
        # The merchant's endpoints have places of their own beside all jobs.
        assert "runtime.sender" not in source


def test_each_kind_of_job_waits_for_one_party() -> None:
    assert sorted(kind for party in Party for kind in kinds_of([party])) == sorted(jobs.KINDS)
    assert kinds_of([Party.MAIL]) == ["mail_staff", "send_notice"]
    assert party_of("invented_later") is Party.NOBODY


def test_a_job_that_ran_out_of_time_has_met_an_outage_only_where_somebody_else_was_asked() -> None:
    assert is_outage("collect_invoice", TimeoutError())
    assert is_outage("send_notice", TimeoutError())
    assert not is_outage("close_period", TimeoutError())
    assert not is_outage("collect_invoice", ValueError())
    # What says that it is unavailable is believed, whoever was asked.
    assert is_outage("collect_invoice", GatewayUnavailable("timeout"))
    assert is_outage("close_period", GatewayUnavailable("timeout"))
    assert not is_outage("collect_invoice", JobNotFailed())
