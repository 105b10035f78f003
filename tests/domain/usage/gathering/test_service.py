"""The running usage of many customers is what each of their subscriptions shows by itself."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from domain.kernel.call import Environment
from domain.kernel.ids import NOBODY, CustomerId
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.gathering import store
from domain.usage.gathering.service import KNOWN_MAX, Known, Standing
from domain.usage.gathering.store import Moved
from domain.usage.reading import MeterUsage
from tests import make
from tests.domain.usage.world import World, event, llm
from tests.domain.usage.yard import BADGE, PLAIN, SAMPLE, STOCK, open_yard


async def _gather(
    world: World, known: Known, *customer_ids: CustomerId, at: str = "2026-01-20"
) -> dict[CustomerId, Standing]:
    async with world.db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        return await usage.usage_of_customers(tx, catalogue, customer_ids, known, at=make.at(at))


def _plain(meters: Any) -> dict[Any, MeterUsage]:
    """Put combinations into one order: a statement gives them in any."""
    return {
        meter_id: msgspec.structs.replace(
            each, combinations=tuple(sorted(each.combinations, key=lambda one: str(one.dimensions)))
        )
        for meter_id, each in meters.items()
    }


def _without_usage(standing: Standing) -> Standing:
    return msgspec.structs.replace(standing, epoch=None, running=[])


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


async def test_what_moved_is_read_and_comes_to_what_a_reading_of_all_shows(world: World) -> None:
    ada, started = await world.subscriber()
    await world.subscribe(ada, "edge", "starter")
    own = await open_yard(world)
    known = Known()

    async def compare() -> Standing:
        found = await _gather(world, known, ada.id, own.customer.id)
        anew = await _gather(world, Known(), ada.id, own.customer.id)
        for customer_id, standing in found.items():
            whole = anew[customer_id]
            assert _without_usage(standing) == _without_usage(whole)
            assert [each for each, _ in standing.running] == [each for each, _ in whole.running]
            for (_, shown), (_, wanted) in zip(standing.running, whole.running, strict=True):
                assert (shown.version, shown.period) == (wanted.version, wanted.period)
                assert _plain(shown.meters) == _plain(wanted.meters)
        return found[ada.id]

    async def switch() -> None:
        other = world.catalogue.current_version("llm", "basic").id
        async with world.db.transaction() as tx:
            locked = await subscriptions.lock_subscription(tx, started.id, scope=ada.id)
            await subscriptions.switch_version(tx, make.call(), locked, other, make.at("2026-01-15T12:30"))

    calls = world.meter("llm", "calls")
    await compare()
    await world.record(event(ada, "e1"), event(ada, "e2", model="gemini-2.5-flash"))
    assert (await compare()).running[-1][1].quantity(calls) == 2
    # Nothing moved, then another combination and another meter, then a correction of a level and of an extreme.
    await compare()
    await world.record(event(ada, "e3", model="gemini-2.5-pro"), event(ada, "e4"))
    await own.send(
        own.event("s1", SAMPLE, "2026-01-02T00:00:00Z", place="quay", v=9),
        own.event("k1", STOCK, "2026-01-05T00:00:00Z", place="quay", amount=4, op="add"),
    )
    await compare()
    await own.send(
        own.void("v1", "s1"), own.event("k2", STOCK, "2026-01-06T00:00:00Z", place="shed", amount=1, op="add")
    )
    assert (await compare()).running[-1][1].quantity(calls) == 4
    # Another version of the plan cuts the period: what is counted afterwards is in another segment of the same period.
    await switch()
    await compare()
    await world.record(llm(ada, "e5", at="2026-01-15T12:31:00Z"), when="2026-01-15T13:00")
    standing = await compare()
    assert standing.running[-1][1].quantity(calls) == 5
    assert standing.version == 3


async def test_what_a_slow_transaction_wrote_before_a_reading_is_read_after_its_commit(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(event(ada, "e1"))
    known, calls = Known(), world.meter("llm", "calls")

    async def shown() -> Decimal:
        [(_, found)] = (await _gather(world, known, ada.id))[ada.id].running
        return found.quantity(calls)

    assert await shown() == 1
    async with world.db.transaction() as slow:
        driver = await slow.raw()
        [slot] = await driver.fetch("SELECT slot FROM meter_set WHERE meter_id = $1", calls)
        column = f"q{slot['slot']}"
        # In a part of its own, as procedures write whose faults are caught: its number is then higher than the whole's.
        async with slow.attempted():
            await driver.execute(f"UPDATE counter_total SET {column} = {column} + 6 WHERE customer_id = $1", ada.id)  # noqa: S608
        # Others write and commit meanwhile, and the reading does not see the slow one.
        ben, _ = await world.subscriber()
        await world.record(event(ben, "e1"))
        assert await shown() == 1
        await world.record(event(ben, "e2"))
    assert await shown() == 7


async def test_rows_and_versions_that_have_not_changed_are_not_read_again(world: World) -> None:
    ada, subscription = await world.subscriber()
    ben, _ = await world.subscriber()
    await world.record(event(ada, "e1"), event(ada, "e2", model="gemini-2.5-flash"))
    async with world.db.transaction() as tx:
        mark, known = await store.list_moved(tx, [], [])
        runners = await store.list_running(tx, [ada.id])
        whole = await store.list_totals(tx, [ben.id, ada.id], [[], [subscription]])
    assert known.of == []
    assert [each.id for each in runners[ada.id].states] == [subscription.id]
    await world.record(event(ada, "e3"))
    async with world.db.transaction() as tx:
        later, read = await store.list_moved(tx, [ben.id, ada.id], [mark, mark])
        _, none = await store.list_moved(tx, [ben.id, ada.id], [later, later])
    assert later > mark
    # Of two combinations, and the sums over both, the one that moved was read, with the version.
    rows = [{part for own in found.of[1].rows[subscription.id].values() for part in own} for found in (whole, read)]
    assert (len(rows[0]), len(rows[1])) == (2, 1)
    assert [(found.of[1].version, found.of[1].is_anew) for found in (whole, read)] == [(1, False), (2, False)]
    # What did not move was not read, and of somebody else nothing.
    assert [found.of[0] for found in (whole, read, none)] == [Moved()] * 3
    assert none.of[1] == Moved()


async def test_whoever_runs_something_else_is_told_to_be_read_anew(world: World) -> None:
    ada, subscription = await world.subscriber()
    ben, _ = await world.subscriber()
    async with world.db.transaction() as tx:
        mark, _ = await store.list_moved(tx, [], [])
    async with world.db.transaction() as tx:
        await subscriptions.save(tx, subscription, replace(subscription, cancel_at=make.at("2026-02-01")))
    async with world.db.transaction() as tx:
        later, read = await store.list_moved(tx, [ada.id, ben.id], [mark, mark])
        _, none = await store.list_moved(tx, [ada.id, ben.id], [later, later])
    assert [each.is_anew for each in (*read.of, *none.of)] == [True, False, False, False]
