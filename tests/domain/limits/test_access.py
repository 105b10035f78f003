"""What checks answer while a payment is owed for longer than its grace."""

import pytest

from domain.limits import service as limits
from domain.limits.request import AccessSuspended
from domain.plans.price import free_version
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import AccessState, Subscription
from domain.usage.service import current_usage
from tests.domain.limits.office import Office, call_of, edge_of, key
from tests.domain.usage.world import event


async def _set(office: Office, subscription: Subscription, access: AccessState) -> Subscription:
    async with office.world.db.transaction() as tx:
        before = await subscriptions.lock_subscription(tx, subscription.id, scope=None)
        return await subscriptions.set_access(tx, before, access)


async def test_restricted_access_has_the_limits_of_the_free_plan_and_no_overrides(office: Office) -> None:
    ada, subscription = await office.subscriber("pro")
    await office.override(ada, "gemini_calls", 10_000)
    process = await office.process()
    await office.world.record(*[event(ada, f"e{n}") for n in range(100)])
    assert await process.allows(ada)
    restricted = await _set(office, subscription, AccessState.RESTRICTED)
    office.later(seconds=6)
    answer = await process.reserver.check(office.call(), call_of(ada))
    assert answer.refused is not None
    # The free plan has 100 calls to Gemini, and they are used.
    assert [answer.refused.key, answer.refused.limit, answer.plan] == ["gemini_calls", 100, None]
    assert answer.message.startswith("A payment is overdue, so the limits of the free plan apply")
    async with office.world.db.transaction() as tx:
        usage = await current_usage(tx, ada.id, restricted)
    shown = {each.key: each.limit for each in limits.limits_of(office.world.catalogue, restricted, usage, {})}
    assert shown["gemini_calls"] == 100
    await _set(office, restricted, AccessState.FULL)
    office.later(seconds=6)
    assert await process.allows(ada)


async def test_suspended_access_is_refused_with_a_reason_and_usage_is_recorded_all_the_same(office: Office) -> None:
    ada, subscription = await office.subscriber("pro")
    process = await office.process()
    await _set(office, subscription, AccessState.SUSPENDED)
    with pytest.raises(AccessSuspended):
        await process.reserver.check(office.call(), call_of(ada))
    [verdict] = await office.world.record(event(ada, "e1"))
    assert verdict.status == "counted"


async def test_under_restricted_access_nothing_is_added_to_a_level_and_what_is_there_can_go(office: Office) -> None:
    ada, subscription = await office.subscriber("starter", "edge")
    process = await office.process()
    await _set(office, subscription, AccessState.RESTRICTED)
    edge = office.call(key("edge"))
    added = await process.reserver.check(edge, edge_of(ada, "edge.module", delta=1))
    assert added.refused is not None
    assert [added.refused.key, added.refused.limit] == ["modules", 0]
    assert (await process.reserver.check(edge, edge_of(ada, "edge.module", delta=-1))).is_allowed


async def test_the_free_plan_is_the_lowest_that_costs_nothing(office: Office) -> None:
    catalogue = office.world.catalogue
    for product in ("llm", "edge"):
        found = free_version(catalogue, catalogue.product(product).id, "USD")
        assert found is not None
        assert catalogue.plan_of_version(found.id).key == "free"
    assert free_version(catalogue, catalogue.product("llm").id, "XXX") is None
