"""What-if on a real database: a period under another plan, figure by figure, and nothing is written."""

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
import sqlalchemy as sa

from domain.contracts import service as contracts
from domain.contracts.what_if.replay import WhatIf
from domain.contracts.what_if.service import (
    NotRatedHere,
    PlanVersionNotFound,
    UsagePeriodNotFound,
    against,
    what_if,
    what_if_page,
)
from domain.invoices.invoice import LineKind
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, encode
from domain.kernel.period import Period
from domain.plans import service as plans
from domain.plans.plan import PlanNotFound, PriceNotFound
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Status, Subscription
from domain.usage.event import UsageEvent
from tests import make
from tests.domain.invoices.world import catalogue_file
from tests.world import World, llm_call

NOON = make.at("2026-01-31T12:00")
FEBRUARY = make.at("2026-02-01")
GEMINI = (("model", "gemini-2.5-pro"), ("provider", "gemini"))


async def replay(
    world: World, of: Subscription, plan: str, *, number: int | None = None, at: datetime | None = None
) -> WhatIf:
    """Ask in a transaction that can write nothing."""
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("SET TRANSACTION READ ONLY"))
        return await what_if(
            tx, world.call, customer_id=of.customer_id, subscription_id=of.id, plan_key=plan, number=number, at=at
        )


def shown(found: WhatIf) -> list[tuple[str, str, int, int]]:
    """Return kind, key and both amounts of each line."""
    return [(line.kind, line.key, line.present.minor, line.other.minor) for line in found.lines]


def hit(found: WhatIf) -> dict[str, tuple[Decimal, Decimal | None]]:
    """Return used and limit of the limits that would have been hit."""
    return {each.key: (each.used, each.limit) for each in found.limits_hit}


async def sixty_million_tokens(world: World) -> Subscription:
    """Use 60,000,000 input tokens at 1.25 USD per million, 75.00 USD, in a Pro month that starts on 31 January."""
    ada = await world.customer(on="2026-01-31T12:00")
    started = await world.subscribe(ada, "pro")
    calls = [llm_call(ada, NOON + timedelta(seconds=n), input_tokens=20_000_000) for n in range(3)]
    assert {verdict.status for verdict in await world.use("llm", *calls)} == {"counted"}
    return started


async def test_a_running_period_is_compared_line_by_line(world: World) -> None:
    started = await sixty_million_tokens(world)
    found = await replay(world, started, "basic")
    assert not found.is_over
    assert found.period == Period(NOON, make.at("2026-02-28T12:00"))
    # Basic caps the month's cost at 50.00, so 25.00 of the 75.00 are not charged.
    assert shown(found) == [
        (LineKind.FEE, "fee", 7900, 2900),
        (LineKind.USAGE, "cost", 7500, 7500),
        (LineKind.CAP, "monthly_cost", 0, -2500),
    ]
    assert [line.difference.minor for line in found.lines] == [-5000, 0, -2500]
    assert (found.present.minor, found.other.minor, found.difference.minor) == (15400, 7900, -7500)
    assert found.lines[1].dimensions == dict(GEMINI)
    assert hit(found) == {
        "tokens": (Decimal(60_000_000), Decimal(5_000_000)),
        "monthly_cost": (Decimal(75), Decimal(50)),
    }


