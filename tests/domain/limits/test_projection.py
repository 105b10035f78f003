"""Projections over a period."""

from decimal import Decimal
from fractions import Fraction

import pytest

from domain.kernel.period import Period
from domain.limits.projection import course_of, pace_of, projected, reaches_at
from tests import make

_JUNE = Period(make.at("2026-06-01"), make.at("2026-07-01"))
_JULY = Period(make.at("2026-07-01"), make.at("2026-08-01"))


@pytest.mark.parametrize(
    ("period", "at", "amount"),
    [
        # Day 10 of 30: three times 15.75.
        (_JUNE, "2026-06-11", "47.25"),
        # Day 10 of 31: 15.75 x 31 / 10, half a cent.
        (_JULY, "2026-07-11", "48.825"),
        (_JUNE, "2026-06-02", "472.5"),
        (_JUNE, "2026-06-16T12:00", "30.483870967741935"),
        (_JUNE, "2026-07-01", "15.75"),
        (_JUNE, "2026-09-01", "15.75"),
    ],
)
def test_a_projection_is_linear_over_elapsed_time(period: Period, at: str, amount: str) -> None:
    found = projected(Fraction("15.75"), period, make.at(at))
    # Day 15.5 of 30: 15.75 x 30 / 15.5 does not end; it is exact and only compared to 15 digits here.
    assert found is not None
    assert round(found * 10**15) == Fraction(amount) * 10**15


@pytest.mark.parametrize("at", ["2026-05-31", "2026-06-01", "2026-06-01T23:59:59.999999"])
def test_the_first_day_says_nothing(at: str) -> None:
    assert projected(Fraction(10), _JUNE, make.at(at)) is None
    assert reaches_at(Fraction(10), Fraction(11), _JUNE, make.at(at)) is None


def test_a_limit_is_reached_when_the_present_rate_comes_to_it() -> None:
    at = make.at("2026-06-11")
    # 100 in 10 days is 10 a day: 250 after 25 days, on 26 June at midnight.
    assert reaches_at(Fraction(100), Fraction(250), _JUNE, at) == make.at("2026-06-26")
    # 7 in 10 days reaches 8 after 80/7 days = 11 days 10:17:08.571428571…, and not a microsecond before.
    assert reaches_at(Fraction(7), Fraction(8), _JUNE, at) == make.at("2026-06-12T10:17:08.571429")


@pytest.mark.parametrize(
    ("used", "limit"),
    # Unlimited; reached already; 300 only at the end, when the period is over; never; with nothing used.
    [(100, None), (100, 100), (100, 0), (100, 300), (100, 301), (0, 5), (0, 0)],
)
def test_no_instant_is_named_without_one_ahead_in_the_period(used: int, limit: int | None) -> None:
    found = reaches_at(Fraction(used), None if limit is None else Fraction(limit), _JUNE, make.at("2026-06-11"))
    assert found is None


@pytest.mark.parametrize(
    ("used", "at", "shown"),
    [
        # Day 10 of 30: three times 15.75, and three times -0.0000001, cut downwards.
        ("15.75", "2026-06-11", "47.25"),
        ("-0.0000001", "2026-06-11", "-0.000001"),
        # Day 15.5 of 30: 15.75 x 30 / 15.5 is 30.48387096…
        ("15.75", "2026-06-16T12:00", "30.483870"),
        ("15.75", "2026-09-01", "15.75"),
        ("1E+20", "2026-06-11", "300000000000000000000"),
    ],
)
def test_what_is_shown_of_a_projection_is_cut_after_six_digits(used: str, at: str, shown: str) -> None:
    course = course_of(_JUNE, make.at(at))
    assert course is not None
    assert course.projected(pace_of(Decimal(used)), 6) == Decimal(shown)


def test_the_first_day_shows_no_projection() -> None:
    assert course_of(_JUNE, make.at("2026-06-01T23:59:59.999999")) is None
