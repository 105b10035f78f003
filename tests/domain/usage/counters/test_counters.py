"""Counters that the same events feed: which rows they share, where an hour is kept, and who counted an event."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain.customers.customer import Customer
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.counters.counter import SLOTS, packs_of
from domain.usage.event import UsageEvent
from domain.usage.facts import rules_of
from domain.usage.recounting import service as recounting
from domain.usage.verdict import COUNTED
from tests import make
from tests.domain.usage import yard
from tests.domain.usage.world import World, llm, open_recorder
from tests.domain.usage.yard import PLAIN, SAMPLE, open_yard


async def hours(world: World, subscription: Subscription, meter: str) -> dict[datetime, tuple[Decimal, int]]:
    """Return what a meter counted in each hour, over all combinations."""
    async with world.db.transaction() as tx:
        segments = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        found = await usage.hours_of(
            tx, subscription.customer_id, [each.id for each in segments], meter_id=world.meter("llm", meter)
        )
    return {each.at: (each.quantity, each.events) for each in found}


async def rows(world: World, statement: str) -> list[Any]:
    """Read the database itself."""
    async with world.db.transaction() as tx:
        return [tuple(row) for row in await tx.rows(sa.text(statement))]


def at(hour: str, customer: Customer, name: str, **properties: Any) -> UsageEvent:
    """Make a call on 15 January 2026."""
    return llm(customer, name, at=f"2026-01-15T{hour}:30:00Z", **properties)


async def test_an_event_of_many_counters_writes_one_row_of_totals(world: World) -> None:
    ada, _ = await world.subscriber()
    assert await world.record(at("10", ada, "e1")) == [COUNTED]
    assert (await world.count("counter_total"), await world.count("counter_hour")) == (1, 0)
    assert (await world.count("usage_total"), await world.count("usage_hour")) == (0, 0)


async def test_the_newest_hour_stays_with_the_total_and_those_before_are_kept_apart(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(at("10", ada, "e1"), at("10", ada, "e2"))
    await world.record(at("11", ada, "e3"))
    # An event of an hour that is over comes late, and another one of an hour that had none.
    await world.record(at("10", ada, "e4"), at("09", ada, "e5"))
    nine, ten, eleven = (make.at(f"2026-01-15T{hour}:00") for hour in ("09", "10", "11"))
    thousand = Decimal(1000)
    assert await hours(world, subscription, "input_tokens") == {
        nine: (thousand, 1),
        ten: (3 * thousand, 3),
        eleven: (thousand, 1),
    }
    assert await rows(world, "SELECT hour_at, hour_events, events FROM counter_total") == [(eleven, 1, 5)]
    assert await rows(world, "SELECT hour_at, events FROM counter_hour ORDER BY 1") == [(nine, 1), (ten, 3)]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "input_tokens")) == 5 * thousand


async def test_one_flush_may_bring_many_hours_of_a_total_in_any_order(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(*(at(f"{hour:02}", ada, f"e{hour}") for hour in (10, 8, 11, 9, 7)))
    found = await hours(world, subscription, "calls")
    assert [each.hour for each in found] == [7, 8, 9, 10, 11]
    assert set(found.values()) == {(Decimal(1), 1)}


async def test_events_that_lack_a_property_share_no_row_with_those_that_have_it(world: World) -> None:
    ada, subscription = await world.subscriber()
    both = at("10", ada, "e1")
    silent = {name: value for name, value in both.properties.items() if name != "output_tokens"}
    only_in = UsageEvent("e2", both.type, both.customer, None, both.occurred_at, silent)
    await world.record(both, only_in)
    assert await world.count("counter_total") == 2
    # Both are calls of one model, with 1,000 tokens in each, and one of the two has 100 out.
    found = (await world.usage(subscription)).meters
    [calls] = found[world.meter("llm", "calls")].combinations
    assert (int(calls.quantity), calls.events) == (2, 2)
    tokens_in, tokens_out = (found[world.meter("llm", name)] for name in ("input_tokens", "output_tokens"))
    assert (int(tokens_in.quantity), tokens_in.events) == (2000, 2)
    assert (int(tokens_out.quantity), tokens_out.events) == (100, 1)


async def test_a_meter_that_is_published_later_does_not_count_what_came_before(world: World) -> None:
    own = await open_yard(world)
    await own.send(own.event("e1", SAMPLE, "2026-01-15T10:00:00+00:00", place="quay", v=3))
    async with world.db.transaction() as tx:
        doubled = yard.meter("also_total", SAMPLE, "sum", "v")
        await plans.publish(tx, make.call(), yard.product([*yard.METERS, doubled]))
        catalogue = await plans.load_catalogue(tx)
    later = next(each for each in catalogue.meters.values() if each.key == "also_total")
    async with open_recorder(world.db) as other:
        call = make.call("2026-02-04T00:00:01", yard.sender())
        second = own.event("e2", SAMPLE, "2026-01-15T11:00:00+00:00", place="quay", v=5)
        void = own.void("v1", "e1")
        assert await other.record(call, [second]) == [COUNTED]
        async with world.db.transaction() as tx:
            rules = rules_of(catalogue, await plans.load_price_book(tx), catalogue.fingerprint)
            ids = [each.id for each in await own.segments()]
            counting = [each async for each in recounting.stream_events(tx, own.customer.id, ids)]
        assert [later.id in each.event.meters for each in counting] == [False, True]
        assert later.id in {meter.id for group in rules.types[SAMPLE].counters for meter in group.whole.meters}
        # Taking the first one back takes nothing from the meter that never counted it.
        assert await other.record(call, [void]) == [COUNTED]
    found = await own.usage()
    assert [int(found.quantity(each)) for each in (own.meters["total"], later.id)] == [5, 5]


async def test_more_counters_than_a_row_has_places_for_take_another_row(world: World) -> None:
    names = [f"n{number}" for number in range(SLOTS + 1)]
    meters = [yard.meter(name, "wide.event", "sum", name) for name in names]
    async with world.db.transaction() as tx:
        await plans.publish(tx, make.call(), yard.product(meters, key="wide"))
        catalogue = await plans.load_catalogue(tx)
        rules = rules_of(catalogue, await plans.load_price_book(tx), catalogue.fingerprint)
    [group] = rules.types["wide.event"].counters
    found = packs_of(group, {name: place for place, name in enumerate(names)}, None)
    assert isinstance(found, tuple)
    assert [len(pack.counters.meters) for pack in found] == [SLOTS, 1]
    assert [quantity for pack in found for quantity in pack.quantities] == list(range(SLOTS + 1))
    assert len({pack.counters.id for pack in found}) == 2


async def test_a_level_is_no_counter(world: World) -> None:
    own = await open_yard(world)
    await own.send(own.event("e1", PLAIN, "2026-01-15T10:00:00+00:00", place="quay", delta=3))
    assert await world.count("counter_total") == 0
    [stored] = await rows(world, "SELECT meter_set FROM usage_event")
    assert stored != (UUID(int=0),)
