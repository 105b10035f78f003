"""Thresholds on usage and on values."""

from fractions import Fraction

import pytest

from domain.limits.thresholds import STEPS_MAX, Severity, Watch, crossed, due, highest_reached, reached, severity_of

_LLM = (80, 90, 100)


def _numbers(*values: int) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, values))


@pytest.mark.parametrize(
    ("used", "found"),
    [
        ("3999.999999", ()),
        # 80 % of 5,000 is 4,000; reaching it is enough.
        ("4000", (80,)),
        ("4500", (80, 90)),
        ("5000", (80, 90, 100)),
        ("99999", (80, 90, 100)),
        ("0", ()),
    ],
)
def test_a_threshold_is_reached_by_usage_on_it(used: str, found: tuple[int, ...]) -> None:
    assert reached(Fraction(used), Fraction(5_000), (100, 80, 90, 80)) == found


@pytest.mark.parametrize("limit", [None, Fraction(0)])
def test_without_a_limit_and_with_a_limit_of_nothing_percentages_are_silent(limit: Fraction | None) -> None:
    assert reached(Fraction(10**9), limit, _LLM) == ()


def test_each_threshold_is_due_once_in_a_period_and_in_order() -> None:
    limit, raised = Fraction(100), list[int]()
    told = []
    # 95 jumps over two thresholds at once; 70 falls back; 91 reaches nothing that is new.
    for used in (79, 95, 70, 91, 100, 250):
        news = due(Fraction(used), limit, _LLM, raised)
        told.append(news)
        raised += news
    assert told == [(), (80, 90), (), (), (100,), ()]
    # A new period begins with nothing raised.
    assert due(Fraction(80), limit, _LLM, ()) == (80,)


@pytest.mark.parametrize(
    ("percents", "severity"),
    [((), Severity.INFO), ((80,), Severity.WARNING), ((80, 90), Severity.WARNING), ((80, 100), Severity.CRITICAL)],
)
def test_a_notice_is_as_grave_as_the_highest_threshold_reached(percents: tuple[int, ...], severity: Severity) -> None:
    assert severity_of(percents) is severity


def test_of_unordered_values_the_highest_reached_is_named() -> None:
    assert highest_reached(Fraction(25), _numbers(20, 10, 30)) == 20
    assert highest_reached(Fraction(30), _numbers(20, 10, 30)) == 30
    assert highest_reached(Fraction(9), _numbers(20, 10, 30)) is None


_RISING = Watch(_numbers(10, 30, 50), Fraction(100))
_FALLING = Watch(_numbers(200, 500, 800), Fraction(100), "falling")


@pytest.mark.parametrize(
    ("watch", "previous", "current", "found"),
    [
        (_RISING, 8, 30, (10, 30)),
        (_RISING, 8, 8, ()),
        # It was on 30 before.
        (_RISING, 30, 49, ()),
        (_RISING, 30, 29, ()),
        # Steps count on from 50: 150, 250, 350.
        (_RISING, 33, 351, (50, 150, 250, 350)),
        (_RISING, 150, 250, (250,)),
        (Watch((), Fraction(100)), 0, 150, (100,)),
        (Watch(_numbers(10, 30)), 0, 10**6, (10, 30)),
        (_FALLING, 1_000, 500, (500, 800)),
        (_FALLING, 700, 600, ()),
        (_FALLING, 500, 900, ()),
        # Down from 200: 100, 0, -100.
        (_FALLING, 300, -100, (-100, 0, 100, 200)),
    ],
)
def test_thresholds_on_the_way_from_one_value_to_the_next_fire_once(
    watch: Watch, previous: int, current: int, found: tuple[int, ...]
) -> None:
    assert crossed(watch, Fraction(previous), Fraction(current)) == found


def test_of_very_many_steps_at_once_the_last_ones_are_told() -> None:
    found = crossed(Watch((), Fraction("0.001")), Fraction(0), Fraction(10**6))
    assert len(found) == STEPS_MAX
    assert found[0] == Fraction("999999.001")
    assert found[-1] == 10**6
