"""Boundaries and periods from the stored anchor, in real zones."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whenever import Instant

from domain.kernel.period import Period
from domain.subscriptions.schedule import (
    QUARTER,
    WEEK,
    Cadence,
    Every,
    Interval,
    anchor_of_bill_day,
    boundary,
    calendar_anchor,
    first_boundary_from,
    local_midnight,
    next_period,
    period_containing,
    period_number,
)
from tests.make import at

MONTH, YEAR = Interval.MONTH, Interval.YEAR

_ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Casablanca",
)
_everies = st.sampled_from([*Interval, QUARTER, WEEK, Cadence(months=2), Cadence(days=1), Cadence(days=30)])
_anchors = st.timedeltas(timedelta(0), timedelta(days=11_000)).map(datetime(2005, 1, 1, tzinfo=UTC).__add__)


@pytest.mark.parametrize(
    ("anchor", "zone", "interval", "expected"),
    [
        # The 31st is clamped and comes back: each boundary counts from the anchor, not from the one before.
        ("2021-01-31", "UTC", MONTH, ["2021-01-31", "2021-02-28", "2021-03-31", "2021-04-30"]),
        ("2024-01-31", "UTC", MONTH, ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
        ("2025-01-30", "UTC", MONTH, ["2025-01-30", "2025-02-28", "2025-03-30", "2025-04-30"]),
        # A start on the last day of February stays on the 28th: nothing infers "last day of month".
        ("2022-02-28", "UTC", MONTH, ["2022-02-28", "2022-03-28", "2022-04-28", "2022-05-28"]),
        ("2012-07-16", "UTC", MONTH, ["2012-07-16", "2012-08-16", "2012-09-16"]),
        # Leap day: three years on the 28th, and back on the 29th.
        ("2020-02-29", "UTC", YEAR, ["2020-02-29", "2021-02-28", "2022-02-28", "2023-02-28", "2024-02-29"]),
        ("2022-02-04", "UTC", YEAR, ["2022-02-04", "2023-02-04"]),
        # Local midnight of the 1st, which is the evening of a last day in UTC.
        ("2024-02-29T18:30", "Asia/Kolkata", MONTH, ["2024-02-29T18:30", "2024-03-31T18:30", "2024-04-30T18:30"]),
        # New York goes from UTC-5 to UTC-4 on 10 March: local midnight moves an hour.
        ("2024-02-01T05:00", "America/New_York", MONTH, ["2024-02-01T05:00", "2024-03-01T05:00", "2024-04-01T04:00"]),
        # Local 31 December 23:59:59 is already the next year in UTC.
        ("2025-01-01T07:59:59", "America/Los_Angeles", YEAR, ["2025-01-01T07:59:59", "2026-01-01T07:59:59"]),
    ],
)
def test_boundaries_keep_the_anchors_local_day_and_clamp_it(
    anchor: str, zone: str, interval: Interval, expected: list[str]
) -> None:
    found = [boundary(at(anchor), zone, interval, n) for n in range(len(expected))]
    assert found == [at(each) for each in expected]


def test_every_second_boundary_of_a_month_end_in_tokyo_is_again_a_month_end() -> None:
    # Local 31 January 23:59:59, then 31 March 23:59:59.
    assert boundary(at("2024-01-31T14:59:59"), "Asia/Tokyo", MONTH, 2) == at("2024-03-31T14:59:59")


@pytest.mark.parametrize(
    ("anchor", "instant", "start", "end"),
    [
        ("2025-01-31T15:00", "2025-08-13T20:00", "2025-07-31T15:00", "2025-08-31T15:00"),
        ("2025-01-30T15:00", "2025-02-13T20:00", "2025-01-30T15:00", "2025-02-28T15:00"),
        # An hour before a clamped boundary, and a minute after one.
        ("2026-01-31T10:00", "2026-04-30T09:00", "2026-03-31T10:00", "2026-04-30T10:00"),
        ("2026-03-31T12:00", "2026-06-30T12:01", "2026-06-30T12:00", "2026-07-31T12:00"),
        # An instant on a boundary starts a period; boundaries run back from the anchor too.
        ("2026-03-31T12:00", "2026-04-30T12:00", "2026-04-30T12:00", "2026-05-31T12:00"),
        ("2026-03-31T12:00", "2026-03-01T00:00", "2026-02-28T12:00", "2026-03-31T12:00"),
    ],
)
def test_the_period_of_an_instant_is_half_open(anchor: str, instant: str, start: str, end: str) -> None:
    assert period_containing(at(anchor), "UTC", MONTH, at(instant)) == Period(at(start), at(end))


def test_a_skipped_local_time_moves_forward_by_what_was_skipped_and_only_there() -> None:
    # Berlin skips 02:00-03:00 on 29 March 2026; the anchor is 02:30 local on 28 February (01:30 UTC). There is a
    # 28 March; the 29th needs an anchor on the 29th: 29 January 02:30 local = 01:30 UTC.
    anchor = at("2026-01-29T01:30")
    assert boundary(anchor, "Europe/Berlin", MONTH, 1) == at("2026-02-28T01:30")
    # 02:30 does not exist: 03:30 local, UTC+2, is 01:30 UTC.
    assert boundary(anchor, "Europe/Berlin", MONTH, 2) == at("2026-03-29T01:30")
    # 02:30 local in summer, UTC+2, is 00:30 UTC.
    assert boundary(anchor, "Europe/Berlin", MONTH, 3) == at("2026-04-29T00:30")


def test_a_local_time_that_comes_twice_is_the_first_and_the_anchor_itself_never_moves() -> None:
    # Berlin repeats 02:00-03:00 on 25 October 2026. 02:30 local on 25 September is 00:30 UTC, on 25 October 00:30 UTC
    # (UTC+2) and 01:30 UTC (UTC+1).
    assert boundary(at("2026-09-25T00:30"), "Europe/Berlin", MONTH, 1) == at("2026-10-25T00:30")
    assert boundary(at("2026-10-25T01:30"), "Europe/Berlin", MONTH, 0) == at("2026-10-25T01:30")


@given(anchor=_anchors, zone=st.sampled_from(_ZONES), n=st.integers(-30, 60))
def test_another_calendar_library_finds_the_same_boundaries(anchor: datetime, zone: str, n: int) -> None:
    local = Instant.from_timestamp(int(anchor.timestamp())).to_tz(zone)
    whole = anchor.replace(microsecond=0)
    moved = local.add(months=n, disambiguation="compatible") if n else local
    expected = datetime.fromtimestamp(moved.timestamp(), UTC)
    assert boundary(whole, zone, MONTH, n) == expected


@given(
    anchor=_anchors,
    zone=st.sampled_from(_ZONES),
    interval=_everies,
    first=st.integers(-30, 30),
    offset=st.timedeltas(timedelta(days=-2_000), timedelta(days=2_000)),
)
def test_periods_of_any_anchor_and_zone_tile_time_without_gap_or_overlap(
    anchor: datetime, zone: str, interval: Every, first: int, offset: timedelta
) -> None:
    edges = [boundary(anchor, zone, interval, n) for n in range(first, first + 14)]
    assert edges == sorted(set(edges))
    instant = anchor + offset
    around = period_containing(anchor, zone, interval, instant)
    assert instant in around
    following = next_period(anchor, zone, interval, around)
    assert following.start == around.end
    assert period_containing(anchor, zone, interval, around.end - timedelta(microseconds=1)) == around


@given(anchor=_anchors, zone=st.sampled_from(_ZONES), n=st.integers(-5, 5))
def test_a_fee_boundary_of_a_year_is_the_twelfth_usage_boundary(anchor: datetime, zone: str, n: int) -> None:
    assert boundary(anchor, zone, YEAR, n) == boundary(anchor, zone, MONTH, 12 * n)
    assert period_number(anchor, zone, YEAR, boundary(anchor, zone, YEAR, n)) == n


@given(start=_anchors, zone=st.sampled_from(_ZONES), interval=st.sampled_from(list(Interval)), day=st.integers(1, 31))
def test_a_bill_day_is_a_boundary_in_the_month_of_the_start_and_the_first_period_is_never_longer_than_a_whole_one(
    start: datetime, zone: str, interval: Interval, day: int
) -> None:
    anchor = anchor_of_bill_day(start, zone, interval, day)
    local = start.astimezone(ZoneInfo(zone))
    last = monthrange(local.year, local.month)[1]
    in_month = local_midnight(start, zone, days=min(day, last) - local.day)
    assert first_boundary_from(anchor, zone, interval, in_month) == in_month
    first = period_containing(anchor, zone, interval, start)
    assert first.start <= start < first.end
    assert first_boundary_from(anchor, zone, interval, start) in {start, first.end}


@given(start=_anchors, zone=st.sampled_from(_ZONES), every=_everies)
def test_the_calendars_own_period_contains_the_instant_and_begins_at_local_midnight(
    start: datetime, zone: str, every: Every
) -> None:
    anchor = calendar_anchor(start, zone, every)
    assert anchor == local_midnight(anchor, zone)
    assert period_containing(anchor, zone, every, start).start == anchor or every == Cadence(days=30)


@pytest.mark.parametrize(
    ("start", "interval", "day", "anchor"),
    [
        ("2024-01-05", MONTH, 10, "2024-01-10"),
        ("2024-01-15", MONTH, 10, "2024-01-10"),
        # April has no 31st: by the month it is anchored in May, which is due on 30 April too.
        ("2012-04-30", MONTH, 31, "2012-05-31"),
        ("2025-02-10", MONTH, 30, "2025-03-30"),
        # By the year the month is the start's own, so the day is clamped there.
        ("2025-02-10", YEAR, 30, "2025-02-28"),
        ("2025-04-15", YEAR, 1, "2025-04-01"),
    ],
)
def test_a_bill_day_sets_the_anchor_to_its_day_in_the_month_of_the_start(
    start: str, interval: Interval, day: int, anchor: str
) -> None:
    assert anchor_of_bill_day(at(start), "UTC", interval, day) == at(anchor)


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        # 4 February 2023 is a Saturday.
        (WEEK, "2023-01-30"),
        (MONTH, "2023-02-01"),
        (Cadence(months=2), "2023-01-01"),
        (QUARTER, "2023-01-01"),
        (YEAR, "2023-01-01"),
        (Cadence(days=1), "2023-02-04"),
    ],
)
def test_the_calendar_begins_weeks_on_monday_and_quarters_in_january(every: Every, expected: str) -> None:
    assert calendar_anchor(at("2023-02-04T15:00"), "UTC", every) == at(expected)


def test_a_local_midnight_that_a_clock_change_skips_is_where_the_day_begins() -> None:
    # Sao Paulo skipped 00:00-01:00 on 4 November 2018: the day began at 01:00, UTC-2, which is 03:00 UTC.
    assert local_midnight(at("2018-11-03T15:00"), "America/Sao_Paulo", days=1) == at("2018-11-04T03:00")
    # Apia had no 30 December 2011: a day after the 29th begins where the 31st does, at 10:00 UTC of the 30th.
    assert local_midnight(at("2011-12-29T15:00"), "Pacific/Apia", days=1) == at("2011-12-30T10:00")


@pytest.mark.parametrize("wrong", [{}, {"months": 1, "days": 1}, {"days": -7}, {"months": -1, "days": 1}])
def test_boundaries_are_months_or_days_apart_and_run_forward(wrong: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        Cadence(**wrong)
