"""The worker process: ARQ as executor, with the relay, the schedule and the clock driver beside it.

There is an executor with places of its own for each outside party, and one for what waits for nobody. None lends its
places to another one: what they hold at most is what they hold while a party hangs.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import RedisError

from domain.adapters.redis import pool_of
from domain.config import Settings
from domain.journal.parties import Party
from domain.kernel.ids import JobId
from domain.runtime import Runtime, open_runtime
from migrations.expecting import DatabaseOlder, check_start
from workers import runner
from workers.clock import drive_forever
from workers.deliveries import deliver_forever
from workers.relay import QUEUE_MAX, queue_of, relay_forever
from workers.schedule import tick_forever

# How many jobs run at once in a worker process, by the party that they may wait for.
PLACES: Mapping[Party, int] = {Party.NOBODY: 32, Party.GATEWAY: 24, Party.MAIL: 16}
# An outside party takes longer to answer than its queue waits to be looked at.
ARQ_POLL_S: Mapping[Party, float] = {Party.NOBODY: 0.02, Party.GATEWAY: 0.05, Party.MAIL: 0.05}
STOP_MAX_S = 20
# No command of the queue blocks: an answer that takes longer never comes.
REDIS_TIMEOUT_S = 5.0
_RECONNECT_S = 1.0
_ARQ_TIMEOUT_S = runner.JOB_TIMEOUT_S + 10
_log = structlog.get_logger()


def _dump(value: dict[str, Any]) -> bytes:
    # ARQ also writes an error object where a job's entry was lost with Redis; its text is enough.
    return json.dumps(value, default=str).encode()


async def connect(url: str) -> ArqRedis:
    """Open ARQ's pool with JSON instead of pickle: what lies in Redis must not be able to run code.

    The address is read by the client's own reader, as it is for wake-ups: ARQ's takes a password as it is written
    (`%40` for `@`), forgets what stands after a `?`, and does not compare a certificate with the host's name. Raises
    RedisError, OSError.
    """
    pool = pool_of(url, REDIS_TIMEOUT_S)
    queue = ArqRedis(pool, job_serializer=_dump, job_deserializer=json.loads)
    # Whoever closes the queue closes its connections.
    queue.auto_close_connection_pool = True
    try:
        await queue.ping()
    except (RedisError, OSError):
        await queue.aclose()
        raise
    return queue


async def run_job(ctx: dict[str, Any], job_id: str) -> None:
    """Carry out one offered job (ARQ's only function)."""
    await runner.run(ctx["runtime"], JobId(UUID(job_id)))


def executor(runtime: Runtime, queue: ArqRedis, party: Party) -> Worker:
    """Make ARQ's worker for a party's queue.

    It keeps nothing of a job that has ended, so that the job can be offered again.
    """
    return Worker(
        functions=[func(run_job, name="run_job", timeout=_ARQ_TIMEOUT_S, max_tries=1)],
        queue_name=queue_of(party),
        redis_pool=queue,
        handle_signals=False,
        max_jobs=PLACES[party],
        # The jobs that are running stay at the head of the queue: a shorter look would see only those.
        queue_read_limit=QUEUE_MAX,
        poll_delay=ARQ_POLL_S[party],
        keep_result=0,
        job_serializer=_dump,
        job_deserializer=json.loads,
        timezone=UTC,
        log_results=False,
        ctx={"runtime": runtime},
    )


async def _execute_forever(runtime: Runtime, settings: Settings, party: Party) -> None:
    """Run ARQ on a party's queue until cancelled, and start it anew when Redis went away: the rows outlive it."""
    while True:
        worker: Worker | None = None
        try:
            worker = executor(runtime, await connect(settings.redis_url), party)
            await worker.async_run()
        except (RedisError, OSError) as error:
            _log.warning("executor_waits", waits_for=str(party), error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_S)
        finally:
            if worker is not None:
                await _close(worker)


async def _close(worker: Worker) -> None:
    try:
        await asyncio.wait_for(worker.close(), STOP_MAX_S)
    except (RedisError, OSError, asyncio.CancelledError, TimeoutError) as error:
        _log.info("executor_closed", error=type(error).__name__)


async def _relay(runtime: Runtime, settings: Settings) -> None:
    while True:
        try:
            queue = await connect(settings.redis_url)
        except (RedisError, OSError):
            await asyncio.sleep(_RECONNECT_S)
            continue
        try:
            await relay_forever(runtime, queue)
        finally:
            await queue.aclose()


async def work(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM. Jobs under way are cancelled and offered again by whoever works next.

    Raises DatabaseOlder.
    """
    runtime = await open_runtime(settings)
    try:
        await check_start(runtime.db)
    except DatabaseOlder:
        await runtime.close()
        raise
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    parts: list[Callable[[], Coroutine[Any, Any, None]]] = [
        *(partial(_execute_forever, runtime, settings, party) for party in Party),
        lambda: _relay(runtime, settings),
        lambda: tick_forever(runtime),
        lambda: drive_forever(runtime),
        lambda: deliver_forever(runtime),
    ]
    tasks = [asyncio.create_task(part()) for part in parts]
    waiter = asyncio.create_task(stop.wait())
    try:
        _log.info("worker_started")
        done, _ = await asyncio.wait([*tasks, waiter], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiter}:
            task.result()
    finally:
        for task in [*tasks, waiter]:
            task.cancel()
        await asyncio.gather(*tasks, waiter, return_exceptions=True)
        await runtime.close()
