"""Going over to another grid: where a bill day moves, and what a zone makes of an anchor."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.period import Period
from domain.subscriptions import grid
from domain.subscriptions.change import NothingToChange
from domain.subscriptions.grid import BillDay, BillDayOutOfBounds
from domain.subscriptions.schedule import Interval, boundary, period_containing
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests.domain.invoices import examples
from tests.make import at

_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "UTC", "Pacific/Kiritimati")


def _on(anchor: str, *, zone: str = "UTC", interval: Interval = Interval.MONTH, now: str | None = None) -> Subscription:
    start, instant = at(anchor), at(now or anchor)
    return replace(
        examples.subscription("2026-04-01"),
        anchor_at=start,
        started_at=start,
        running_since=start,
        zone=zone,
        interval=interval,
        period=period_containing(start, zone, Interval.MONTH, instant),
        fee_period=period_containing(start, zone, interval, instant),
    )


def _move(before: Subscription, now: str, **wish: Any) -> Subscription:
    return grid.ask_move(before, grid.anchor_for(before, BillDay(**wish), at(now)), at(now))


@pytest.mark.parametrize(
    ("day", "expected"),
    [(15, "2026-04-15"), (3, "2026-05-03"), (31, "2026-04-30"), (5, "2026-05-05"), (6, "2026-04-06")],
)
def test_a_bill_day_moves_where_the_new_grid_has_its_next_boundary(day: int, expected: str) -> None:
    asked = _move(_on("2026-04-01"), "2026-04-05T10:00", day=day)
    assert (asked.moves_at, asked.moves_asked_at) == (at(expected), at("2026-04-05T10:00"))
    assert asked.due_at == min(at(expected), at("2026-05-01"))


def test_the_31st_stays_the_31st_though_it_begins_in_april() -> None:
    asked = _move(_on("2026-04-01"), "2026-04-05", day=31)
    assert asked.moves_to is not None
    assert asked.moves_at is not None
    after = grid.moved(asked, asked.moves_to, asked.zone, asked.moves_at)
    assert after.period == Period(at("2026-04-30"), at("2026-05-31"))
    assert (after.moves_at, after.moves_to, after.moves_asked_at) == (None, None, None)


def test_a_yearly_fee_keeps_its_month() -> None:
    yearly = _on("2026-06-10", interval=Interval.YEAR, now="2026-08-01")
    assert _move(yearly, "2026-08-01", day=15).moves_at == at("2027-06-15")
    assert _move(yearly, "2026-08-01", day=5).moves_at == at("2027-06-05")
    assert _move(yearly, "2026-08-01", calendar=True).moves_at == at("2027-01-01")


def test_the_same_day_is_no_change() -> None:
    for wish in ({"day": 1}, {"calendar": True}):
        with pytest.raises(NothingToChange):
            _move(_on("2026-04-01"), "2026-04-05", **wish)


@pytest.mark.parametrize(
    "wish", [{}, {"day": 0}, {"day": 32}, {"day": 3, "now": True}, {"calendar": True, "now": True}]
)
def test_a_wish_names_one_bill_day(wish: dict[str, Any]) -> None:
    with pytest.raises(BillDayOutOfBounds):
        BillDay(**wish).check()


def test_what_cannot_move_says_why() -> None:
    own = _on("2026-04-01")
    short = replace(own, fee_period=Period(at("2026-05-01"), at("2026-05-03")), moves_at=at("2026-05-03"))
    for before in (
        replace(own, status=Status.TRIALING),
        replace(own, status=Status.PAUSED),
        replace(own, cancel_at=at("2026-05-01")),
        replace(own, pause_at=at("2026-05-01")),
        short,
    ):
        with pytest.raises(TransitionRefused):
            grid.check_movable(before)
    with pytest.raises(TransitionRefused):
        grid.keep(short)


def test_a_bill_day_that_has_not_come_can_be_replaced_and_forgotten() -> None:
    asked = _move(_on("2026-04-01"), "2026-04-05", day=15)
    again = _move(asked, "2026-04-06", day=20)
    assert again.moves_at == at("2026-04-20")
    assert grid.keep(again) == replace(again, moves_at=None, moves_to=None, moves_asked_at=None)


def test_midnight_in_berlin_is_an_evening_in_new_york_and_the_31st_its_30th() -> None:
    # 31 March, 00:00 in Berlin (UTC+2) is 30 March, 18:00 in New York (UTC-4).
    before = _on("2026-01-30T23:00", zone="Europe/Berlin", now="2026-03-30T22:00")
    after = grid.rezoned(before, "America/New_York", at("2026-03-30T22:00"))
    assert after is not None
    assert after.period == Period(at("2026-03-30T22:00"), at("2026-04-30T22:00"))
    # In February it is clamped: the 28th, 18:00 in winter time.
    found = period_containing(after.anchor_at, after.zone, Interval.MONTH, at("2027-02-28T23:30"))
    assert found.start == at("2027-02-28T23:00")


def test_at_a_boundary_that_is_clamped_the_day_would_be_lost() -> None:
    before = _on("2026-01-30T23:00", zone="Europe/Berlin", now="2026-02-27T23:00")
    assert grid.rezoned(before, "America/New_York", at("2026-02-27T23:00")) is None
    assert grid.zone_changes_at(before, "America/New_York") == at("2026-03-30T22:00")


def test_the_first_of_the_month_becomes_the_last_of_the_month_before() -> None:
    # 1 March, 00:00 in Berlin (UTC+1) is 28 February, 18:00 in New York (UTC-5).
    before = _on("2026-01-31T23:00", zone="Europe/Berlin", now="2026-02-28T23:00")
    after = grid.rezoned(before, "America/New_York", at("2026-02-28T23:00"))
    assert after is not None
    assert after.period == Period(at("2026-02-28T23:00"), at("2026-03-31T22:00"))


def test_a_leap_day_by_the_year_moves_with_the_boundary_that_comes() -> None:
    # 28 February 2027, 00:00 in Berlin is the 27th, 18:00 in New York: the year goes on from there.
    before = _on("2024-02-28T23:00", zone="Europe/Berlin", interval=Interval.YEAR, now="2027-02-27T23:00")
    after = grid.rezoned(before, "America/New_York", at("2027-02-27T23:00"))
    assert after is not None
    assert after.fee_period == Period(at("2027-02-27T23:00"), at("2028-02-27T23:00"))


def test_in_its_own_zone_or_ended_nothing_waits() -> None:
    own = _on("2026-04-01")
    assert grid.zone_changes_at(own, "UTC") is None
    assert grid.zone_changes_at(replace(own, status=Status.CANCELED), "Europe/Berlin") is None
    moving = _move(own, "2026-04-05", day=15)
    assert grid.zone_changes_at(moving, "Europe/Berlin") == at("2026-04-15")


@given(
    st.datetimes(datetime(2023, 1, 1), datetime(2026, 1, 1)),  # noqa: DTZ001 - made aware below
    st.sampled_from(_ZONES),
    st.sampled_from(_ZONES),
    st.sampled_from(list(Interval)),
    st.integers(1, 30),
)
def test_over_a_change_of_zone_periods_tile_time_and_none_is_odd(
    anchor: datetime, old: str, new: str, interval: Interval, n: int
) -> None:
    instant = at(anchor.replace(microsecond=0).isoformat())
    at_boundary = boundary(instant, old, interval, n)
    before = _on(instant.isoformat(), zone=old, interval=interval, now=at_boundary.isoformat())
    after = grid.rezoned(before, new, at_boundary)
    if after is None:
        assert interval is Interval.MONTH
        assert grid.zone_changes_at(before, new) is not None
        return
    month = after.period
    assert (month.start, after.fee_period.start) == (at_boundary, at_boundary)
    for _ in range(30):
        assert timedelta(days=27) < month.length < timedelta(days=32)
        following = period_containing(after.anchor_at, new, Interval.MONTH, month.end)
        assert following.start == month.end
        month = following
