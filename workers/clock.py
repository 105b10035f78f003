"""Drive test clocks: from due instant to due instant, draining each before the next (time travel).

The state is in rows: a clock that is advancing has a target. Each step looks at the rows, does one thing and commits,
so a worker that dies is followed by another one that goes on where it stopped.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from domain.access.roles import system_principal
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.clock import Clock
from domain.db import DATABASE_ERRORS, Tx, unreachable_reason
from domain.dunning import service as dunning
from domain.journal import jobs, store
from domain.kernel.call import Call
from domain.kernel.errors import DomainError
from domain.kernel.ids import ClockId
from domain.payments.expiring import service as expiring
from domain.payments.port import GatewayUnavailable
from domain.runtime import Runtime
from workers.schedule import stage_due_cases, stage_due_periods, stage_due_warnings

STEP_S = 0.05
IDLE_S = 0.3
DRAIN_MAX_S = 300
_log = structlog.get_logger()


async def drive_forever(runtime: Runtime) -> None:
    """Move every advancing clock until cancelled."""
    waiting: dict[ClockId, datetime] = {}
    while True:
        try:
            busy = await drive_once(runtime, waiting)
        except (*DATABASE_ERRORS, GatewayUnavailable) as error:
            _log.warning("clocks_wait", error=type(error).__name__, reason=unreachable_reason(error))
            busy = False
        await asyncio.sleep(STEP_S if busy else IDLE_S)


async def drive_once(runtime: Runtime, waiting: dict[ClockId, datetime]) -> bool:
    """Take one step on each advancing clock. `waiting` keeps since when (real time) each one drains."""
    call = runtime.call(system_principal("clock"))
    async with runtime.db.transaction() as tx:
        clocks = await customers.list_advancing_clocks(tx)
    for clock in clocks:
        await _try_step(runtime, call, clock, waiting)
    for gone in waiting.keys() - {clock.id for clock in clocks}:
        del waiting[gone]
    return bool(clocks)


async def _try_step(runtime: Runtime, call: Call, clock: Clock, waiting: dict[ClockId, datetime]) -> None:
    """Take a step. What passes by itself is waited for; any other fault stops this clock and nothing beside it."""
    try:
        await _step(runtime, call, clock, waiting)
    except (*DATABASE_ERRORS, GatewayUnavailable):
        raise
    except Exception as fault:  # noqa: BLE001 -- one clock's fault must not end the worker, which does more
        _log.exception("clock_faulty", clock=str(clock.id))
        name = fault.code if isinstance(fault, DomainError) else type(fault).__name__
        await _stop(runtime, call, clock, reason=f"what is due at {clock.now_at.isoformat()} raises {name}")


async def _step(runtime: Runtime, call: Call, clock: Clock, waiting: dict[ClockId, datetime]) -> None:
    await stage_due_periods(runtime, call, clock_id=clock.id)
    await stage_due_cases(runtime, call, clock_id=clock.id)
    await stage_due_warnings(runtime, call, clock_id=clock.id)
    if not await _drained(runtime, clock):
        since = waiting.setdefault(clock.id, call.at)
        if call.at - since > timedelta(seconds=DRAIN_MAX_S):
            await _stop(runtime, call, clock, reason=f"jobs due at {clock.now_at.isoformat()} did not end in time")
        return
    waiting.pop(clock.id, None)
    async with runtime.db.transaction() as tx:
        if clock.now_at == clock.target_at:
            await customers.end_advance(tx, call, clock.id)
        else:
            await customers.move_clock(tx, call, clock.id, await _next_instant(tx, call, clock))


async def _drained(runtime: Runtime, clock: Clock) -> bool:
    """Whether nothing that is due on the clock is left.

    Jobs cause deliveries and deliveries end in jobs: no job, then no delivery, then still no job is the end of it.
    """
    return (
        not await _jobs_left(runtime, clock)
        and not await runtime.gateway.pending_deliveries()
        and not await _jobs_left(runtime, clock)
    )


async def _jobs_left(runtime: Runtime, clock: Clock) -> int:
    async with runtime.db.transaction() as tx:
        inbound = await store.count_pending_jobs(
            tx, clock_id=None, now=runtime.now(), kinds=[jobs.ProcessInboxEvent.kind]
        )
        return inbound + await store.count_pending_jobs(tx, clock_id=clock.id, now=clock.now_at)


async def _next_instant(tx: Tx, call: Call, clock: Clock) -> datetime:
    """Return the next instant at which something falls due on the clock, or its target."""
    assert clock.target_at is not None, "an advancing clock has a target"
    found = (
        await contracts.next_due_at(tx, clock.id),
        await dunning.next_due_at(tx, clock.id),
        await expiring.next_due_at(tx, call, clock.id),
    )
    due_at = min((each for each in found if each is not None), default=None)
    return clock.target_at if due_at is None or due_at <= clock.now_at else min(due_at, clock.target_at)


async def _stop(runtime: Runtime, call: Call, clock: Clock, *, reason: str) -> None:
    async with runtime.db.transaction() as tx:
        await customers.end_advance(tx, call, clock.id, reason=reason)
    _log.error("clock_stopped", clock=str(clock.id), reason=reason)
