"""Meters of every kind, kept while events come in, against the pure rule."""

import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.usage.event import UsageEvent
from domain.usage.reading import whole_of
from domain.usage.verdict import COUNTED, Reason, Status
from tests.domain.usage import yard
from tests.domain.usage.world import World
from tests.domain.usage.yard import BADGE, METERS, PLAIN, SAMPLE, STOCK, Yard, open_yard

_HOURS = st.integers(0, 33 * 24 - 1)
_PLACES = st.sampled_from(("quay", "shed"))
_NUMBERS = st.integers(0, 5)
_SAMPLES = st.tuples(st.just(SAMPLE), _HOURS, _PLACES, st.fixed_dictionaries({"v": _NUMBERS}))
_BADGES = st.tuples(
    st.just(BADGE),
    _HOURS,
    _PLACES,
    st.fixed_dictionaries({"who": st.sampled_from("abc"), "op": st.sampled_from(("add", "add", "remove"))}),
)
_STOCKS = st.tuples(
    st.just(STOCK),
    _HOURS,
    _PLACES,
    st.fixed_dictionaries({"amount": _NUMBERS, "op": st.sampled_from(("add", "remove", "set"))}),
)
_PLAINS = st.tuples(st.just(PLAIN), _HOURS, _PLACES, st.fixed_dictionaries({"delta": st.integers(-2, 5)}))
_EVENTS = st.lists(st.one_of(_SAMPLES, _BADGES, _STOCKS, _PLAINS), min_size=1, max_size=30)


def _at(hour: int) -> str:
    day = hour // 24
    return f"2026-0{1 + day // 31}-{1 + day % 31:02}T{hour % 24:02}:00:00+00:00"


def _made(own: Yard, sent: list[tuple[str, int, str, dict[str, Any]]]) -> list[UsageEvent]:
    return [
        own.event(f"e{own.batches}-{number}", kind, _at(hour), place=place, **values)
        for number, (kind, hour, place, values) in enumerate(sent)
    ]


async def _agrees(own: Yard, standing: list[UsageEvent]) -> None:
    """Compare every meter, month and combination with the rule."""
    for month in range(2):
        measured = await own.month(month)
        for definition in METERS:
            key = definition["key"]
            wanted = yard.rule(key, standing, month)
            found = {total.dimensions.get("place"): total.amount for total in measured[key]}
            assert whole_of(measured[key]) == (wanted.pop(None, None) or 0), (key, month, "whole")
            if definition["dimensions"]:
                for place, value in wanted.items():
                    assert found.get(place, Fraction(0)) == (value or 0), (key, month, place)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=_EVENTS, order=st.randoms(use_true_random=False), size=st.integers(1, 12))
