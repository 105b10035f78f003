"""Segments follow one another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.period import Period
from domain.subscriptions.segments import FOLLOWING_MAX, following
from tests import make
from tests.domain.subscriptions import examples


def test_segments_are_opened_one_after_another_up_to_the_instant() -> None:
    subscription = examples.value(on="2026-01-31T10:00")
    found = list(following(subscription, None, make.at("2026-03-31T10:00")))
    edges = ["2026-01-31T10:00", "2026-02-28T10:00", "2026-03-31T10:00", "2026-04-30T10:00"]
    wholes = [Period(make.at(start), make.at(end)) for start, end in pairwise(edges)]
    assert found == [(whole, whole) for whole in wholes]


def test_no_segment_reaches_beyond_the_end_of_the_subscription() -> None:
    subscription = replace(examples.value(on="2026-01-31T10:00"), cancel_at=make.at("2026-03-10"))
    [first, second] = following(subscription, None, make.at("2026-06-01"))
    assert first[0].end == make.at("2026-02-28T10:00")
    assert second == (
        Period(make.at("2026-02-28T10:00"), make.at("2026-03-10")),
        Period(make.at("2026-02-28T10:00"), make.at("2026-03-31T10:00")),
    )
    last = examples.segment_of(subscription, *second)
    assert list(following(subscription, last, make.at("2026-06-01"))) == []


def test_there_are_at_most_three_years_of_them_at_once() -> None:
    assert len(list(following(examples.value(), None, make.at("2099-01-01")))) == FOLLOWING_MAX == 36


@given(
    start=st.timedeltas(timedelta(0), timedelta(days=7_000)).map(datetime(2010, 1, 1, tzinfo=UTC).__add__),
    zone=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")),
    offset=st.timedeltas(timedelta(0), timedelta(days=900)),
    cut=st.timedeltas(timedelta(0), timedelta(days=60)),
)
def test_segments_tile_the_time_up_to_the_instant(
    start: datetime, zone: str, offset: timedelta, cut: timedelta
) -> None:
    subscription = examples.value(on=start.replace(tzinfo=None).isoformat(), zone=zone)
    found = [stretch for stretch, _ in following(subscription, None, start + offset)]
    assert found[0].start == start
    assert start + offset in found[-1]
    assert all(left.end == right.start for left, right in pairwise(found))
    ended = replace(subscription, cancel_at=start + offset + cut)
    before_the_end = [stretch for stretch, _ in following(ended, None, start + offset + cut)]
    assert sum((each.length for each in before_the_end), timedelta(0)) == offset + cut
