"""The running usage of many customers is what each of their subscriptions shows by itself."""

from dataclasses import replace
from typing import Any

from domain.kernel.call import Environment
from domain.kernel.ids import NOBODY, CustomerId
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.gathering.service import KNOWN_MAX, Known, Standing
from domain.usage.reading import MeterUsage
from tests import make
from tests.domain.usage.world import World, event
from tests.domain.usage.yard import BADGE, PLAIN, SAMPLE, STOCK, open_yard


async def _gather(world: World, known: Known, *customer_ids: CustomerId) -> dict[CustomerId, Standing]:
    async with world.db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        return await usage.usage_of_customers(tx, catalogue, customer_ids, known)


def _plain(meters: Any) -> dict[Any, MeterUsage]:
    """Put combinations into one order: a statement gives them in any."""
    return {
        meter_id: replace(each, combinations=tuple(sorted(each.combinations, key=lambda one: str(one.dimensions))))
        for meter_id, each in meters.items()
    }


async def test_customers_read_together_show_what_each_subscription_shows_by_itself(world: World) -> None:
    ada, llm = await world.subscriber()
    cdn = await world.subscribe(ada, "edge", "starter")
    ben, other = await world.subscriber(environment=Environment.TEST)
    idle = await world.customer()
    own = await open_yard(world)
    await world.record(event(ada, "e1"), event(ada, "e2", model="gemini-2.5-flash"), event(ben, "e3"))
    await own.send(
        own.event("s1", SAMPLE, "2026-01-02T00:00:00Z", place="quay", v=3),
        own.event("s2", SAMPLE, "2026-01-03T00:00:00Z", place="shed", v=5),
        own.event("b1", BADGE, "2026-01-04T00:00:00Z", place="quay", who="a", op="add"),
        own.event("k1", STOCK, "2026-01-05T00:00:00Z", place="quay", amount=4, op="add"),
        own.event("p1", PLAIN, "2026-01-06T00:00:00Z", place="shed", delta=2),
    )
    known = Known()
    for _ in range(2):
        # The second time, subscriptions are known.
        found = await _gather(world, known, ada.id, ben.id, idle.id, own.customer.id, CustomerId(NOBODY))
        assert found.keys() == {ada.id, ben.id, idle.id, own.customer.id}
        assert (found[idle.id].running, found[idle.id].version) == ([], 0)
        assert {each.id for each, _ in found[ada.id].running} == {llm.id, cdn.id}
        assert [each.id for each, _ in found[ben.id].running] == [other.id]
        assert (found[ben.id].environment, found[ada.id].environment) == (Environment.TEST, Environment.LIVE)
        for standing in found.values():
            for subscription, shown in standing.running:
                alone = await world.usage(subscription)
                assert _plain(shown.meters) == _plain(alone.meters)
                assert (shown.version, shown.period) == (alone.version, alone.period)
        assert found[own.customer.id].running[0][1].meters
        assert found[ada.id].version == 1


async def test_a_subscription_that_changed_or_ended_is_read_anew(world: World) -> None:
    ada, started = await world.subscriber()
    known = Known()
    [(before, _)] = (await _gather(world, known, ada.id))[ada.id].running
    assert before == started

    async def change(after: Subscription) -> Subscription:
        async with world.db.transaction() as tx:
            return await subscriptions.save(tx, before, after)

    later = await change(replace(started, cancel_at=make.at("2026-02-01"), canceled_at=make.at("2026-01-02")))
    [(shown, _)] = (await _gather(world, known, ada.id))[ada.id].running
    assert shown == later
    assert shown.cancel_at == make.at("2026-02-01")


async def test_what_is_remembered_of_subscriptions_is_bounded(world: World) -> None:
    ada, started = await world.subscriber()
    known = Known()
    known._known.update(dict.fromkeys(range(KNOWN_MAX), started))  # type: ignore[arg-type]
    [(shown, _)] = (await _gather(world, known, ada.id))[ada.id].running
    assert shown == started
    assert len(known._known) == KNOWN_MAX
    assert started.id in known._known
