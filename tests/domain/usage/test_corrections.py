"""Voiding and replacing earlier events."""

import asyncio
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from domain.access.roles import Permission
from domain.kernel.ids import CustomerId, encode
from domain.subscriptions import service as subscriptions
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED, DUPLICATE, Reason, Status
from tests import make
from tests.domain.usage.world import World, edge, event, llm, name_of, open_recorder
from tests.domain.usage.yard import PLAIN, SAMPLE, STOCK, open_yard, sender

_LLM = sender(product_key="llm")


async def _audited(world: World, customer_id: CustomerId) -> list[tuple[str, dict[str, Any]]]:
    async with world.db.transaction() as tx:
        statement = sa.text("SELECT action, facts FROM audit_entry WHERE customer_id = :id AND action LIKE '%_usage'")
        return [(row.action, row.facts) for row in await tx.rows(statement.bindparams(id=customer_id))]


def _void(customer: Any, event_id: str, target: str) -> UsageEvent:
    return UsageEvent(event_id, "void", name_of(customer), corrects=target)


async def test_a_voided_call_is_taken_back_from_every_meter_and_stays_stored(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), event(ada, "e2", model="gemini-2.5-flash"), by=_LLM)
    assert await world.record(_void(ada, "v1", "e1"), by=_LLM) == [COUNTED]
    found = await world.usage(subscription)
    # What is left is e2: 1,000 x 0.125 / 1M + 100 x 0.375 / 1M = 0.0001625 USD.
    assert found.quantity(world.meter("llm", "cost")) == Decimal("0.0001625")
    assert found.quantity(world.meter("llm", "calls")) == 1
    assert found.quantity(world.meter("llm", "calls"), {"model": "gemini-2.5-pro"}) == 0
    assert found.quantity(world.meter("llm", "tokens")) == 1100
    async with world.db.transaction() as tx:
        events = await usage.list_events(tx, make.call(by=make.principal(Permission.EVENT_READ)), ada.id)
    assert sorted((each.event_id, each.corrects) for each in events) == [("e1", None), ("e2", None), ("v1", "e1")]
    [first] = [each for each in events if each.event_id == "e1"]
    [voided] = await _audited(world, ada.id)
    assert voided == ("void_usage", {"taken_back": [encode("event", first.id)], "counted_again": []})


async def test_a_replacement_takes_the_place_of_an_event_in_its_own_hour(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), by=_LLM)
    other = llm(ada, "e2", at="2026-01-14T10:30:00Z", input_tokens=7, output_tokens=0)
    replaced = UsageEvent(other.id, other.type, other.customer, None, other.occurred_at, other.properties, "e1")
    assert await world.record(replaced, by=_LLM) == [COUNTED]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "tokens")) == 7
    async with world.db.transaction() as tx:
        [segment] = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        hours = await usage.hours_of(tx, ada.id, [segment.id], meter_id=world.meter("llm", "tokens"))
    assert [(hour.at, hour.quantity, hour.events) for hour in hours] == [
        (make.at("2026-01-14T10:00"), Decimal(7), 1),
        (make.at("2026-01-15T12:00"), Decimal(0), 0),
    ]


async def test_voiding_twice_is_a_duplicate_and_a_replaced_event_is_corrected_by_its_replacement(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), event(ada, "e2"), by=_LLM)
    assert await world.record(_void(ada, "v1", "e1"), _void(ada, "v2", "e1"), by=_LLM) == [COUNTED, DUPLICATE]
    assert await world.record(_void(ada, "v1", "e1"), _void(ada, "v3", "e1"), by=_LLM) == [DUPLICATE, DUPLICATE]
    new = UsageEvent("n2", "llm.call", name_of(ada), None, None, {**event(ada).properties, "input_tokens": 1}, "e2")
    assert await world.record(new, by=_LLM) == [COUNTED]
    before = await world.counts()
    [refused] = await world.record(_void(ada, "v4", "e2"), by=_LLM)
    assert (refused.status, refused.reason) == (Status.REJECTED, Reason.CORRECTED_ALREADY)
    assert await world.counts() == before
    assert (await world.usage(subscription)).quantity(world.meter("llm", "input_tokens")) == 1
    assert await world.record(_void(ada, "v4", "n2"), by=_LLM) == [COUNTED]
    # The replacement is undone: what it had replaced counts again.
    assert (await world.usage(subscription)).quantity(world.meter("llm", "input_tokens")) == 1000
    assert await world.record(_void(ada, "v5", "v4"), by=_LLM) == [COUNTED]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "input_tokens")) == 1
    assert await world.record(_void(ada, "v6", "v5"), _void(ada, "v7", "e2"), by=_LLM) == [COUNTED, COUNTED]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 0


async def test_an_event_is_corrected_at_most_16_times(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e0"), by=_LLM)

    def replacing(number: int) -> UsageEvent:
        new = event(ada, f"e{number}", input_tokens=number, output_tokens=0)
        return UsageEvent(new.id, new.type, new.customer, None, new.occurred_at, new.properties, f"e{number - 1}")

    # Some in one batch, some each in its own: what comes before is at hand, or is loaded.
    assert await world.record(*[replacing(number) for number in range(1, 9)], by=_LLM) == [COUNTED] * 8
    for number in range(9, 17):
        assert await world.record(replacing(number), by=_LLM) == [COUNTED]
    for late in (replacing(17), _void(ada, "v", "e16")):
        [verdict] = await world.record(late, by=_LLM)
        assert (verdict.status, verdict.reason) == (Status.REJECTED, Reason.CORRECTED_ALREADY)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "tokens")) == 16


