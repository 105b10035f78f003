"""Recording and reading usage on real Postgres, with the real catalogue."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.kernel.call import Environment, Forbidden
from domain.kernel.ids import NOBODY, encode
from domain.subscriptions import service as subscriptions
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.verdict import (
    CONFLICT,
    COUNTED,
    DUPLICATE,
    BatchEmpty,
    BatchRefused,
    BatchTooLarge,
    KeyRecordsNothing,
    Reason,
    Status,
    Verdict,
)
from tests import make
from tests.domain.usage.world import World, edge, event, key, llm, name_of

NOTHING = {
    "event_identity": 0,
    "usage_event": 0,
    "quarantined_event": 0,
    "counter_total": 0,
    "counter_hour": 0,
    "usage_hour": 0,
    "usage_total": 0,
    "usage_level": 0,
}


def _reasons(verdicts: list[Verdict]) -> list[tuple[Status, Reason | None]]:
    return [(verdict.status, verdict.reason) for verdict in verdicts]


async def test_an_event_is_counted_by_every_meter_it_feeds_and_priced_on_its_day(world: World) -> None:
    ada, subscription = await world.subscriber()
    assert await world.record(event(ada, "e1"), event(ada, "e2", model="gemini-2.5-flash")) == [COUNTED, COUNTED]
    found = await world.usage(subscription)
    # 1,000 x 1.25 / 1M + 100 x 10 / 1M = 0.00225 USD, and 1,000 x 0.125 / 1M + 100 x 0.375 / 1M = 0.0001625 USD.
    assert found.quantity(world.meter("llm", "cost")) == Decimal("0.0024125")
    assert found.quantity(world.meter("llm", "cost"), {"model": "gemini-2.5-pro"}) == Decimal("0.00225")
    assert found.quantity(world.meter("llm", "calls")) == 2
    assert found.quantity(world.meter("llm", "calls"), {"provider": "openai"}) == 0
    assert found.quantity(world.meter("llm", "tokens")) == 2200
    assert found.quantity(world.meter("llm", "images")) == 0
    assert found.version == 1
    assert world.wakeups.published == [ada.id]


async def test_the_same_event_again_is_a_duplicate_and_another_payload_a_conflict(world: World) -> None:
    ada, subscription = await world.subscriber()
    assert await world.record(event(ada)) == [COUNTED]
    before = await world.counts()
    assert await world.record(event(ada)) == [DUPLICATE]
    assert await world.record(event(ada, input_tokens=2000)) == [CONFLICT]
    assert await world.record(UsageEvent("e1", "edge.request", name_of(ada)), by=key("edge")) == [CONFLICT]
    assert CONFLICT.message
    assert await world.counts() == before
    assert (await world.usage(subscription)).quantity(world.meter("llm", "tokens")) == 1100


async def test_another_source_is_another_identity(world: World) -> None:
    ada, _ = await world.subscriber()
    assert await world.record(event(ada)) == [COUNTED]
    assert await world.record(event(ada), by=key(source="batch")) == [COUNTED]


async def test_within_one_batch_the_first_of_an_identity_wins(world: World) -> None:
    ada, subscription = await world.subscriber()
    batch = [event(ada, "t5", input_tokens=10), event(ada, "t5", input_tokens=5), event(ada, "t5", input_tokens=10)]
    assert await world.record(*batch) == [COUNTED, CONFLICT, DUPLICATE]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "input_tokens")) == 10


async def test_a_quarantined_event_holds_its_identity_and_is_kept_as_it_was_sent(world: World) -> None:
    ada, _ = await world.subscriber()
    odd = edge(ada, "e1", "coffee.cup", size=Decimal("0.33"), beans="arabica")
    assert _reasons(await world.record(odd)) == [(Status.QUARANTINED, Reason.UNKNOWN_METER)]
    assert await world.record(odd) == [DUPLICATE]
    assert await world.record(event(ada, "e1")) == [CONFLICT]
    async with world.db.transaction() as tx:
        [kept] = await usage.list_quarantined(tx, make.call(by=make.principal(Permission.EVENT_READ)))
    assert (kept.customer_id, kept.event_id, kept.reason) == (ada.id, "e1", Reason.UNKNOWN_METER)
    assert kept.properties == {"size": Decimal("0.33"), "beans": "arabica"}
    assert await world.counts() == {**NOTHING, "event_identity": 1, "quarantined_event": 1}


@pytest.mark.parametrize(
    ("properties", "status", "reason"),
    [
        ({"input_tokens": "1000"}, Status.QUARANTINED, Reason.WRONG_TYPE),
        ({"input_tokens": True}, Status.QUARANTINED, Reason.WRONG_TYPE),
        ({"input_tokens": None}, Status.QUARANTINED, Reason.WRONG_TYPE),
        ({"input_tokens": -1}, Status.REJECTED, Reason.NEGATIVE_VALUE),
    ],
)
async def test_a_wrong_value_is_not_counted(
    world: World, properties: dict[str, Any], status: Status, reason: Reason
) -> None:
    ada, subscription = await world.subscriber()
    assert _reasons(await world.record(event(ada, **properties))) == [(status, reason)]
    assert (await world.usage(subscription)).meters == {}
    kept = 1 if status is Status.QUARANTINED else 0
    assert await world.counts() == {**NOTHING, "event_identity": kept, "quarantined_event": kept}


@pytest.mark.parametrize(
    ("kind", "properties", "status", "reason"),
    [
        # What counters that have no price list cannot read: both amounts that only grow, and numbers that may fall.
        ("edge.request", {"count": -1}, Status.REJECTED, Reason.NEGATIVE_VALUE),
        ("edge.request", {"count": Decimal("-0.5")}, Status.REJECTED, Reason.NEGATIVE_VALUE),
        ("edge.request", {"count": "1"}, Status.QUARANTINED, Reason.WRONG_TYPE),
        ("edge.bandwidth", {}, Status.QUARANTINED, Reason.WRONG_TYPE),
        ("edge.module", {"delta": "1"}, Status.QUARANTINED, Reason.WRONG_TYPE),
        ("edge.module", {}, Status.QUARANTINED, Reason.WRONG_TYPE),
    ],
)
async def test_what_a_meter_of_the_edge_cannot_read_is_not_counted(
    world: World, kind: str, properties: dict[str, Any], status: Status, reason: Reason
) -> None:
    ada, subscription = await world.subscriber("edge", "professional")
    sent = edge(ada, "e1", kind, **properties)
    assert _reasons(await world.record(sent, by=key("edge"))) == [(status, reason)]
    assert (await world.usage(subscription)).meters == {}
    kept = 1 if status is Status.QUARANTINED else 0
    assert await world.counts() == {**NOTHING, "event_identity": kept, "quarantined_event": kept}


async def test_an_event_of_an_unknown_customer_is_kept_only_where_it_could_be_counted_once_it_is_known(
    world: World,
) -> None:
    stranger = encode("customer", make.new_id())
    new = UsageEvent("new", "llm.call", stranger, occurred_at="2026-01-15T12:00:00Z")
    old = UsageEvent("old", "llm.call", stranger, occurred_at="2025-11-16T12:00:00Z")
    assert _reasons(await world.record(new, old)) == [
        (Status.QUARANTINED, Reason.UNKNOWN_CUSTOMER),
        (Status.REJECTED, Reason.OUTSIDE_WINDOW),
    ]
    assert await world.counts() == {**NOTHING, "event_identity": 1, "quarantined_event": 1}


async def test_an_event_60_days_old_and_one_too_far_ahead_are_rejected(world: World) -> None:
    ada, _ = await world.subscriber()
    old = llm(ada, "old", at="2025-11-16T12:00:00Z")
    early = llm(ada, "early", at="2026-01-15T12:05:01Z")
    assert _reasons(await world.record(old, early)) == [(Status.REJECTED, Reason.OUTSIDE_WINDOW)] * 2
    assert await world.counts() == NOTHING


async def test_an_event_that_was_counted_stays_a_duplicate_after_it_left_the_window(world: World) -> None:
    ada, _ = await world.subscriber()
    assert await world.record(event(ada)) == [COUNTED]
    assert await world.record(event(ada), when="2026-05-01T00:00") == [DUPLICATE]
    assert await world.record(event(ada, input_tokens=1), when="2026-05-01T00:00") == [CONFLICT]


async def test_an_unknown_customer_is_quarantined_among_nobodys_events(world: World) -> None:
    ghost = encode("customer", make.new_id())
    assert _reasons(await world.record(event(ghost))) == [(Status.QUARANTINED, Reason.UNKNOWN_CUSTOMER)]
    assert await world.record(event(ghost)) == [DUPLICATE]
    assert _reasons(await world.record(event("ada"))) == [(Status.REJECTED, Reason.CUSTOMER_MALFORMED)]
    async with world.db.transaction() as tx:
        [kept] = await usage.list_quarantined(tx, make.call(by=make.principal(Permission.EVENT_READ)))
    assert (kept.customer_id, kept.customer) == (NOBODY, ghost)


async def test_a_key_of_the_other_environment_or_of_another_customer_finds_nobody(world: World) -> None:
    ada, _ = await world.subscriber()
    bob, _ = await world.subscriber()
    for other in (key(environment=Environment.TEST), key(customer_id=bob.id)):
        assert _reasons(await world.record(event(ada, "e1"), by=other)) == [
            (Status.QUARANTINED, Reason.UNKNOWN_CUSTOMER)
        ]
    # The customer's own identity is not held by what a stranger sent.
    assert await world.record(event(ada, "e1")) == [COUNTED]
    assert await world.record(event(bob, "e1"), by=key(customer_id=bob.id)) == [COUNTED]


async def test_a_type_of_another_product_is_rejected(world: World) -> None:
    ada, _ = await world.subscriber()
    assert _reasons(await world.record(event(ada), by=key("edge"))) == [(Status.REJECTED, Reason.WRONG_PRODUCT)]
    assert await world.counts() == NOTHING


async def test_who_has_no_key_of_a_product_records_nothing(world: World) -> None:
    ada, _ = await world.subscriber()
    with pytest.raises(Forbidden):
        await world.record(event(ada), by=make.principal(Permission.USAGE_READ))
    with pytest.raises(KeyRecordsNothing):
        await world.record(event(ada), by=make.principal(Permission.USAGE_WRITE))
    with pytest.raises(KeyRecordsNothing):
        await world.record(event(ada), by=replace(key(), product="coffee"))
    assert await world.counts() == NOTHING


async def test_a_named_subscription_must_be_the_customers_own_of_the_product(world: World) -> None:
    ada, subscription = await world.subscriber()
    _, other = await world.subscriber()

    def named(event_id: str, name: str) -> UsageEvent:
        return UsageEvent(event_id, "llm.call", name_of(ada), name, "2026-01-15T12:00:00Z", event(ada).properties)

    verdicts = await world.record(
        named("own", encode("subscription", subscription.id)),
        named("other", encode("subscription", other.id)),
        named("none", "sub_x"),
    )
    assert _reasons(verdicts) == [
        (Status.COUNTED, None),
        (Status.QUARANTINED, Reason.UNKNOWN_SUBSCRIPTION),
        (Status.REJECTED, Reason.SUBSCRIPTION_MALFORMED),
    ]


async def test_an_event_before_the_subscription_began_is_quarantined(world: World) -> None:
    ada = await world.customer()
    await world.subscribe(ada, on="2026-01-15T11:00")
    early = llm(ada, "early", at="2026-01-15T10:59:59.999999Z")
    first = llm(ada, "first", at="2026-01-15T11:00:00Z")
    assert _reasons(await world.record(early, first)) == [
        (Status.QUARANTINED, Reason.OUTSIDE_SUBSCRIPTION),
        (Status.COUNTED, None),
    ]


async def test_a_customer_who_subscribed_after_being_looked_up_is_found(world: World) -> None:
    ada = await world.customer()
    assert _reasons(await world.record(event(ada, "e1"))) == [(Status.QUARANTINED, Reason.OUTSIDE_SUBSCRIPTION)]
    await world.subscribe(ada)
    assert await world.record(event(ada, "e2")) == [COUNTED]


async def test_an_event_on_the_border_opens_the_new_period_and_is_counted_in_it_once(world: World) -> None:
    ada, subscription = await world.subscriber()
    border = llm(ada, "border", at="2026-02-01T00:00:00Z")
    before = llm(ada, "before", at="2026-01-31T23:59:59.999999Z")
    assert await world.record(border, before, when="2026-02-01T00:01") == [COUNTED, COUNTED]
    async with world.db.transaction() as tx:
        found = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        totals = await usage.usage_of_segments(tx, ada.id, [segment.id for segment in found])
    calls = world.meter("llm", "calls")
    counted = [[total.quantity for total in totals[segment.id] if total.meter_id == calls] for segment in found]
    assert counted == [[1], [1]]
    assert found[1].during.start == make.at("2026-02-01")


async def test_rows_resolved_before_a_border_moved_are_resolved_anew(world: World) -> None:
    ada, subscription = await world.subscriber()
    assert await world.record(event(ada, "remember")) == [COUNTED]
    other = world.catalogue.current_version("llm", "basic").id
    async with world.db.transaction() as tx:
        locked = await subscriptions.lock_subscription(tx, subscription.id, scope=ada.id)
        await subscriptions.switch_version(tx, make.call(), locked, other, make.at("2026-01-15T12:30"))
    late = llm(ada, "late", at="2026-01-15T12:29:59Z")
    after = llm(ada, "after", at="2026-01-15T12:30:00Z")
    assert await world.record(late, after, when="2026-01-15T13:00") == [COUNTED, COUNTED]
    async with world.db.transaction() as tx:
        found = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        hours = await usage.hours_of(tx, ada.id, [found[1].id], meter_id=world.meter("llm", "calls"))
        totals = await usage.usage_of_segments(tx, ada.id, [each.id for each in found])
    assert [(hour.at, hour.quantity) for hour in hours] == [(make.at("2026-01-15T12:30"), Decimal(1))]
    calls = world.meter("llm", "calls")
    counted = [next(each.events for each in totals[part.id] if each.meter_id == calls) for part in found]
    assert counted == [2, 1]
    # Limits count the whole period, under all versions.
    assert (await world.usage(subscription)).quantity(calls) == 3


async def test_time_is_that_of_the_customers_clock_and_read_anew_for_every_batch(world: World) -> None:
    staff = make.call(by=make.principal(*Permission))
    async with world.db.transaction() as tx:
        clock = await customers.create_clock(tx, staff, name="c", now_at=make.at("2027-06-01T00:00"))
    ada = await world.customer(environment=Environment.TEST, clock_id=clock.id)
    subscription = await world.subscribe(ada, on="2027-06-01")
    test_key = key(environment=Environment.TEST)
    ahead = llm(ada, "ahead", at="2027-06-01T00:06:00Z")
    assert await world.record(llm(ada, "now", at=None), by=test_key) == [COUNTED]
    assert _reasons(await world.record(ahead, by=test_key)) == [(Status.REJECTED, Reason.OUTSIDE_WINDOW)]
    async with world.db.transaction() as tx:
        moving = await customers.start_advance(tx, staff, clock.id, make.at("2027-06-01T00:01"))
        await customers.move_clock(tx, staff, moving.id, make.at("2027-06-01T00:01"))
    assert await world.record(ahead, by=test_key) == [COUNTED]
    async with world.db.transaction() as tx:
        events = await usage.list_events(tx, staff, ada.id)
    assert [stored.occurred_at for stored in events if stored.event_id == "now"] == [make.at("2027-06-01")]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 2


async def test_tokens_that_stay_in_a_cache_for_an_hour_are_counted_once_and_priced_apart(world: World) -> None:
    ada, subscription = await world.subscriber()
    call = {"provider": "anthropic", "model": "claude-opus-4-5", "input_tokens": 0, "output_tokens": 0}
    good = event(ada, "good", **call, cache_write_tokens=1_000, cache_write_1h_tokens=400)
    bad = event(ada, "bad", **call, cache_write_tokens=400, cache_write_1h_tokens=401)
    assert _reasons(await world.record(good, bad)) == [
        (Status.COUNTED, None),
        (Status.QUARANTINED, Reason.WRONG_TYPE),
    ]
    found = await world.usage(subscription)
    # 600 x 6.25 / 1M + 400 x 10 / 1M = 0.00375 + 0.004 USD.
    assert found.quantity(world.meter("llm", "cost")) == Decimal("0.00775")
    assert found.quantity(world.meter("llm", "tokens")) == 1_000


async def test_unpriced_usage_counts_for_calls_and_tokens_and_waits_in_quarantine_for_its_cost(world: World) -> None:
    ada, subscription = await world.subscriber()
    assert await world.record(event(ada, model="gemini-99-ultra")) == [COUNTED]
    found = await world.usage(subscription)
    assert found.quantity(world.meter("llm", "calls")) == 1
    assert found.quantity(world.meter("llm", "tokens")) == 1100
    assert world.meter("llm", "cost") not in found.meters
    reader = make.call(by=make.principal(Permission.EVENT_READ))
    async with world.db.transaction() as tx:
        [stored] = await usage.list_events(tx, reader, ada.id)
        [waiting] = await usage.list_quarantined(tx, reader, customer_id=ada.id)
    assert stored.cost is None
    assert (waiting.id, waiting.reason) == (stored.id, Reason.UNPRICED)


async def test_a_level_follows_its_deltas_and_never_falls_below_zero(world: World) -> None:
    ada, subscription = await world.subscriber("edge", "starter")
    modules = world.meter("edge", "modules")
    by = key("edge")

    def step(event_id: str, delta: int) -> UsageEvent:
        return edge(ada, event_id, "edge.module", delta=delta)

    below = (Status.REJECTED, Reason.LEVEL_BELOW_ZERO)
    assert _reasons(await world.record(step("a", -1), by=by)) == [below]
    assert _reasons(await world.record(step("b", 3), step("c", -2), step("d", -2), step("d", -2), by=by)) == [
        (Status.COUNTED, None),
        (Status.COUNTED, None),
        below,
        below,
    ]
    assert (await world.usage(subscription)).quantity(modules) == 1
    # A rejected event holds no identity: it can be sent again when there is something to take away.
    assert await world.record(step("a", -1), by=by) == [COUNTED]
    assert (await world.usage(subscription)).quantity(modules) == 0
    assert await world.count("usage_event") == 3
    assert await world.count("event_identity") == 3


async def test_an_atomic_batch_is_recorded_whole_or_not_at_all(world: World) -> None:
    ada, _ = await world.subscriber()
    good = event(ada, "good")
    with pytest.raises(BatchRefused) as refused:
        await world.record(good, event(ada, "bad", input_tokens=-1), event("nobody"), good, atomic=True)
    assert refused.value.bad == (1, 2)
    assert await world.counts() == NOTHING
    with pytest.raises(BatchRefused) as refused:
        await world.record(good, edge(ada, "odd", "coffee.cup"), event(ada, "good", input_tokens=7), atomic=True)
    assert refused.value.bad == (1, 2)
    assert await world.counts() == NOTHING
    assert await world.record(good, event(ada, "e2"), atomic=True) == [COUNTED, COUNTED]
    assert await world.record(good, event(ada, "e2"), atomic=True) == [DUPLICATE, DUPLICATE]
    with pytest.raises(BatchRefused):
        await world.record(event(ada, "e2", input_tokens=7), atomic=True)
    assert await world.count("usage_event") == 2


async def test_a_batch_has_one_to_a_thousand_events(world: World) -> None:
    ada, _ = await world.subscriber()
    with pytest.raises(BatchEmpty):
        await world.record()
    with pytest.raises(BatchTooLarge):
        await world.record(*[event(ada, f"e{n}") for n in range(1001)])
    assert await world.counts() == NOTHING
    assert await world.record(*[event(ada, f"e{n}") for n in range(1000)]) == [COUNTED] * 1000


async def test_a_meter_takes_a_thousand_combinations_a_period_and_quarantines_the_next(world: World) -> None:
    ada, subscription = await world.subscriber("edge", "professional")
    by = key("edge")
    assert await world.record(edge(ada, "first", "edge.request", region="r0"), by=by) == [COUNTED]
    verdicts = await world.record(*[edge(ada, f"e{n}", "edge.request", region=f"r{n}") for n in range(1, 1001)], by=by)
    assert verdicts[:999] == [COUNTED] * 999
    assert _reasons(verdicts[999:]) == [(Status.QUARANTINED, Reason.TOO_MANY_COMBINATIONS)]
    assert await world.record(edge(ada, "known", "edge.request", region="r7"), by=by) == [COUNTED]
    found = await world.usage(subscription)
    assert found.quantity(world.meter("edge", "requests")) == 1001
    assert len(found.meters[world.meter("edge", "requests")].combinations) == 1000
    assert await world.count("event_identity") == 1002