async def test_every_kind_of_meter_agrees_with_its_rule_under_any_order_split_and_repetition(
    world: World, sent: list[tuple[str, int, str, dict[str, Any]]], order: random.Random, size: int
) -> None:
    own = await open_yard(world)
    events = _made(own, sent)
    order.shuffle(events)
    repeated = [*events, *order.sample(events, len(events) // 3)]
    for start in range(0, len(repeated), size):
        verdicts = await own.send(*repeated[start : start + size])
        assert {each.status for each in verdicts} <= {Status.COUNTED, Status.DUPLICATE, Status.REJECTED}
        assert {each.reason for each in verdicts} <= {None, Reason.LEVEL_BELOW_ZERO}
    await _agrees(own, list(own.sent.values()))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=_EVENTS, replaced=_EVENTS, order=st.randoms(use_true_random=False), size=st.integers(1, 12))
async def test_voiding_takes_back_and_replacing_then_voiding_restores(
    world: World,
    sent: list[tuple[str, int, str, dict[str, Any]]],
    replaced: list[tuple[str, int, str, dict[str, Any]]],
    order: random.Random,
    size: int,
) -> None:
    own = await open_yard(world)
    events = _made(own, sent)
    for start in range(0, len(events), size):
        await own.send(*events[start : start + size])
    standing = dict(own.sent)
    before = await own.state()
    chosen = order.sample(sorted(standing), len(standing) // 2)
    replacements = [
        UsageEvent(f"new-{target}", each.type, each.customer, None, each.occurred_at, each.properties, target)
        for target, each in zip(chosen, _made(own, replaced), strict=False)
    ]
    verdicts = [*await own.send(*replacements)] if replacements else []
    done = [each for each, verdict in zip(replacements, verdicts, strict=True) if verdict == COUNTED]
    after = {**standing, **{each.id: each for each in done}}
    for each in done:
        del after[str(each.corrects)]
    await _agrees(own, [each for each in own.sent.values() if each.id in after])
    for each in reversed(done):
        [verdict] = await own.send(own.void(f"void-{each.id}", each.id))
        if verdict.status is Status.REJECTED:
            assert verdict.reason is Reason.LEVEL_BELOW_ZERO
            return
        assert verdict == COUNTED
    assert await own.state() == before


async def test_a_key_that_comes_late_before_its_removal_in_the_next_period_is_there_once(world: World) -> None:
    own = await open_yard(world)
    gone = own.event("gone", BADGE, "2026-02-02T22:00:00Z", place="quay", who="ada", op="remove")
    came = own.event("came", BADGE, "2026-01-10T03:00:00Z", place="quay", who="ada", op="add")
    for each in (gone, came):
        assert await own.send(each) == [COUNTED]
    await _agrees(own, [gone, came])
    assert [int(await own.measured("members", month)) for month in range(2)] == [1, 0]


async def test_what_was_measured_is_shown_in_the_running_period(world: World) -> None:
    own = await open_yard(world)
    await own.send(
        *(own.event(f"s{n}", SAMPLE, f"2026-01-1{n}T10:00:00Z", place="quay", v=v) for n, v in enumerate((1, 7, 2))),
        own.event("s9", SAMPLE, "2026-01-09T10:00:00Z", place="shed", v=9),
        own.event("b1", BADGE, "2026-01-10T10:00:00Z", place="quay", who="ada"),
        own.event("b2", BADGE, "2026-01-10T11:00:00Z", place="shed", who="ada"),
        own.event("k1", STOCK, "2026-01-16T12:00:00Z", place="quay", amount=10, op="set"),
    )
    shown = await own.usage()

    def amount(key: str, **wanted: str) -> Fraction:
        found = shown.meters[own.meters[key]]
        if not wanted:
            return found.amount
        [one] = [each for each in found.combinations if each.dimensions == wanted]
        return Fraction(one.quantity) if one.measured is None else one.measured

    assert amount("largest") == 9
    assert amount("largest", place="quay") == 7
    assert amount("smallest", place="shed") == 9
    # The sum of all four is 19; that of the three on the quay is 10.
    assert amount("mean") == Fraction(19, 4)
    assert amount("mean", place="quay") == Fraction(10, 3)
    assert amount("last") == 2
    # Of 1, 2, 7 and 9 half do not exceed 2.
    assert amount("median") == 2
    assert amount("visitors") == 1
    assert amount("visitors", place="shed") == 1
    assert amount("stock") == 10
    # 10 for the last 15.5 of 31 days.
    assert amount("stock_seconds") == 5
    [quay] = [each for each in shown.meters[own.meters["mean"]].combinations if each.dimensions == {"place": "quay"}]
    assert str(quay.quantity) == "3.333333333333333333"


async def test_nothing_counted_is_zero_and_no_mean(world: World) -> None:
    own = await open_yard(world)
    [verdict] = await own.send(own.event("s1", SAMPLE, "2026-01-10T10:00:00Z", place="quay", v=4))
    assert verdict == COUNTED
    assert await own.send(own.void("v1", "s1")) == [COUNTED]
    shown = await own.usage()
    assert own.meters["mean"] not in shown.meters
    assert own.meters["median"] not in shown.meters
    assert shown.quantity(own.meters["largest"]) == 0
    assert shown.quantity(own.meters["last"]) == 0
    assert await own.measured("smallest") == 0


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"who": "ada", "op": "set"}, "op is not add or remove"),
        ({"who": "ada", "op": 1}, "op is not add or remove"),
        ({"op": "add"}, "who is missing"),
        ({"who": "x" * 201}, "who is not text of up to 200 characters"),
    ],
)
async def test_a_key_or_an_operation_that_cannot_be_read_is_quarantined(
    world: World, values: dict[str, Any], fault: str
) -> None:
    own = await open_yard(world)
    [verdict] = await own.send(own.event("b1", BADGE, "2026-01-10T10:00:00Z", place="quay", **values))
    assert (verdict.status, verdict.reason, verdict.detail) == (Status.QUARANTINED, Reason.WRONG_TYPE, fault)
    assert await own.world.count("usage_reading") == 0


async def test_a_level_that_is_set_late_changes_what_came_after_it(world: World) -> None:
    own = await open_yard(world)
    await own.send(own.event("k1", STOCK, "2026-01-10T10:00:00Z", place="quay", amount=5))
    await own.send(own.event("k3", STOCK, "2026-01-12T10:00:00Z", place="quay", amount=2))
    assert await own.measured("stock") == 7
    await own.send(own.event("k2", STOCK, "2026-01-11T10:00:00Z", place="quay", amount=100, op="set"))
    assert await own.measured("stock") == 102
    # 95 more from the 11th on: what stood before is no longer part of it.
    await own.send(own.event("k0", STOCK, "2026-01-09T10:00:00Z", place="quay", amount=40))
    assert await own.measured("stock") == 102
    [refused] = await own.send(own.event("k4", STOCK, "2026-01-13T10:00:00Z", place="quay", amount=103, op="remove"))
    assert (refused.status, refused.reason) == (Status.REJECTED, Reason.LEVEL_BELOW_ZERO)
    assert await own.measured("stock", 1) == 102
