"""A test clock: time that stands still until staff advance it, and that never goes back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ClockId
from domain.kernel.values import dataclass

CLOCK_NAME_LENGTH_MAX = 200
CLOCK_FIRST_AT = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_LAST_AT = datetime(2100, 1, 1, tzinfo=UTC)
ADVANCE_MAX = timedelta(days=5 * 366)
REASON_LENGTH_MAX = 500


class ClockState(StrEnum):
    """Ready to be advanced, on its way to a target, or stopped on its way by a fault."""

    READY = "ready"
    ADVANCING = "advancing"
    FAILED = "failed"


@dataclass(eq=False)
class ClockNameMalformed(DomainError):
    """A test clock's name has 1 to {length_max} printable characters."""

    code = "clock_name_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclass(eq=False)
class ClockOutOfRange(DomainError):
    """A test clock stands between {first_at} and {last_at}."""

    code = "clock_out_of_range"
    kind = Kind.INVALID
    first_at: datetime
    last_at: datetime


@dataclass(eq=False)
class ClockCannotGoBack(DomainError):
    """This clock stands at {now_at} and only goes forward. Choose a later instant."""

    code = "clock_cannot_go_back"
    kind = Kind.INVALID
    now_at: datetime


@dataclass(eq=False)
class ClockAdvancing(DomainError):
    """This clock is on its way to {target_at}. Wait until it is there."""

    code = "clock_advancing"
    kind = Kind.CONFLICT
    target_at: datetime


@dataclass(eq=False)
class AdvanceTooFar(DomainError):
    """A clock is advanced by at most {days_max} days at once. Choose an earlier instant, then advance again."""

    code = "advance_too_far"
    kind = Kind.INVALID
    days_max: int


@dataclass(frozen=True, slots=True)
class Clock:
    """A test clock. `target_at` is set while it advances and kept when that failed; `reason` then says why."""

    id: ClockId
    name: str
    now_at: datetime
    target_at: datetime | None
    state: ClockState
    reason: str | None
    created_at: datetime
    version: int


def check_clock(clock: Clock) -> None:
    """Refuse a name or a start that no clock may have. Raises ClockNameMalformed, ClockOutOfRange."""
    if not (1 <= len(clock.name) <= CLOCK_NAME_LENGTH_MAX and clock.name.isprintable()):
        raise ClockNameMalformed(CLOCK_NAME_LENGTH_MAX)
    _check_range(clock.now_at)


def start(before: Clock, to: datetime) -> Clock:
    """Send a clock on its way to an instant.

    The same target again, and the instant at which it stands ready, change nothing. Raises ClockAdvancing,
    ClockCannotGoBack, AdvanceTooFar, ClockOutOfRange.
    """
    if before.state is ClockState.ADVANCING and before.target_at is not None:
        if to != before.target_at:
            raise ClockAdvancing(before.target_at)
        return before
    if to < before.now_at:
        raise ClockCannotGoBack(before.now_at)
    if to - before.now_at > ADVANCE_MAX:
        raise AdvanceTooFar(ADVANCE_MAX.days)
    _check_range(to)
    if to == before.now_at and before.state is ClockState.READY:
        return before
    return replace(before, target_at=to, state=ClockState.ADVANCING, reason=None, version=before.version + 1)


def move(before: Clock, to: datetime) -> Clock:
    """Step towards the target, never past it and never back: a late step of another driver changes nothing."""
    if before.state is not ClockState.ADVANCING or before.target_at is None:
        return before
    step_at = min(to, before.target_at)
    return replace(before, now_at=step_at, version=before.version + 1) if step_at > before.now_at else before


def end(before: Clock, reason: str | None) -> Clock:
    """Stop advancing: ready at the target, or failed where it stands, with a reason. Safe to repeat."""
    if before.state is not ClockState.ADVANCING:
        return before
    if reason is not None:
        return replace(before, state=ClockState.FAILED, reason=reason[:REASON_LENGTH_MAX], version=before.version + 1)
    assert before.now_at == before.target_at, "an advance ends at its target"
    return replace(before, state=ClockState.READY, target_at=None, version=before.version + 1)


def _check_range(instant: datetime) -> None:
    if not CLOCK_FIRST_AT <= instant <= CLOCK_LAST_AT:
        raise ClockOutOfRange(CLOCK_FIRST_AT, CLOCK_LAST_AT)
