"""Limits of a plan beside real usage."""

from decimal import Decimal

from domain.db import Database
from domain.limits.service import limits_of
from domain.limits.status import LimitState
from tests.domain.usage.world import edge, event, key, open_world


async def test_limits_count_by_provider_tokens_and_cost(db: Database) -> None:
    async with open_world(db) as world:
        ada, subscription = await world.subscriber("llm", "pro")
        await world.record(*[event(ada, f"e{n}") for n in range(800)])
        found = {
            each.key: each for each in limits_of(world.catalogue, subscription, await world.usage(subscription), {})
        }
    gemini, cost = found["gemini_calls"], found["monthly_cost"]
    # Pro has 5,000 Gemini calls: 800 are 16 %. 800 x 0.00225 USD = 1.80 of 150 USD = 1.2 %.
    assert (gemini.used, gemini.limit, gemini.percent, gemini.unit) == (
        Decimal(800),
        Decimal(5000),
        Decimal(16),
        "call",
    )
    assert (cost.used, cost.limit, cost.percent, cost.unit) == (Decimal("1.8"), Decimal(150), Decimal("1.2"), "USD")
    assert found["openai_calls"].used == 0
    assert gemini.state is LimitState.OK
    assert gemini.resets_at == subscription.period.end


async def test_the_cost_cap_of_the_free_plan_counts_the_list_price(db: Database) -> None:
    async with open_world(db) as world:
        ada, subscription = await world.subscriber("llm", "free")
        await world.record(event(ada, input_tokens=800_000, output_tokens=0))
        found = {
            each.key: each for each in limits_of(world.catalogue, subscription, await world.usage(subscription), {})
        }
    # 800,000 x 1.25 / 1M = 1.00 USD.
    assert (found["monthly_cost"].used, found["monthly_cost"].state) == (Decimal(1), LimitState.AT_LIMIT)
    assert found["tokens"].state is LimitState.BLOCKED


async def test_levels_do_not_reset_and_unlimited_has_no_percentage(db: Database) -> None:
    async with open_world(db) as world:
        ada, subscription = await world.subscriber("edge", "free")
        await world.record(edge(ada, "m", "edge.module", delta=3), by=key("edge"))
        found = {
            each.key: each for each in limits_of(world.catalogue, subscription, await world.usage(subscription), {})
        }
        largest = await world.subscribe(await world.customer(), "edge", "enterprise")
        unlimited = {each.key: each for each in limits_of(world.catalogue, largest, await world.usage(largest), {})}
    assert (found["modules"].used, found["modules"].limit, found["modules"].state) == (
        Decimal(3),
        Decimal(3),
        LimitState.AT_LIMIT,
    )
    assert found["modules"].resets_at is None
    assert (unlimited["modules"].limit, unlimited["modules"].percent) == (None, None)