async def test_a_closed_period_is_compared_with_what_was_billed(world: World) -> None:
    started = await sixty_million_tokens(world)
    await world.advance(to="2026-03-01")
    before = await replay(world, started, "enterprise", at=FEBRUARY)
    # 79.00 + 75.00 were billed; Enterprise is 199.00 and has limits that usage stays below.
    assert before.is_over
    assert shown(before) == [(LineKind.FEE, "fee", 7900, 19900), (LineKind.USAGE, "cost", 7500, 7500)]
    assert hit(before) == {}
    # One dollar more comes late: it is not billed yet, and would have been part of the other plan's period.
    ada = CustomerId(started.customer_id)
    late = UsageEvent(
        id="late",
        type="llm.call",
        customer=encode("customer", ada),
        occurred_at="2026-02-20T00:00:00Z",
        properties={"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 800_000},
    )
    await world.use("llm", late)
    assert shown(await replay(world, started, "enterprise", at=FEBRUARY))[1] == (LineKind.USAGE, "cost", 7500, 7600)
    # Once it is billed, on the next invoice but for this period, it counts on both sides.
    await world.advance(to="2026-04-01")
    assert shown(await replay(world, started, "enterprise", at=FEBRUARY))[1] == (LineKind.USAGE, "cost", 7600, 7600)


async def test_included_usage_costs_nothing_and_shows_the_limits_it_would_have_hit(world: World) -> None:
    found = await replay(world, await sixty_million_tokens(world), "free")
    assert shown(found) == [(LineKind.FEE, "fee", 7900, 0), (LineKind.USAGE, "cost", 7500, 0)]
    # Free allows 500,000 tokens and 1.00 USD a month, and 100 calls of Gemini, of which there were 3.
    assert hit(found) == {
        "tokens": (Decimal(60_000_000), Decimal(500_000)),
        "monthly_cost": (Decimal(75), Decimal(1)),
    }


async def test_another_version_of_the_same_plan_can_be_tried(world: World) -> None:
    started = await sixty_million_tokens(world)
    product = catalogue_file("llm.json")
    [pro] = [plan for plan in product.plans if plan.key == "pro"]
    prices = tuple(
        msgspec.structs.replace(price, definition={"multiplier": "1.20"}) if price.kind == "usage" else price
        for price in pro.prices
    )
    dearer = tuple(msgspec.structs.replace(pro, prices=prices) if plan is pro else plan for plan in product.plans)
    async with world.runtime.db.transaction() as tx:
        await plans.publish(tx, world.call, msgspec.structs.replace(product, plans=dearer))
    # 75.00 x 1.20 = 90.00 by version 2; version 1 is what the subscription has.
    assert shown(await replay(world, started, "pro"))[1] == (LineKind.USAGE, "cost", 7500, 9000)
    same = await replay(world, started, "pro", number=1)
    assert (same.difference.minor, same.other_version_id) == (0, same.present_version_id)
    with pytest.raises(PlanVersionNotFound):
        await replay(world, started, "pro", number=3)


async def test_a_yearly_fee_counts_with_the_months_share_and_levels_carry_over(world: World) -> None:
    ada = await world.customer(on="2026-01-31T12:00")
    started = await world.subscribe(ada, "starter", product="edge", interval=Interval.YEAR)
    modules = UsageEvent(
        id="m",
        type="edge.module",
        customer=encode("customer", ada.id),
        occurred_at=NOON.isoformat(),
        properties={"delta": 20},
    )
    assert [verdict.status for verdict in await world.use("edge", modules)] == ["counted"]
    await world.advance(to="2026-03-10")
    found = await replay(world, started, "professional")
    # 28 February to 31 March, 31 of 365 days: 313.20 x 31 / 365 = 26.6005 and 1,069.20 x 31 / 365 = 90.8088.
    assert shown(found) == [(LineKind.FEE, "fee", 2660, 9081)]
    assert hit(found) == {}
    # The 20 modules were added in the period before and are still there: Starter allows 25, two plans down only 3.
    with pytest.raises(PriceNotFound):
        await replay(world, started, "free")
    monthly = await world.subscribe(await world.customer(on="2026-03-10"), "starter", product="edge")
    more = msgspec.structs.replace(
        modules, id="n", customer=encode("customer", monthly.customer_id), occurred_at="2026-03-10T00:00:00Z"
    )
    await world.use("edge", more)
    await world.advance(to="2026-04-20")
    assert hit(await replay(world, monthly, "free")) == {"modules": (Decimal(20), Decimal(3))}


async def test_what_cannot_be_replayed_is_refused(world: World) -> None:
    started = await sixty_million_tokens(world)
    with pytest.raises(PlanNotFound):
        await replay(world, started, "gold")
    with pytest.raises(UsagePeriodNotFound):
        await replay(world, started, "basic", at=make.at("2026-01-30"))
    stranger = await world.customer(on="2026-01-31T12:00")
    wish = {"subscription_id": started.id, "plan_key": "basic"}
    async with world.runtime.db.transaction() as tx:
        with pytest.raises(SubscriptionNotFound):
            await what_if(tx, world.call, customer_id=stranger.id, **wish)  # type: ignore[arg-type]  # the same two
        theirs = make.call(by=make.principal("invoice:read", customer_id=stranger.id))
        with pytest.raises(SubscriptionNotFound):
            await what_if(tx, theirs, customer_id=started.customer_id, **wish)  # type: ignore[arg-type]  # the same
        mirrored = await contracts.mirror_subscription(
            tx,
            world.call,
            NOON,
            customer_id=stranger.id,
            gateway_id="sub_1",
            product_key="llm",
            plan_key="pro",
            interval=Interval.MONTH,
            currency="USD",
            status=Status.ACTIVE,
            period=Period(NOON, make.at("2026-02-28T12:00")),
        )
    with pytest.raises(NotRatedHere):
        await replay(world, mirrored, "basic")


async def test_all_customers_of_the_product_are_compared_page_by_page(world: World) -> None:
    heavy = await sixty_million_tokens(world)
    light = await world.subscribe(await world.customer(on="2026-01-31T12:00"), "basic")
    yearly = await world.subscribe(await world.customer(on="2026-01-31T12:00"), "pro", interval=Interval.YEAR)
    await world.subscribe(await world.customer(on="2026-01-31T12:00"), "starter", product="edge")
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("SET TRANSACTION READ ONLY"))
        other = await against(tx, world.call, product_key="llm", plan_key="free")
        page = await what_if_page(tx, world.call, other)
        live = await what_if_page(tx, world.call, other, environment=Environment.LIVE)
        alone = await what_if_page(tx, world.call, other, only=light.customer_id)
        early = await what_if_page(tx, world.call, other, at=make.at("2026-01-01"))
    assert (page.customers, page.unsold, page.last) == (4, 1, None)
    assert {each.subscription_id: each.difference.minor for each in page.compared} == {
        heavy.id: -15400,
        light.id: -2900,
    }
    assert yearly.id not in {each.subscription_id for each in page.compared}
    assert (live.customers, live.compared) == (0, ())
    assert [each.subscription_id for each in alone.compared] == [light.id]
    assert (early.customers, early.compared) == (4, ())
