"""What holds for every limit, threshold and projection."""

import itertools
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.period import Period
from domain.limits.decision import decide
from domain.limits.policy import Limit
from domain.limits.projection import course_of, pace_of, projected, reaches_at
from domain.limits.status import LimitState
from domain.limits.thresholds import Watch, crossed, due
from domain.plans.plan import Policy
from tests import make

_START = make.at("2026-06-01")
_MONTH = Period(_START, make.at("2026-07-01"))
_AMOUNTS = st.integers(0, 2_000).map(lambda number: Fraction(number, 10))
_LIMITS = st.builds(
    Limit,
    st.sampled_from(get_args(Policy)),
    st.none() | _AMOUNTS,
    st.integers(100, 200),
    st.integers(0, 100),
)
_HOURS = st.integers(0, 30 * 24 - 1)


@given(_LIMITS, st.lists(st.tuples(_HOURS, _AMOUNTS), max_size=12))
def test_usage_that_is_asked_for_never_passes_the_bound_and_the_grace_runs_once(
    limit: Limit, asked: list[tuple[int, Fraction]]
) -> None:
    used, passed_at = Fraction(0), None
    for hour, more in sorted(asked):
        at = _START + timedelta(hours=hour)
        answer = decide(limit, used, more, passed_at=passed_at, at=at)
        assert answer.used_after == (used + more if answer.is_allowed else used)
        assert answer.is_allowed == (answer.bound is None or used + more <= answer.bound)
        assert (answer.state is LimitState.BLOCKED) != answer.is_allowed
        used = answer.used_after
        if limit.amount is not None and used > limit.amount:
            passed_at = passed_at or at
        if limit.amount is not None and limit.policy != "observe":
            assert used <= limit.amount * (limit.soft_percent if limit.policy == "soft" else 100) / 100
            is_over = passed_at is not None and at >= passed_at + timedelta(hours=limit.grace_hours)
            assert not (is_over and answer.is_allowed and more) or used <= limit.amount


@given(_AMOUNTS, st.lists(_AMOUNTS, max_size=10), st.lists(st.integers(1, 150), max_size=5))
def test_each_threshold_is_raised_once_whatever_usage_does(
    limit: Fraction, levels: list[Fraction], percents: list[int]
) -> None:
    raised: list[int] = []
    for used in levels:
        news = due(used, limit, percents, raised)
        assert list(news) == sorted(news)
        raised += news
    assert len(raised) == len(set(raised))
    highest = max(levels, default=Fraction(0))
    assert set(raised) == ({each for each in percents if highest * 100 >= limit * each} if limit and levels else set())


_WATCHES = st.builds(
    Watch,
    st.lists(_AMOUNTS, max_size=3).map(tuple),
    st.none() | st.integers(1, 500).map(Fraction),
    st.sampled_from(("rising", "falling")),
)


@given(_WATCHES, st.lists(_AMOUNTS, min_size=2, max_size=8))
def test_thresholds_crossed_step_by_step_are_those_crossed_at_once(watch: Watch, values: list[Fraction]) -> None:
    in_order = sorted(values, reverse=watch.direction == "falling")
    steps = [each for pair in itertools.pairwise(in_order) for each in crossed(watch, *pair)]
    assert sorted(steps) == list(crossed(watch, in_order[0], in_order[-1]))
    assert crossed(watch, in_order[-1], in_order[0]) == ()


@given(_AMOUNTS, _AMOUNTS, st.integers(24, 30 * 24))
def test_a_limit_is_said_to_be_reached_exactly_where_the_projection_passes_it(
    used: Fraction, limit: Fraction, hour: int
) -> None:
    at = _START + timedelta(hours=hour)
    expected, reaches = projected(used, _MONTH, at), reaches_at(used, limit, _MONTH, at)
    assert expected is not None
    assert expected >= used
    if reaches is None:
        assert used >= limit or expected <= limit
    else:
        assert at <= reaches < _MONTH.end
        elapsed = timedelta(hours=hour)
        microsecond = timedelta(microseconds=1)
        assert used * Fraction((reaches - _START) // microsecond, elapsed // microsecond) >= limit
        assert used * Fraction((reaches - _START) // microsecond - 1, elapsed // microsecond) < limit


@given(
    st.decimals(0, 10**9, places=4),
    st.decimals(0, 10**9, places=4),
    st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_whole_numbers_say_where_usage_is_heading_as_rationals_do(
    used: Decimal, limit: Decimal, passed: timedelta
) -> None:
    at = _START + passed
    expected, course = projected(Fraction(used), _MONTH, at), course_of(_MONTH, at)
    assert (course is None) == (expected is None)
    if course is not None and expected is not None:
        assert 0 <= expected - Fraction(course.projected(pace_of(used), 6)) < Fraction(1, 10**6)
        assert course.reaches_at(pace_of(used, limit)) == reaches_at(Fraction(used), Fraction(limit), _MONTH, at)
