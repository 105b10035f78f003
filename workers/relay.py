"""Offer due outbox rows to ARQ. The row stays the truth: an offer that is lost is made again when its lease ends."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, retry_key_prefix
from redis.exceptions import RedisError

from domain.customers import service as customers
from domain.db import DATABASE_ERRORS
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.runtime import Runtime
from workers.runner import OFFER_S

POLL_S = 0.05
POLL_IDLE_S = 0.2
OFFERS_MAX = 100
QUEUE_MAX = 500
_ERROR_PAUSE_S = 1.0
_log = structlog.get_logger()


async def relay_forever(runtime: Runtime, queue: ArqRedis) -> None:
    """Offer due jobs until cancelled. An unreachable Postgres or Redis is waited for."""
    while True:
        try:
            offered = await relay_once(runtime, queue)
            await asyncio.sleep(POLL_S if offered else POLL_IDLE_S)
        except (RedisError, *DATABASE_ERRORS) as error:
            _log.warning("relay_waits", error=type(error).__name__)
            await asyncio.sleep(_ERROR_PAUSE_S)


async def relay_once(runtime: Runtime, queue: ArqRedis) -> int:
    """Claim what is due on real time and on every test clock, and enqueue it. Returns how many were offered.

    The commit of the claim comes before the enqueueing: a crash between the two costs one lease, never a job.
    """
    if await queue.zcard(queue.default_queue_name) >= QUEUE_MAX:
        return 0
    at = runtime.now()
    until = at + timedelta(seconds=OFFER_S)
    async with runtime.db.transaction() as tx:
        on_clocks = [(clock.id, clock.now_at) for clock in await customers.list_clocks_with_due_jobs(tx, at)]
        claimed = await journal.offer_due(tx, [(None, at), *on_clocks], at=at, until=until, limit=OFFERS_MAX)
    await _enqueue(queue, claimed)
    return len(claimed)


async def _enqueue(queue: ArqRedis, offered: Sequence[StoredJob]) -> None:
    """Put jobs into the queue, once each: one that still waits there keeps its place.

    ARQ holds what a worker has begun for minutes, also when the worker is dead. An offer is only made where the lease
    has ended, so that hold is taken away: the job runs again at once, and no dead ones pile up at the queue's head.
    """
    names = [str(job.id) for job in offered]
    if names:
        await queue.delete(*(prefix + name for prefix in (in_progress_key_prefix, retry_key_prefix) for name in names))
    for name in names:
        await queue.enqueue_job("run_job", name, _job_id=name)
