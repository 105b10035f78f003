"""Segments follow one another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import PlanVersionId
from domain.kernel.period import Period
from domain.subscriptions.segments import (
    FOLLOWING_MAX,
    following,
    is_complete,
    keeping_their_price,
    retiled,
    stretches_of,
)
from domain.subscriptions.subscription import Segment, Subscription
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


def _cut(of: Subscription, *days: str) -> list[Segment]:
    """Cut the first period, 31 January to 28 February, at days of February."""
    edges = [of.period.start, *(make.at(f"2026-02-{day}") for day in days), of.period.end]
    return [examples.segment_of(of, Period(*edge), of.period) for edge in pairwise(edges)]


def test_a_segment_is_complete_once_no_other_can_follow_in_its_usage_period() -> None:
    subscription = examples.value(on="2026-01-31T10:00")
    first, second = _cut(subscription, "10")
    # The first has ended long before, but the plan may come back to its version until the period is over.
    assert not is_complete(subscription, first, subscription.period.end - timedelta(microseconds=1))
    assert all(is_complete(subscription, each, subscription.period.end) for each in (first, second))


def test_the_end_of_a_subscription_completes_what_has_ended_by_then() -> None:
    end = make.at("2026-02-20")
    subscription = replace(examples.value(on="2026-01-31T10:00"), ended_at=end)
    first, second, ahead = _cut(subscription, "10", "20")
    assert not is_complete(subscription, first, end - timedelta(microseconds=1))
    # What was counted ahead of the end is complete at its own end.
    assert [is_complete(subscription, each, end) for each in (first, second, ahead)] == [True, True, False]


def test_segments_of_one_version_in_one_period_keep_their_price() -> None:
    subscription = examples.value(on="2026-01-31T10:00")
    first, second, third = _cut(subscription, "10", "20")
    other = replace(second, plan_version_id=PlanVersionId(make.new_id()))
    march = Period(subscription.period.end, make.at("2026-03-31T10:00"))
    later = examples.segment_of(subscription, march, march)
    assert keeping_their_price([later, third, other, first]) == [(first, third), (other,), (later,)]
    assert stretches_of([first, third]) == [first.during, third.during]
    assert stretches_of([first, second, third]) == [subscription.period]
    assert stretches_of([]) == []


def test_on_another_grid_what_is_kept_ahead_takes_its_borders_without_a_gap() -> None:
    at = make.at("2026-04-30T23:58")
    own = replace(examples.value(on="2026-04-01"), anchor_at=at)
    assert list(retiled(own, at, [])) == []
    # One that began at the next boundary begins at the change, with the new period.
    [(number, during, period)] = retiled(own, at, [make.at("2026-05-01")])
    assert (number, during.start, during.end, period) == (0, at, make.at("2026-05-30T23:58"), during)
    # Of several, each ends where the next one begins; what lies between is new.
    laid = list(retiled(own, at, [make.at("2026-05-01"), make.at("2026-06-01")]))
    assert [(number, each.start.isoformat()[:16], each.end.isoformat()[:16]) for number, each, _ in laid] == [
        (0, "2026-04-30T23:58", "2026-05-30T23:58"),
        (None, "2026-05-30T23:58", "2026-06-01T00:00"),
        (1, "2026-06-01T00:00", "2026-06-30T23:58"),
    ]
