"""Time travel: everything due on the way runs, in order."""

from datetime import datetime

from domain.adapters.memory import MemoryGateway
from domain.customers import service as customers
from domain.customers.clock import ClockState
from domain.kernel.ids import ClockId
from tests import make
from tests.world import World
from workers.clock import drive_once


async def test_a_clock_stops_at_each_due_instant_on_its_way(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "basic")
    assert world.clock_id is not None
    async with world.runtime.db.transaction() as tx:
        await customers.start_advance(tx, world.call, world.clock_id, make.at("2026-04-15"))
    waiting: dict[ClockId, datetime] = {}
    stops: list[datetime] = []
    while await drive_once(world.runtime, waiting):
        await world.drain()
        if (now := await world.now()) not in stops:
            stops.append(now)
    # Boundaries of an anchor on the 31st, then the target.
    days = ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-15"]
    assert stops == [make.at(day) for day in days if make.at(day) in stops]
    assert {make.at(day) for day in days[1:]} <= set(stops)
    assert len(await world.invoices(ada)) == 3


async def test_a_clock_waits_while_a_job_of_its_instant_is_pending(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "basic")
    assert world.clock_id is not None
    async with world.runtime.db.transaction() as tx:
        await customers.start_advance(tx, world.call, world.clock_id, make.at("2026-03-15"))
    waiting: dict[ClockId, datetime] = {}
    for _ in range(5):
        await drive_once(world.runtime, waiting)
    # The period's end is reached and its closing staged, but nobody runs it: the clock stays.
    assert await world.now() == make.at("2026-02-28")
    assert list(waiting) == [world.clock_id]
    async with world.runtime.db.transaction() as tx:
        assert (await customers.get_clock(tx, world.call, world.clock_id)).state is ClockState.ADVANCING


class _BrokenGateway(MemoryGateway):
    """A gateway whose answer nobody foresaw."""

    async def pending_deliveries(self) -> int:
        """Fail in a way that no one expects."""
        raise ValueError("no number")


async def test_a_clock_whose_step_fails_is_stopped_and_the_driver_goes_on(world: World) -> None:
    await world.customer(on="2026-01-31")
    assert world.clock_id is not None
    world.runtime.gateway = _BrokenGateway()
    async with world.runtime.db.transaction() as tx:
        await customers.start_advance(tx, world.call, world.clock_id, make.at("2026-03-15"))
    assert await drive_once(world.runtime, {})
    async with world.runtime.db.transaction() as tx:
        stopped = await customers.get_clock(tx, world.call, world.clock_id)
    assert stopped.state is ClockState.FAILED
    assert stopped.reason == "what is due at 2026-01-31T00:00:00+00:00 raises ValueError"
    assert stopped.now_at == make.at("2026-01-31")
    assert not await drive_once(world.runtime, {})
