"""Offer due outbox rows to ARQ. The row stays the truth: an offer that is lost is made again when its lease ends.

Jobs that may wait for an outside party have a queue of their own for each party, and places of their own that work it
off: a party that hangs holds up its own jobs only. Its rows wait in Postgres meanwhile, as any others do.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import structlog
from arq.connections import ArqRedis
from arq.constants import default_queue_name, in_progress_key_prefix, retry_key_prefix
from redis.exceptions import RedisError

from domain.customers import service as customers
from domain.db import DATABASE_ERRORS, unreachable_reason
from domain.journal import service as journal
from domain.journal.parties import Party, kinds_of, party_of
from domain.journal.store import StoredJob
from domain.runtime import Runtime
from workers.runner import OFFER_S

POLL_S = 0.05
POLL_IDLE_S = 0.2
OFFERS_MAX = 100
# Of each queue.
QUEUE_MAX = 500
# How often it is logged that a queue is full, while it is.
FULL_LOGGED_EVERY = timedelta(minutes=1)
_ERROR_PAUSE_S = 1.0
_log = structlog.get_logger()


# When it was logged last that a party's queue is full.
Logged = dict[Party, datetime]


def queue_of(party: Party) -> str:
    """Return the name of the queue with the jobs that wait for a party."""
    return default_queue_name if party is Party.NOBODY else f"{default_queue_name}:{party}"


async def relay_forever(runtime: Runtime, queue: ArqRedis) -> None:
    """Offer due jobs until cancelled. An unreachable Postgres or Redis is waited for."""
    logged: Logged = {}
    while True:
        try:
            offered = await relay_once(runtime, queue, logged)
            await asyncio.sleep(POLL_S if offered else POLL_IDLE_S)
        except (RedisError, *DATABASE_ERRORS) as error:
            _log.warning("relay_waits", error=type(error).__name__, reason=unreachable_reason(error))
            await asyncio.sleep(_ERROR_PAUSE_S)


async def relay_once(runtime: Runtime, queue: ArqRedis, logged: Logged | None = None) -> int:
    """Claim what is due on real time and on every test clock, and enqueue it. Returns how many were offered.

    What belongs into a full queue is left. The commit of the claim comes before the enqueueing: a crash between the two
    costs one lease, never a job.
    """
    at = runtime.now()
    full = await _full(queue)
    _tell(full, at, {} if logged is None else logged)
    room = frozenset(Party) - full
    if not room:
        return 0
    kinds = kinds_of(room) if full else None
    until = at + timedelta(seconds=OFFER_S)
    async with runtime.db.transaction() as tx:
        on_clocks = [(clock.id, clock.now_at) for clock in await customers.list_clocks_with_due_jobs(tx, at, kinds)]
        due = [(None, at), *on_clocks]
        claimed = await journal.offer_due(tx, due, at=at, until=until, limit=OFFERS_MAX, kinds=kinds)
    await _enqueue(queue, claimed)
    return len(claimed)


async def _full(queue: ArqRedis) -> frozenset[Party]:
    """Return whose queues hold as much as they may, by one exchange with Redis."""
    async with queue.pipeline(transaction=False) as pipe:
        for party in Party:
            pipe.zcard(queue_of(party))
        lengths = await pipe.execute()
    return frozenset(party for party, length in zip(Party, lengths, strict=True) if length >= QUEUE_MAX)


def _tell(full: Collection[Party], at: datetime, logged: Logged) -> None:
    """Log whose jobs pile up, each now and then."""
    for party in sorted(full):
        if party not in logged or at - logged[party] >= FULL_LOGGED_EVERY:
            logged[party] = at
            _log.warning("queue_full", waits_for=str(party), queued=QUEUE_MAX)


async def _enqueue(queue: ArqRedis, offered: Sequence[StoredJob]) -> None:
    """Put jobs into their queues, once each: one that still waits there keeps its place.

    ARQ holds what a worker has begun for minutes, also when the worker is dead. An offer is only made where the lease
    has ended, so that hold is taken away: the job runs again at once, and no dead ones pile up at the queue's head.
    """
    names = [str(job.id) for job in offered]
    if names:
        await queue.delete(*(prefix + name for prefix in (in_progress_key_prefix, retry_key_prefix) for name in names))
    for job, name in zip(offered, names, strict=True):
        await queue.enqueue_job("run_job", name, _job_id=name, _queue_name=queue_of(party_of(job.kind)))
