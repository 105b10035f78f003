"""Local days and months."""

from datetime import date, timedelta

import pytest

from domain.usage.trends.buckets import Grain, SpanRefused, buckets_of, hours_back
from tests import make

BERLIN = "Europe/Berlin"


def test_months_are_those_of_the_zone_and_the_present_one_is_the_last() -> None:
    # In Berlin it is 00:30 on 1 April.
    found = buckets_of(Grain.MONTH, 3, make.at("2026-03-31T22:30"), BERLIN)
    assert [each.day for each in found] == [date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)]
    # Winter time until 29 March, summer time after it.
    assert [each.during.start for each in found] == [
        make.at("2026-01-31T23:00"),
        make.at("2026-02-28T23:00"),
        make.at("2026-03-31T22:00"),
    ]
    assert [one.during.end for one in found[:-1]] == [each.during.start for each in found[1:]]


def test_a_day_of_a_clock_change_has_23_or_25_hours() -> None:
    march = {each.day: each.during for each in buckets_of(Grain.DAY, 1, make.at("2026-03-31T12:00"), BERLIN)}
    assert len(march) == 31
    assert march[date(2026, 3, 29)].length == timedelta(hours=23)
    october = {each.day: each.during for each in buckets_of(Grain.DAY, 1, make.at("2026-10-31T12:00"), BERLIN)}
    assert october[date(2026, 10, 25)].length == timedelta(hours=25)


def test_a_day_whose_midnight_is_skipped_begins_an_hour_later() -> None:
    # In Santiago clocks go from 24:00 on 5 September 2026 to 01:00: the day begins at 04:00 UTC, and has 23 hours.
    september = buckets_of(Grain.DAY, 1, make.at("2026-09-07T12:00"), "America/Santiago")
    [sixth] = [each for each in september if each.day == date(2026, 9, 6)]
    assert (sixth.during.start, sixth.during.length) == (make.at("2026-09-06T04:00"), timedelta(hours=23))


def test_a_day_that_never_was_is_left_out() -> None:
    # Samoa went from 29 to 31 December 2011.
    found = buckets_of(Grain.DAY, 1, make.at("2011-12-31T00:00"), "Pacific/Apia")
    assert [each.day.day for each in found][-3:] == [28, 29, 31]


@pytest.mark.parametrize("months", [0, -1, 25])
def test_a_span_has_1_to_24_months(months: int) -> None:
    with pytest.raises(SpanRefused, match="1 to 24 months"):
        buckets_of(Grain.DAY, months, make.at("2026-03-31"), BERLIN)


def test_hours_back_begin_at_a_full_hour_of_the_zone_and_hold_the_present_instant() -> None:
    # In Kolkata it is 17:45; two full hours before 17:00 begin at 15:00, which is 09:30 UTC.
    now = make.at("2026-01-15T12:15")
    found = hours_back(2, now, "Asia/Kolkata")
    assert found.start == make.at("2026-01-15T09:30")
    assert now in found
    assert now + timedelta(microseconds=1) not in found
