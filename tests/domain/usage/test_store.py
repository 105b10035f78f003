"""Reading usage back on real Postgres: totals, digests, raw events, quarantine, versions, partitions."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.access.roles import Permission
from domain.kernel.call import Forbidden
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.subscriptions import service as subscriptions
from domain.usage import service as usage
from domain.usage.event import canonical_json, event_digest, identity_of
from domain.usage.verdict import CONFLICT, COUNTED, DUPLICATE
from tests import make
from tests.domain.usage.world import World, edge, event, key, llm, name_of


async def test_the_digest_of_a_total_is_made_from_its_stored_events(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), llm(ada, "e2", at="2026-01-15T10:30:00Z", output_tokens=7, note="x"))
    async with world.db.transaction() as tx:
        [segment] = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        totals = (await usage.usage_of_segments(tx, ada.id, [segment.id]))[segment.id]
        events = await usage.list_events(tx, make.call(by=make.principal(Permission.EVENT_READ)), ada.id)
    digests = [
        event_digest(
            identity_of(name_of(ada), stored.source, stored.event_id),
            stored.occurred_at,
            canonical_json(stored.properties),
            stored.cost,
        )
        for stored in events
    ]
    assert len(totals) == 5
    assert {total.digest for total in totals} == {sum(digests) % 2**256}
    assert {total.events for total in totals} == {2}
    assert totals[0].dimensions == {"provider": "gemini", "model": "gemini-2.5-pro"}


async def test_raw_events_and_quarantine_need_their_permission_and_keep_to_the_scope(world: World) -> None:
    ada, subscription = await world.subscriber()
    bob, _ = await world.subscriber()
    await world.record(event(ada, "e1"), event(ada, "e2"), event(bob, "e1"), edge(ada, "q", "coffee.cup"))
    member = make.call(by=make.principal(Permission.EVENT_READ, customer_id=ada.id))
    async with world.db.transaction() as tx:
        own = await usage.list_events(tx, member, ada.id, subscription_id=subscription.id)
        assert sorted(stored.event_id for stored in own) == ["e1", "e2"]
        assert [stored.id for stored in await usage.list_events(tx, member, ada.id, before=own[0].id)] == [own[1].id]
        assert await usage.list_events(tx, member, bob.id) == []
        assert await usage.list_events(tx, member, ada.id, subscription_id=SubscriptionId(make.new_id())) == []
        [kept] = await usage.list_quarantined(tx, member)
        assert kept.event_id == "q"
        assert await usage.list_quarantined(tx, member, customer_id=bob.id) == []
        assert await usage.list_quarantined(tx, member, before=kept.id) == []
        with pytest.raises(Forbidden):
            await usage.list_events(tx, make.call(by=make.principal()), ada.id)
        with pytest.raises(Forbidden):
            await usage.list_quarantined(tx, make.call(by=make.principal()))


async def test_the_usage_version_counts_commits_that_moved_a_total(world: World) -> None:
    ada, _ = await world.subscriber()
    async with world.db.transaction() as tx:
        assert await usage.usage_version(tx, ada.id) == 0
    await world.record(event(ada))
    await world.record(event(ada))
    await world.record(event(ada, "e2"), event(ada, "e3"))
    async with world.db.transaction() as tx:
        assert await usage.usage_version(tx, ada.id) == 2
        assert await usage.usage_version(tx, CustomerId(make.new_id())) == 0


async def test_events_move_into_the_table_of_their_month_when_it_is_made(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(event(ada, "e1"))
    assert await world.count("usage_event_default") == 1
    for expected in (["usage_event_2026_01", "usage_event_2026_02", "usage_event_2026_03"], []):
        async with world.db.transaction() as tx:
            assert await usage.ensure_partitions(tx, make.at("2026-01-31T23:59")) == expected
    await world.record(event(ada, "e2"))
    assert await world.count("usage_event_default") == 0
    assert await world.count("usage_event_2026_01") == 2
    assert await world.record(event(ada, "e1"), event(ada, "e2")) == [DUPLICATE, DUPLICATE]


async def test_a_level_carries_over_into_the_next_period_and_counters_do_not(world: World) -> None:
    ada, before = await world.subscriber("edge", "starter")
    by = key("edge")
    await world.record(edge(ada, "m", "edge.module", delta=2), edge(ada, "r", "edge.request", region="fra"), by=by)
    after = replace(before, period=replace(before.period, start=before.period.end, end=make.at("2026-03-01")))
    found = await world.usage(after)
    assert found.quantity(world.meter("edge", "modules")) == 2
    assert found.quantity(world.meter("edge", "requests")) == 0


async def test_properties_that_no_meter_declares_are_not_kept(world: World) -> None:
    ada, _ = await world.subscriber()
    assert await world.record(event(ada, prompt="secret", latency_ms=Decimal("12.5"))) == [COUNTED]
    assert await world.record(event(ada, prompt="other", latency_ms=Decimal("12.5"))) == [CONFLICT]
    async with world.db.transaction() as tx:
        [stored] = await usage.list_events(tx, make.call(by=make.principal(Permission.EVENT_READ)), ada.id)
    assert "prompt" not in stored.properties
    assert stored.properties["input_tokens"] == 1000
    assert stored.properties["latency_ms"] == Decimal("12.5")
