"""What each aggregation makes of readings."""

from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from domain.kernel.period import Period
from domain.plans import aggregation
from domain.plans.aggregation import Operation, Reading, readings_of
from tests import make

_JANUARY = Period(make.at("2026-01-01"), make.at("2026-02-01"))
_UTC = ZoneInfo("UTC")


def _at(when: str, value: int | str = 0, key: str = "", operation: Operation = "add") -> Reading:
    return Reading(make.at(when), Fraction(value), key, operation)


_VALUES = [_at("2026-01-03", 7), _at("2026-01-02", 1), _at("2026-01-04", 4), _at("2026-01-04", "2.5")]
_IN_ORDER = readings_of(_VALUES, _JANUARY, carries_over=False)


def test_readings_are_put_into_the_order_of_their_instants_and_then_of_their_arrival() -> None:
    assert [reading.value for reading in _IN_ORDER] == [1, 7, 4, Fraction(5, 2)]


def test_a_counter_looks_at_its_period_alone_and_a_level_carries_over() -> None:
    readings = [_at("2025-12-31T23:59", 5), _at("2026-01-01", 2), _at("2026-02-01", 9)]
    assert [each.value for each in readings_of(readings, _JANUARY, carries_over=False)] == [2]
    assert aggregation.total(readings_of(readings, _JANUARY, carries_over=True)) == 7


def test_each_simple_aggregation_of_four_values() -> None:
    assert aggregation.count(_IN_ORDER) == 4
    assert aggregation.total(_IN_ORDER) == Fraction("14.5")
    assert aggregation.largest(_IN_ORDER) == 7
    assert aggregation.smallest(_IN_ORDER) == 1
    assert aggregation.average(_IN_ORDER) == Fraction("3.625")
    assert aggregation.latest(_IN_ORDER) == Fraction("2.5")


def test_nothing_counted_is_zero_and_has_no_average_and_no_percentile() -> None:
    for zero in (
        aggregation.count,
        aggregation.total,
        aggregation.largest,
        aggregation.smallest,
        aggregation.latest,
        aggregation.unique_count,
    ):
        assert zero([]) == 0
    assert aggregation.weighted_sum([], _JANUARY) == 0
    assert aggregation.average([]) is None
    assert aggregation.percentile([], Fraction(50)) is None


@pytest.mark.parametrize(("percent", "value"), [("1", 1), ("25", 1), ("25.1", 2), ("50", 2), ("95", 4), ("100", 4)])
def test_a_percentile_is_a_value_that_was_read(percent: str, value: int) -> None:
    readings = [_at("2026-01-02", each) for each in (3, 1, 4, 2)]
    assert aggregation.percentile(readings, Fraction(percent)) == value


def test_a_level_can_be_added_to_removed_from_and_set() -> None:
    readings = [
        _at("2026-01-01", 10),
        _at("2026-01-02", 4, operation="remove"),
        _at("2026-01-03", 20, operation="set"),
        _at("2026-01-04", -5),
    ]
    assert aggregation.total(readings[:2]) == 6
    assert aggregation.total(readings) == 15


def test_one_remove_ends_a_key_however_often_it_was_added() -> None:
    readings = [
        _at("2026-01-01", key="a"),
        _at("2026-01-02", key="a"),
        _at("2026-01-03", key="b"),
        _at("2026-01-04", key="a", operation="remove"),
        _at("2026-01-05", key="c", operation="remove"),
    ]
    assert aggregation.unique_count(readings) == 1
    assert aggregation.unique_count([*readings, _at("2026-01-06", key="a")]) == 2


def test_a_weighted_sum_weighs_a_level_with_true_seconds() -> None:
    # 10 for 1 day, 4 for 2 days, 8 for the 28 days left of 31: (10 + 8 + 224) / 31
    readings = [
        _at("2025-12-01", 10),
        _at("2026-01-02", 6, operation="remove"),
        _at("2026-01-04", 8, operation="set"),
    ]
    assert aggregation.weighted_sum(readings, _JANUARY) == Fraction(242, 31)


def test_a_weighted_sum_knows_that_a_day_of_clock_change_has_23_hours() -> None:
    # 29 March 2026 in Berlin lasts from 23:00 to 22:00 UTC. A level of 23 from its 12th hour on stands for 12 of 23.
    day = Period(make.at("2026-03-28T23:00"), make.at("2026-03-29T22:00"))
    assert aggregation.weighted_sum([_at("2026-03-29T10:00", 23)], day) == 12


def test_a_prorated_sum_counts_an_added_amount_from_its_local_day_on() -> None:
    # 5 carried over, and 24 on the 26th: 6 days of 31. 5 + 24 x 6/31 = 299/31
    readings = [_at("2025-11-01", 5), _at("2026-01-26T15:00", 24)]
    assert aggregation.prorated_sum(readings, _JANUARY, _UTC, 31) == Fraction(299, 31)
    # 23:30 UTC on the 25th is the 26th in Berlin.
    berlin = ZoneInfo("Europe/Berlin")
    local = Period(make.at("2025-12-31T23:00"), make.at("2026-01-31T23:00"))
    assert aggregation.prorated_sum([_at("2026-01-25T23:30", 31)], local, berlin, 31) == 6


def test_what_is_removed_still_counts_on_its_day() -> None:
    # 31 from the 1st to the 10th, both included: 10 days
    readings = [_at("2026-01-01", 31), _at("2026-01-10T09:00", -31)]
    assert aggregation.prorated_sum(readings, _JANUARY, _UTC, 31) == 10


def test_a_key_weighs_the_local_days_on_which_it_was_active() -> None:
    readings = [
        _at("2025-12-01", key="old"),  # 31 days
        _at("2026-01-10T12:00", key="a"),  # the 10th and 11th
        _at("2026-01-11T08:00", key="a", operation="remove"),
        _at("2026-01-11T20:00", key="a"),  # the 11th again, and no moment of the 12th
        _at("2026-01-12", key="a", operation="remove"),
        _at("2026-01-20T12:00", key="b"),  # gone at the same instant
        _at("2026-01-20T12:00", key="b", operation="remove"),
        _at("2026-01-21", key="never", operation="remove"),
        _at("2026-01-31T23:59", key="late"),  # 1 day
    ]
    assert aggregation.days_of_keys(readings, _JANUARY, _UTC) == {"old": 31, "a": 2, "b": 0, "late": 1}
    assert aggregation.prorated_unique_count(readings, _JANUARY, _UTC, 31) == Fraction(34, 31)


def test_a_local_day_counts_once_when_a_period_is_divided_inside_of_it() -> None:
    readings = [_at("2025-12-01", 31, key="a")]
    middle = make.at("2026-01-15T14:00")
    first, second = Period(_JANUARY.start, middle), Period(middle, _JANUARY.end)
    # The 15th belongs to the part in which it ends: 14 and 17 days.
    assert aggregation.prorated_sum(readings, first, _UTC, 31) == 14
    assert aggregation.prorated_sum(readings, second, _UTC, 31) == 17
    assert aggregation.days_of_keys(readings, first, _UTC) == {"a": 14}
    assert aggregation.days_of_keys(readings, second, _UTC) == {"a": 17}
