"""Send events to the merchant's endpoints, beside ARQ: an endpoint that hangs takes no worker from anything else.

The rows are the truth. Lanes are claimed for a while each; those of a worker that dies are claimed by another one once
that time is over. Each endpoint has places of its own, so that none waits for another.
"""

import asyncio
import secrets

import structlog

from domain.access.roles import system_principal
from domain.db import DATABASE_ERRORS, unreachable_reason
from domain.kernel.call import Call
from domain.kernel.ids import EndpointId
from domain.runtime import Runtime
from domain.webhooks.delivering import service as delivering
from domain.webhooks.lane import JITTER_PARTS, Lane

# How many customers' events are on their way to one endpoint at once, from one worker process.
LANES_PER_ENDPOINT = 4
# How many events of a lane are sent before others have their turn.
EVENTS_IN_A_ROW = 20
POLL_S = 0.25
IDLE_S = 1.0
_log = structlog.get_logger()

Under = dict[EndpointId, set[asyncio.Task[None]]]


async def deliver_forever(runtime: Runtime) -> None:
    """Publish and deliver until cancelled; what is on its way then is sent again by whoever works next."""
    under: Under = {}
    try:
        while True:
            try:
                busy = await deliver_once(runtime, under)
            except DATABASE_ERRORS as error:
                _log.warning("deliveries_wait", error=type(error).__name__, reason=unreachable_reason(error))
                busy = False
            except Exception:  # noqa: BLE001 -- a fault here must not end the worker, which does more than deliver
                _log.exception("deliveries_failed")
                busy = False
            await asyncio.sleep(POLL_S if busy else IDLE_S)
    finally:
        left = [task for tasks in under.values() for task in tasks]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def deliver_once(runtime: Runtime, under: Under) -> bool:
    """Publish what was committed and begin to send what is due, as far as endpoints have places. True while busy."""
    call = _call(runtime)
    published = await _publish(runtime, call)
    async with runtime.db.transaction() as tx:
        enabled = await delivering.list_enabled(tx)
    begun = 0
    for endpoint_id in enabled:
        tasks = under.setdefault(endpoint_id, set())
        room = LANES_PER_ENDPOINT - len(tasks)
        if room <= 0:
            continue
        async with runtime.db.transaction() as tx:
            lanes = await delivering.claim(tx, call, endpoint_id, limit=room)
        for lane in lanes:
            task = asyncio.create_task(_run(runtime, call, lane))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        begun += len(lanes)
    return bool(published or begun or any(under.values()))


async def _publish(runtime: Runtime, call: Call) -> int:
    """Publish what was committed; return how many events."""
    try:
        async with runtime.db.transaction() as tx:
            return await delivering.publish(tx, call)
    except DATABASE_ERRORS:
        raise
    except Exception:  # noqa: BLE001 -- what was published before is delivered all the same
        _log.exception("publishing_failed")
        return 0


async def _run(runtime: Runtime, claimed: Call, lane: Lane) -> None:
    """Send the events of one lane one after another."""
    try:
        await deliver_lane(runtime, claimed, lane)
    except Exception:  # noqa: BLE001 -- one lane's fault must not stop the others; it is due again after its lease
        _log.exception("lane_failed", lane=str(lane.endpoint_id))


async def deliver_lane(runtime: Runtime, claimed: Call, lane: Lane) -> None:
    """Send the events of a claimed lane until one fails, none is left, or others should have their turn."""
    present: Lane | None = lane
    for _ in range(EVENTS_IN_A_ROW):
        if present is None:
            return
        jitter = secrets.randbelow(JITTER_PARTS)
        present = await delivering.deliver_next(
            runtime.db, runtime.sender, _call(runtime), present, lease=claimed.id, jitter=jitter
        )
    if present is not None:
        async with runtime.db.transaction() as tx:
            await delivering.give_back(tx, present, lease=claimed.id)


def _call(runtime: Runtime) -> Call:
    return runtime.call(system_principal("webhooks"))
