"""Test clocks: forward only, one target at a time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.customers import clock as clocks
from domain.customers.clock import (
    AdvanceTooFar,
    Clock,
    ClockAdvancing,
    ClockCannotGoBack,
    ClockNameMalformed,
    ClockOutOfRange,
    ClockState,
)
from domain.kernel.errors import DomainError
from domain.kernel.ids import ClockId
from tests import make

_READY = Clock(
    id=ClockId(make.new_id()),
    name="trial",
    now_at=make.at("2026-01-15"),
    target_at=None,
    state=ClockState.READY,
    reason=None,
    created_at=make.at("2026-03-01"),
    version=1,
)
_TARGET = make.at("2026-02-15")
_ADVANCING = replace(_READY, state=ClockState.ADVANCING, target_at=_TARGET, version=2)
_FAILED = replace(_ADVANCING, state=ClockState.FAILED, reason="no answer", version=3)


def test_a_clock_is_sent_on_its_way() -> None:
    assert clocks.start(_READY, _TARGET) == _ADVANCING


def test_the_same_target_again_changes_nothing_on_the_way_and_after_arrival() -> None:
    assert clocks.start(_ADVANCING, _TARGET) is _ADVANCING
    arrived = replace(_READY, now_at=_TARGET, version=4)
    assert clocks.start(arrived, _TARGET) is arrived


def test_a_failed_clock_can_be_sent_again() -> None:
    assert clocks.start(_FAILED, _TARGET) == replace(_ADVANCING, version=4)


@pytest.mark.parametrize(
    ("before", "to", "error"),
    [
        (_READY, _READY.now_at - timedelta(microseconds=1), ClockCannotGoBack),
        (_FAILED, _READY.now_at - timedelta(microseconds=1), ClockCannotGoBack),
        (_ADVANCING, _TARGET + timedelta(days=1), ClockAdvancing),
        (_ADVANCING, _TARGET - timedelta(days=1), ClockAdvancing),
        (_READY, _READY.now_at + timedelta(days=1_830, microseconds=1), AdvanceTooFar),  # 5 x 366 days
        (replace(_READY, now_at=make.at("2099-12-31")), make.at("2100-01-02"), ClockOutOfRange),
    ],
)
def test_an_impossible_target_is_refused(before: Clock, to: datetime, error: type[DomainError]) -> None:
    with pytest.raises(error):
        clocks.start(before, to)


def test_the_farthest_target_is_five_years_ahead() -> None:
    assert clocks.start(_READY, _READY.now_at + timedelta(days=1_830)).state is ClockState.ADVANCING


def test_a_clock_moves_step_by_step_never_past_its_target_and_never_back() -> None:
    step = clocks.move(_ADVANCING, make.at("2026-02-01"))
    assert (step.now_at, step.version) == (make.at("2026-02-01"), 3)
    assert clocks.move(step, make.at("2026-01-20")) is step
    assert clocks.move(step, step.now_at) is step
    assert clocks.move(step, make.at("2027-01-01")).now_at == _TARGET


def test_a_clock_that_is_not_advancing_does_not_move() -> None:
    for still in (_READY, _FAILED):
        assert clocks.move(still, _TARGET) is still


def test_an_advance_ends_at_its_target_or_with_a_reason() -> None:
    arrived = clocks.move(_ADVANCING, _TARGET)
    done = clocks.end(arrived, None)
    assert (done.state, done.now_at, done.target_at) == (ClockState.READY, _TARGET, None)
    assert clocks.end(done, None) is done
    failed = clocks.end(_ADVANCING, "x" * 501)
    assert (failed.state, failed.now_at, failed.reason) == (ClockState.FAILED, _READY.now_at, "x" * 500)
    with pytest.raises(AssertionError):
        clocks.end(_ADVANCING, None)


@pytest.mark.parametrize(
    ("clock", "error"),
    [
        (replace(_READY, name=""), ClockNameMalformed),
        (replace(_READY, name="x" * 201), ClockNameMalformed),
        (replace(_READY, name="a\x00"), ClockNameMalformed),
        (replace(_READY, now_at=make.at("1999-12-31")), ClockOutOfRange),
        (replace(_READY, now_at=make.at("2100-01-02")), ClockOutOfRange),
    ],
)
def test_a_malformed_clock_is_refused(clock: Clock, error: type[DomainError]) -> None:
    clocks.check_clock(_READY)
    with pytest.raises(error):
        clocks.check_clock(clock)
