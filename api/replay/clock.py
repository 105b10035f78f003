"""Advance a test clock through the public API and wait until it has arrived."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from api.replay import documents
from api.replay.client import Client
from api.replay.errors import ReplayError

POLL_S = 0.2
ARRIVES_WITHIN_S = 600.0


async def show(client: Client, clock_id: str) -> Mapping[str, Any]:
    """Return a clock as the API shows it. Raises ReplayError where there is none."""
    clock: Mapping[str, Any] | None = await client.read(documents.CLOCK, id=clock_id)
    if clock is None:
        raise ReplayError(f"there is no test clock {clock_id}")
    return clock


async def start(client: Client, clock_id: str, to: datetime) -> Mapping[str, Any]:
    """Send a clock on its way; it is not waited for. Safe to repeat with the same instant."""
    advancing = await client.change(documents.ADVANCE_CLOCK, clockId=clock_id, to=to.isoformat())
    clock: Mapping[str, Any] = advancing["clock"]
    return clock


async def arrive(
    client: Client, clock_id: str, look: Callable[[datetime], None], timeout_s: float = ARRIVES_WITHIN_S
) -> Mapping[str, Any]:
    """Wait until a clock stands at its target; `look` is told where it is on the way.

    Raises ReplayError when it stops on its way, or is not there after `timeout_s` seconds.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        clock = await show(client, clock_id)
        look(datetime.fromisoformat(clock["nowAt"]))
        if clock["state"] == "READY":
            return clock
        if clock["state"] == "FAILED":
            raise ReplayError(f"clock {clock_id} stopped at {clock['nowAt']}: {clock['reason']}")
        if asyncio.get_running_loop().time() > deadline:
            raise ReplayError(
                f"clock {clock_id} has not arrived after {timeout_s:.0f} s; is the worker running? It stands at "
                f"{clock['nowAt']}"
            )
        await asyncio.sleep(POLL_S)


async def advance(client: Client, clock_id: str, to: datetime, look: Callable[[datetime], None]) -> None:
    """Bring a clock to an instant, waiting for what falls due on the way; one that is there or beyond stays."""
    clock = await show(client, clock_id)
    if clock["state"] == "ADVANCING":
        clock = await arrive(client, clock_id, look)
    stands_at = datetime.fromisoformat(clock["nowAt"])
    if stands_at < to or (stands_at == to and clock["state"] == "FAILED"):
        await start(client, clock_id, to)
        await arrive(client, clock_id, look)
