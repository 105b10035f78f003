"""What is shown anew only where it moved is what would be shown of everything."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from api.app import serving_of
from api.context import Reading, Serving
from api.graphql import usage as types
from api.graphql.showing import Showing, standing_of
from domain.customers.customer import Customer
from domain.kernel.call import Environment
from domain.kernel.ids import MeterId
from domain.limits import service as limits
from domain.limits.override import Wish
from domain.plans.plan import catalogue_of
from domain.usage.gathering.service import Standing
from domain.usage.reading import MeterUsage, Usage
from tests import make
from tests.api.graphql.site import Site
from tests.domain.invoices import examples
from tests.world import llm_call


def _plain(shown: types.Usage) -> list[types.SubscriptionUsage]:
    """Put combinations into one order: a statement gives them in any."""
    return [
        replace(
            each,
            meters=[replace(one, combinations=sorted(one.combinations, key=str)) for one in each.meters],
        )
        for each in shown.subscriptions
    ]


async def test_a_watcher_is_shown_what_one_who_comes_anew_is_shown_whatever_happened(server: Site) -> None:
    world = server.world
    ada: Customer = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "free")
    serving: Serving = server.app.state.serving
    watcher = Showing(ada.id)

    async def compare() -> dict[str, tuple[Decimal, Decimal | None, Decimal | None]]:
        found, anew = await serving.usage.get(ada.id), await serving_of(server.runtime).usage.get(ada.id)
        assert found is not None
        assert anew is not None
        now = found.standing.clock_now
        assert now is not None, "the customer has a test clock"
        shown, whole = watcher.show(found, now), Showing(ada.id).show(anew, now)
        # Where nothing moved, what was shown is shown again: the very same.
        [again], [before] = watcher.show(found, now).subscriptions, shown.subscriptions
        assert again is before
        assert (_plain(shown), standing_of(shown)) == (_plain(whole), standing_of(whole))
        [subscription] = shown.subscriptions
        return {each.key: (each.used, each.limit, each.projected) for each in subscription.limits}

    start = make.at("2026-01-31")
    before = await compare()
    assert {used for used, _, _ in before.values()} == {0}
    await world.use("llm", llm_call(ada, start, input_tokens=10))
    await world.use("llm", llm_call(ada, start, input_tokens=5, model="gemini-2.5-flash"))
    first = await compare()
    # Two calls of Gemini and 15 tokens more; the other limits count something else.
    moved = {key for key in first if first[key] != before[key]}
    assert {"gemini_calls", "tokens"} <= moved < first.keys()
    assert await compare() == first
    async with server.runtime.db.transaction() as tx:
        catalogue = await server.runtime.catalogue()
        wish = Wish("llm", "gemini_calls", Decimal(7), "agreed", from_at=start)
        await limits.set_override(tx, world.call, catalogue, ada.id, wish)
    assert (await compare())["gemini_calls"][:2] == (Decimal(2), Decimal(7))
    # Ten days on, the same usage is heading elsewhere; then another period begins, with nothing used.
    await world.advance(to="2026-02-10")
    heading = await compare()
    # 2 calls in 10 of 28 days come to 5.6.
    assert heading["gemini_calls"] == (Decimal(2), Decimal(7), Decimal("5.6"))
    await world.advance(to="2026-03-01")
    assert {used for used, _, _ in (await compare()).values()} == {0}


def test_without_limits_and_costs_a_subscription_is_shown_anew_only_where_a_meter_moved() -> None:
    subscription = examples.subscription("2026-01-01")
    version = examples.catalogue().version(subscription.plan_version_id)
    meters = [examples.REQUESTS, examples.INPUT]
    catalogue = catalogue_of("f", [examples.PRODUCT], [examples.PLAN], [version], meters)

    def reading(version: int, quantities: Mapping[MeterId, MeterUsage]) -> Reading:
        usage = Usage(subscription.customer_id, subscription.id, subscription.period, version, quantities)
        standing = Standing(object(), Environment.TEST, None, version, [(subscription, usage)])
        return Reading(subscription.period.start, catalogue, standing, [])

    one = MeterUsage(examples.REQUESTS.id, Decimal("1.000"), 1, ())
    two = MeterUsage(examples.INPUT.id, Decimal(7), 1, ())
    showing, used = Showing(subscription.customer_id), {examples.REQUESTS.id: one}
    [first] = showing.show(reading(1, used), make.at("2026-01-10")).subscriptions
    # Time moves nothing here, and so does a version of another subscription.
    [later] = showing.show(reading(2, used), make.at("2026-01-20")).subscriptions
    assert later is first
    assert (first.cost, first.projected_cost, first.limits) == (None, None, [])
    assert [(meter.key, meter.quantity) for meter in first.meters] == [("requests", Decimal(1))]
    # What did not move is the very same; meters are in the order of their keys.
    [moved] = showing.show(reading(3, {**used, examples.INPUT.id: two}), make.at("2026-01-20")).subscriptions
    assert [meter.key for meter in moved.meters] == ["input_tokens", "requests"]
    assert moved.meters[1] is first.meters[0]
    assert moved.limits is first.limits