async def test_corrections_need_their_scope_their_source_and_their_product(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), by=_LLM)
    await world.subscribe(ada, "edge", "professional")
    before = await world.counts()
    [refused] = await world.record(_void(ada, "v1", "e1"))
    assert (refused.status, refused.reason) == (Status.REJECTED, Reason.CORRECTS_NOT_ALLOWED)
    [refused] = await world.record(_void(ada, "v1", "e1"), by=sender(product_key="edge"))
    assert (refused.status, refused.reason) == (Status.REJECTED, Reason.WRONG_PRODUCT)
    assert await world.counts() == before
    [kept] = await world.record(_void(ada, "v1", "e1"), by=sender(product_key="llm", source="other"))
    assert (kept.status, kept.reason) == (Status.QUARANTINED, Reason.UNKNOWN_EVENT)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 1


async def test_what_happened_outside_the_window_cannot_be_corrected_any_more(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), by=_LLM)
    # 35 days after noon of 15 January it can still be voided, a second later no more.
    [late] = await world.record(_void(ada, "v1", "e1"), by=_LLM, when="2026-02-19T12:00:01")
    assert (late.status, late.reason) == (Status.REJECTED, Reason.OUTSIDE_WINDOW)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 1
    assert await world.record(_void(ada, "v1", "e1"), by=_LLM, when="2026-02-19T12:00:00") == [COUNTED]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 0


async def test_an_event_and_its_correction_may_come_in_one_batch(world: World) -> None:
    ada, subscription = await world.subscriber()
    batch = [event(ada, "e1"), _void(ada, "v1", "e1"), event(ada, "e2"), _void(ada, "v2", "v1")]
    assert await world.record(*batch, by=_LLM, atomic=True) == [COUNTED] * 4
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 2
    assert await world.record(*batch, by=_LLM, atomic=True) == [DUPLICATE] * 4


async def test_a_correction_that_would_take_a_level_below_zero_is_refused_whole(world: World) -> None:
    ada, subscription = await world.subscriber("edge", "professional")
    by = sender(product_key="edge")
    await world.record(edge(ada, "m1", "edge.module", delta=3), edge(ada, "m2", "edge.module", delta=-2), by=by)
    before = await world.counts()
    [refused] = await world.record(_void(ada, "v1", "m1"), by=by)
    assert (refused.status, refused.reason) == (Status.REJECTED, Reason.LEVEL_BELOW_ZERO)
    assert await world.counts() == before
    assert await world.record(_void(ada, "v2", "m2"), _void(ada, "v1", "m1"), by=by) == [COUNTED, COUNTED]
    assert (await world.usage(subscription)).quantity(world.meter("edge", "modules")) == 0


async def test_two_processes_that_void_the_same_event_take_it_back_once(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"), event(ada, "e2"), by=_LLM)
    await world.record(*(event(ada, f"r{n}") for n in range(20)), by=_LLM)
    async with open_recorder(world.db) as second:
        answers = await asyncio.gather(
            *(
                recorder.record(make.call(by=_LLM), [_void(ada, f"{name}{n}", f"r{n}")])
                for n in range(20)
                for name, recorder in (("v", world.recorder), ("w", second))
            )
        )
    verdicts = [answer[0] for answer in answers]
    assert (verdicts.count(COUNTED), verdicts.count(DUPLICATE)) == (20, 20)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 2


async def test_a_voided_extreme_gives_way_to_the_next_one(world: World) -> None:
    own = await open_yard(world)
    for number, value in enumerate((3, 9, 5)):
        at = f"2026-01-1{number}T10:00:00Z"
        await own.send(own.event(f"s{number}", SAMPLE, at, place="quay", v=value))
    assert await own.measured("largest") == 9
    assert await own.send(own.void("v1", "s1")) == [COUNTED]
    assert await own.measured("largest") == 5
    assert await own.send(own.void("v2", "s2"), own.void("v3", "v1")) == [COUNTED, COUNTED]
    assert await own.measured("largest") == 9
    assert await own.measured("last") == 9


async def test_what_a_plan_change_divides_is_measured_in_parts_that_add_up(world: World) -> None:
    own = await open_yard(world)
    await own.send(own.event("p1", PLAIN, "2026-01-05T00:00:00Z", place="quay", delta=31))
    await own.send(own.event("k1", STOCK, "2026-01-05T00:00:00Z", place="quay", amount=31, op="set"))
    whole = await own.measured("plain_seconds")
    # 31 for 27 of 31 days.
    assert whole == 27
    async with world.db.transaction() as tx:
        locked = await subscriptions.lock_subscription(tx, own.subscription.id, scope=own.customer.id)
        border = make.at("2026-01-20")
        await subscriptions.switch_version(tx, make.call(), locked, own.subscription.plan_version_id, border)
    await own.send(own.event("k2", STOCK, "2026-01-25T00:00:00Z", place="shed", amount=31))
    # 31 x 15/31 before the border and 31 x 12/31 after it; the level is 31 at the end of both.
    parts = await own.totals("plain_seconds")
    assert [total.amount for total in parts] == [15, 12]
    assert [total.amount for total in await own.totals("plain")] == [31, 31]
    shown = await own.usage()
    assert shown.meters[own.meters["plain_seconds"]].amount == 27
    # 31 x 27/31, and 31 x 7/31 on the shed since the 25th.
    assert shown.meters[own.meters["stock_seconds"]].amount == 34
