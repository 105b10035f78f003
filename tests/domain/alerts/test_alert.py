"""What is worth telling of a limit, and when."""

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.alerts.alert import (
    AlertKind,
    News,
    Standing,
    Wish,
    countdown_step,
    news_of,
    next_countdown_at,
    wish_of,
)
from domain.kernel.period import Period
from domain.limits.status import LimitState, LimitStatus
from domain.limits.thresholds import Severity
from tests import make

_FEBRUARY = Period(make.at("2026-02-01"), make.at("2026-03-01"))
_T, _F, _G = AlertKind.THRESHOLD, AlertKind.FORECAST, AlertKind.GRACE


def standing(used: int, limit: int | None, *, policy: Any = "hard", hours: int = 0, is_level: bool = False) -> Standing:
    """Make where usage stands against a limit; the state does not matter."""
    amount = None if limit is None else Decimal(limit)
    resets_at = None if is_level else _FEBRUARY.end
    status = LimitStatus(
        "calls", "Calls a month", policy, amount, Decimal(used), None, LimitState.OK, "call", resets_at
    )
    return Standing(status, hours, is_level)


def steps(found: list[News]) -> list[tuple[str, int, str]]:
    """Give the parts of news that tell them apart."""
    return [(each.kind, each.step, each.severity) for each in found]


def test_thresholds_are_news_until_they_were_told_of() -> None:
    at = make.at("2026-02-01T12:00")
    look = standing(95, 100)
    assert steps(news_of(look, _FEBRUARY, at, percents=(100, 80, 90), raised=[])) == [
        ("threshold", 80, "warning"),
        ("threshold", 90, "warning"),
    ]
    assert steps(news_of(look, _FEBRUARY, at, percents=(100, 80, 90), raised=[(_T, 80)])) == [
        ("threshold", 90, "warning")
    ]
    assert news_of(look, _FEBRUARY, at, percents=(100, 80, 90), raised=[(_T, 80), (_T, 90)]) == []


def test_a_step_of_another_kind_is_no_threshold_that_was_told_of() -> None:
    look = standing(80, 100)
    found = news_of(look, _FEBRUARY, make.at("2026-02-01T12:00"), percents=[80], raised=[(_F, 80), (_G, 80)])
    assert steps(found) == [("threshold", 80, "warning")]


@pytest.mark.parametrize("limit", [None, 0])
def test_without_a_limit_and_with_a_limit_of_0_nothing_is_told(limit: int | None) -> None:
    look = standing(5, limit, policy="soft", hours=48)
    assert news_of(look, _FEBRUARY, make.at("2026-02-10"), percents=[1], raised=[]) == []


def test_a_forecast_is_told_once_after_the_first_day_and_not_for_a_level() -> None:
    at = make.at("2026-02-08")
    # 50 in 7 days: 100 after 14.
    [forecast] = news_of(standing(50, 100), _FEBRUARY, at, percents=[80], raised=[])
    assert forecast == News(_F, 100, Severity.WARNING, make.at("2026-02-15"))
    assert news_of(standing(50, 100), _FEBRUARY, at, percents=[80], raised=[(_F, 100)]) == []
    assert news_of(standing(50, 100, is_level=True), _FEBRUARY, at, percents=[80], raised=[]) == []
    assert news_of(standing(50, 100), _FEBRUARY, make.at("2026-02-01T23:59"), percents=[80], raised=[]) == []
    # 20 in 7 days are 80 at the end of 28.
    assert news_of(standing(20, 100), _FEBRUARY, at, percents=[80], raised=[]) == []


def test_a_grace_begins_above_a_soft_limit_and_once_a_period() -> None:
    at = make.at("2026-02-01T12:00")
    told = [(_T, 100)]
    assert news_of(standing(100, 100, policy="soft", hours=48), _FEBRUARY, at, percents=[100], raised=told) == []
    [grace] = news_of(standing(101, 100, policy="soft", hours=48), _FEBRUARY, at, percents=[100], raised=told)
    assert grace == News(_G, 48, Severity.WARNING, make.at("2026-02-03T12:00"))
    for look in (
        standing(101, 100, policy="hard", hours=48),
        standing(101, 100, policy="observe"),
        standing(101, 100, policy="soft", hours=0),
    ):
        assert news_of(look, _FEBRUARY, at, percents=[100], raised=told) == []
    again = standing(101, 100, policy="soft", hours=48)
    assert news_of(again, _FEBRUARY, at, percents=[100], raised=[*told, (_G, 48)]) == []


def test_the_highest_of_a_kind_is_mailed_unless_its_kind_is_unwanted() -> None:
    low, high = News(_T, 80, Severity.WARNING), News(_T, 100, Severity.CRITICAL)
    grace = News(_G, 48, Severity.WARNING)
    together = [low, high, grace]
    assert [wish_of(each, together, ()) for each in together] == [Wish.SUPERSEDED, Wish.WANTED, Wish.WANTED]
    assert [wish_of(each, together, {_T}) for each in together] == [Wish.UNWANTED, Wish.UNWANTED, Wish.WANTED]


def test_a_countdown_tells_the_last_step_whose_time_has_come() -> None:
    due = make.at("2026-02-03T12:00")
    hours = (30, 24, 23, 6, 5, 0, -1)
    found = [countdown_step(due, due - timedelta(hours=each)) for each in hours]
    assert found == [None, 24, 24, 6, 6, 0, 0]
    following = [next_countdown_at(due, due - timedelta(hours=each)) for each in hours]
    # At the instant of a step the next one follows.
    assert following == [
        make.at("2026-02-02T12:00"),
        make.at("2026-02-03T06:00"),
        make.at("2026-02-03T06:00"),
        make.at("2026-02-03T12:00"),
        make.at("2026-02-03T12:00"),
        None,
        None,
    ]


def test_news_are_values() -> None:
    assert dataclasses.replace(News(_T, 80, Severity.WARNING), step=90) == News(_T, 90, Severity.WARNING)
