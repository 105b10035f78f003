"""Where an event is counted."""

from zoneinfo import ZoneInfo

import pytest

from domain.kernel.ids import MeterId
from domain.usage.combination import ALL, combination_of
from domain.usage.resolve import hour_of
from tests import make

_METER = MeterId(make.new_id())


@pytest.mark.parametrize(
    ("zone", "at", "hour"),
    [
        ("UTC", "2026-01-15T12:59:59.999999", "2026-01-15T12:00"),
        ("UTC", "2026-01-15T13:00", "2026-01-15T13:00"),
        # Kathmandu is 5:45 ahead: 12:20 UTC is 18:05 there, and 18:00 there is 12:15 UTC.
        ("Asia/Kathmandu", "2026-01-15T12:20", "2026-01-15T12:15"),
        ("Asia/Kathmandu", "2026-01-15T12:10", "2026-01-15T11:15"),
        # Berlin sets its clocks back on 25 October 2026 at 01:00 UTC: 02:30 comes twice, in two different hours.
        ("Europe/Berlin", "2026-10-25T00:30", "2026-10-25T00:00"),
        ("Europe/Berlin", "2026-10-25T01:30", "2026-10-25T01:00"),
    ],
)
def test_an_hour_begins_at_a_full_hour_of_the_customers_zone(zone: str, at: str, hour: str) -> None:
    assert hour_of(make.at(at), ZoneInfo(zone), make.at("2026-01-01")) == make.at(hour)


def test_an_hour_is_cut_where_its_segment_starts() -> None:
    start = make.at("2026-01-15T12:40")
    assert hour_of(make.at("2026-01-15T12:50"), ZoneInfo("UTC"), start) == start
    assert hour_of(make.at("2026-01-15T13:50"), ZoneInfo("UTC"), start) == make.at("2026-01-15T13:00")


def test_a_combination_is_named_by_the_names_and_values_of_its_dimensions() -> None:
    one = combination_of(_METER.bytes, ("provider", "model"), ("gemini", "pro"))
    assert one.key == _METER.bytes + one.id
    assert one.id == combination_of(make.new_id().bytes, ("provider", "model"), ("gemini", "pro")).id
    assert one.id != combination_of(_METER.bytes, ("provider", "model"), ("pro", "gemini")).id
    assert one.id != combination_of(_METER.bytes, ("provider",), ("gemini",)).id
    assert combination_of(_METER.bytes, (), ()).id == ALL
    assert combination_of(_METER.bytes, ("region",), ("",)).id != ALL
