"""Processes that are killed again and again: faults that are ordered, one death, and the end of it all."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis

from api.replay import documents
from domain.adapters.clock import now
from tests.stories.processes import Processes, until
from workers.runner import LEASE_S

SETTLED_WITHIN_S = 180.0
PAY = "POST /v1/invoices/{invoice}/pay"
CREATE = "POST /v1/invoices"
FINALIZE = "POST /v1/invoices/{invoice}/finalize"
# Stripe's client repeats a request twice: three lost replies leave the caller without an answer.
FAULTS = [
    {"kind": "drop", "when": "after", "operation": PAY, "times": 3},
    {"kind": "drop", "when": "before", "operation": PAY, "times": 3},
    {"kind": "error", "when": "after", "status": 500, "operation": PAY, "times": 1},
    {"kind": "error", "when": "before", "status": 429, "operation": PAY, "times": 4},
    {"kind": "delay", "when": "after", "seconds": 0.5, "operation": PAY, "times": 4},
    {"kind": "drop", "when": "after", "operation": CREATE, "times": 3},
    {"kind": "drop", "when": "before", "operation": CREATE, "times": 3},
    {"kind": "drop", "when": "after", "operation": FINALIZE, "times": 3},
]


@dataclass(frozen=True)
class Death:
    """What a killed worker left behind: the kinds of the jobs that it was at, and mails that may have been sent."""

    process_id: int | None
    jobs: tuple[str, ...]
    mails: frozenset[str]


async def worker_lives_and_dies(processes: Processes, moment_s: float, *, at_work: bool) -> Death:
    """Start the worker and kill it a moment later, or a moment after it has ended a job; return what it left behind."""
    rows, born_at = processes.rows, now()
    await processes.start("worker")

    async def works() -> bool:
        return bool(await rows.fetchval("SELECT count(*) FROM outbox_job WHERE ended_at > $1", born_at))

    if at_work:
        await until(works, SETTLED_WITHIN_S, "a job that the new worker ends")
    await asyncio.sleep(moment_s)
    process_id = processes.process_id("worker")
    await processes.kill("worker")
    async with Redis.from_url(processes.servers.valkey.url()) as queue:
        begun = [key.decode().rpartition(":")[2] async for key in queue.scan_iter("arq:in-progress:*")]
    # Older leases are of earlier deaths.
    jobs = await rows.fetch(
        "SELECT kind FROM outbox_job WHERE state = 'pending' AND id = ANY($1::uuid[]) AND retry_at > $2",
        begun,
        born_at + timedelta(seconds=LEASE_S),
    )
    mails = await rows.fetch("SELECT message_id FROM mail WHERE state = 'queued'")
    return Death(process_id, tuple(row["kind"] for row in jobs), frozenset(row["message_id"] for row in mails))


async def come_to_rest(processes: Processes, clock_id: str) -> None:
    """Wait until no webhook is on its way, no job is left, and the clock stands at its target."""
    left: list[str] = []

    async def is_at_rest() -> bool:
        left[:] = [await _webhooks_left(processes), await _jobs_left(processes)]
        return not any(left) and await processes.arrived(clock_id)

    try:
        await until(is_at_rest, SETTLED_WITHIN_S, "the end of all jobs")
    except AssertionError as error:
        clock = await processes.client.read(documents.CLOCK, id=clock_id)
        raise AssertionError(f"{error}: {left}, {clock}") from error


async def _webhooks_left(processes: Processes) -> str:
    pending = (await processes.stripe.get("/_sandbox/deliveries/pending")).raise_for_status().json()["pending"]
    return f"{pending} webhooks" if pending else ""


async def _jobs_left(processes: Processes) -> str:
    """Name the jobs that wait, and why the last try of each failed."""
    jobs = await processes.rows.fetch("SELECT kind, attempts, last_error FROM outbox_job WHERE state = 'pending'")
    return ", ".join(f"{each['kind']} after {each['attempts']}: {each['last_error']}" for each in jobs)
