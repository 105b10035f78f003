"""A lane waits longer the more often it fails, for three days, and loses nothing."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.kernel.ids import CustomerId, EndpointId
from domain.webhooks.lane import JITTER_PARTS, LIVE, Lane, emptied, failed, held, resumed, sent
from tests import make

_AT = make.at("2026-03-01T12:00")
# No jitter: 900 + 100 parts of a thousand are the whole delay.
_STEADY = 100


def _lane(*, done: int = 4, wanted: int = 9) -> Lane:
    return Lane(CustomerId(make.new_id()), EndpointId(make.new_id()), LIVE, done, wanted, _AT)


def test_what_arrived_is_done_and_the_next_is_due_at_once() -> None:
    later = _AT + timedelta(seconds=1)
    lane = replace(_lane(), attempts=3, failing_since=_AT)
    assert sent(lane, 7, later) == replace(lane, done=7, next_at=later, attempts=0, failing_since=None)
    assert sent(lane, 9, later) == replace(lane, done=9, next_at=None, attempts=0, failing_since=None)


def test_what_cannot_be_sent_is_held_with_what_is_before_it_done() -> None:
    lane = replace(_lane(), attempts=3)
    assert held(lane, 7, _AT) == replace(lane, done=6, next_at=None, failing_since=_AT, held_at=_AT)
    # It had failed before, for another reason, and stands at the event itself.
    failing = replace(lane, failing_since=_AT - timedelta(hours=1))
    assert held(failing, 5, _AT) == replace(failing, next_at=None, held_at=_AT)


def test_delays_grow_up_to_eight_hours() -> None:
    lane, at, delays = _lane(), _AT, []
    for _ in range(10):
        lane = failed(lane, at, _STEADY)
        assert lane.next_at is not None
        delays.append((lane.next_at - at).total_seconds())
        at = lane.next_at
    assert delays == [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800]
    assert (lane.done, lane.attempts, lane.failing_since) == (4, 10, _AT)


def test_jitter_moves_a_delay_by_a_tenth_either_way() -> None:
    # Of 5 seconds: 4.5 and 5.5.
    assert failed(_lane(), _AT, 0).next_at == _AT + timedelta(milliseconds=4_500)
    assert failed(_lane(), _AT, JITTER_PARTS - 1).next_at == _AT + timedelta(milliseconds=5_500)


def _tries(lane: Lane, at: datetime) -> list[Lane]:
    made = []
    while lane.held_at is None:
        lane = failed(lane, at, _STEADY)
        made.append(lane)
        at = lane.next_at or at
    return made


def test_the_last_try_falls_on_the_end_of_three_days_and_then_the_lane_is_held() -> None:
    # 27,755 s pass in the first eight delays; of the 231,445 s that are left, 8 times 28,800 s are 230,400 s, and
    # the last delay is cut to 1,045 s: 1 + 8 + 8 + 1 tries.
    tries = _tries(_lane(), _AT)
    assert len(tries) == 18
    assert tries[-2].next_at == _AT + timedelta(days=3)
    assert tries[-1].held_at == _AT + timedelta(days=3)
    assert (tries[-1].next_at, tries[-1].done, tries[-1].has_waiting) == (None, 4, True)


def test_a_held_lane_goes_on_from_where_it_stands() -> None:
    held = _tries(_lane(), _AT)[-1]
    later = _AT + timedelta(days=9)
    assert resumed(held, later) == replace(held, next_at=later, attempts=0, failing_since=None, held_at=None)
    assert resumed(_lane(done=9), later).next_at is None


def test_an_emptied_lane_has_nothing_left() -> None:
    after = emptied(_tries(_lane(), _AT)[-1])
    assert (after.done, after.next_at, after.held_at, after.has_waiting) == (9, None, None, False)
