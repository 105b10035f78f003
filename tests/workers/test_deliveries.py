"""Deliveries run beside the jobs, with places of its own for each endpoint."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from domain.adapters.memory_webhooks import MemoryWebhooks
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.journal import service as journal
from domain.kernel.call import Environment
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoints import service as endpoints
from domain.webhooks.port import Reply
from tests.world import World
from workers import deliveries
from workers.deliveries import LANES_PER_ENDPOINT, Under, deliver_once

_SLOW, _QUICK = "https://slow.example.com/", "https://quick.example.com/"


class Hanging(MemoryWebhooks):
    """Answers nothing at one URL until it is let go."""

    def __init__(self) -> None:
        """Hang from the start."""
        super().__init__()
        self.let_go, self.called = asyncio.Event(), asyncio.Event()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Wait, at the slow one."""
        reply = await super().post(url, headers, body)
        self.called.set()
        if url == _SLOW:
            await self.let_go.wait()
        return reply


async def _endpoint(world: World, url: str) -> None:
    await endpoints.create_endpoint(
        world.runtime.db,
        world.runtime.sender,
        world.call,
        environment=Environment.TEST,
        name="CRM",
        url=url,
        events=["invoice.*"],
    )


async def _happens(world: World, customer: Customer, *, times: int = 1) -> None:
    async with world.runtime.db.transaction() as tx:
        for _ in range(times):
            await journal.tell(
                tx, world.call, world.call.at, customer.id, "invoice_opened", description="An invoice was opened"
            )


async def _until(under: Under, left: int) -> None:
    while sum(len(tasks) for tasks in under.values()) > left:
        await asyncio.wait([task for tasks in under.values() for task in tasks], return_when=asyncio.FIRST_COMPLETED)


async def test_an_endpoint_that_hangs_keeps_its_own_places_and_no_others(world: World) -> None:
    sender = world.runtime.sender = Hanging()
    await _endpoint(world, _SLOW)
    await _endpoint(world, _QUICK)
    customers = [await world.customer(on="2026-01-31", card=None) for _ in range(LANES_PER_ENDPOINT + 2)]
    for each in customers:
        await _happens(world, each)
    under: Under = {}
    for _ in range(3):
        assert await deliver_once(world.runtime, under)
        await _until(under, LANES_PER_ENDPOINT)
    urls = [each.url for each in sender.posted]
    assert (urls.count(_SLOW), urls.count(_QUICK)) == (LANES_PER_ENDPOINT, LANES_PER_ENDPOINT + 2)

    sender.let_go.set()
    while await deliver_once(world.runtime, under):
        await _until(under, 0)
    assert [each.url for each in sender.posted].count(_SLOW) == LANES_PER_ENDPOINT + 2


async def test_a_long_lane_gives_others_their_turn_and_is_gone_on_with(world: World) -> None:
    sender = world.runtime.sender = MemoryWebhooks()
    await _endpoint(world, _QUICK)
    await _happens(world, await world.customer(on="2026-01-31", card=None), times=deliveries.EVENTS_IN_A_ROW + 1)
    under: Under = {}
    assert await deliver_once(world.runtime, under)
    await _until(under, 0)
    assert len(sender.posted) == deliveries.EVENTS_IN_A_ROW
    while await deliver_once(world.runtime, under):
        await _until(under, 0)
    assert len(sender.posted) == deliveries.EVENTS_IN_A_ROW + 1


async def test_a_fault_in_one_lane_stops_nothing(world: World) -> None:
    class Faulty(MemoryWebhooks):
        async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
            if url == _SLOW:
                raise ValueError
            return await super().post(url, headers, body)

    sender = world.runtime.sender = Faulty()
    await _endpoint(world, _SLOW)
    await _endpoint(world, _QUICK)
    await _happens(world, await world.customer(on="2026-01-31", card=None))
    under: Under = {}
    await deliver_once(world.runtime, under)
    await _until(under, 0)
    assert [each.url for each in sender.posted] == [_QUICK]


async def test_the_loop_delivers_until_it_is_stopped_and_takes_what_is_on_its_way_with_it(world: World) -> None:
    sender = world.runtime.sender = Hanging()
    await _endpoint(world, _SLOW)
    await _happens(world, await world.customer(on="2026-01-31", card=None))
    loop = asyncio.create_task(deliveries.deliver_forever(world.runtime))
    await sender.called.wait()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert (loop.cancelled(), len(sender.posted)) == (True, 1)


class Stumbling(Database):
    """A database some of whose transactions end in a fault of ours, by their number, counted from 1."""

    def __init__(self, living: Database, faults: Collection[int]) -> None:
        """Use another's pool."""
        self.vault = living.vault
        self._living = living
        self._faults = faults
        self._begun = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """See Database."""
        self._begun += 1
        if self._begun in self._faults:
            raise ZeroDivisionError
        async with self._living.transaction() as tx:
            yield tx


async def test_a_fault_in_publishing_holds_up_nothing_that_was_published_before(world: World) -> None:
    sender = world.runtime.sender = MemoryWebhooks()
    await _endpoint(world, _QUICK)
    await _happens(world, await world.customer(on="2026-01-31", card=None))
    async with world.runtime.db.transaction() as tx:
        assert await delivering.publish(tx, world.call) == 1
    under: Under = {}
    assert await deliver_once(replace(world.runtime, db=Stumbling(world.runtime.db, {1})), under)
    await _until(under, 0)
    assert [each.url for each in sender.posted] == [_QUICK]


async def test_a_fault_of_ours_does_not_end_the_loop(world: World) -> None:
    sender = world.runtime.sender = Hanging()
    await _endpoint(world, _SLOW)
    await _happens(world, await world.customer(on="2026-01-31", card=None))
    # The second transaction of the first round lists the endpoints.
    loop = asyncio.create_task(deliveries.deliver_forever(replace(world.runtime, db=Stumbling(world.runtime.db, {2}))))
    await sender.called.wait()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert len(sender.posted) == 1
