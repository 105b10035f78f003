"""Limits are compared anew only where what they count has moved."""

from decimal import Decimal

from domain.db import Database
from domain.limits.comparing import compare
from tests.domain.usage.world import event, open_world


async def test_a_limit_whose_meter_shows_the_very_same_value_stands_where_it_stood(db: Database) -> None:
    async with open_world(db) as world:
        ada, subscription = await world.subscriber("llm", "pro")
        await world.record(event(ada))
        usage = await world.usage(subscription)
    before = compare(world.catalogue, subscription, usage, {})
    tokens = world.meter("llm", "tokens")
    more = usage.meters[tokens]._replace(quantity=Decimal(9_000), combinations=())
    after = compare(world.catalogue, subscription, usage._replace(meters={**usage.meters, tokens: more}), {}, before)
    assert list(after) == list(before)
    assert [key for key in after if after[key] is not before[key]] == ["tokens"]
    # 1,000 in and 100 out, and then what was said instead.
    assert (before["tokens"].status.used, after["tokens"].status.used) == (Decimal(1_100), Decimal(9_000))
    assert compare(world.catalogue, subscription, usage, {}, before) == before
