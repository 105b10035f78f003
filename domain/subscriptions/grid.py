"""A subscription goes over to another grid: its bill day moves, or its customer has moved to another zone. Pure rules.

The instant of it is a boundary of both grids, or cuts the period that runs: what is left of a fee that was billed is
taken back there, and a period that begins when the instant is known is billed up to it, as its share of the old grid's.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.subscriptions.change import NothingToChange, check_changeable
from domain.subscriptions.schedule import (
    BILL_DAY_MAX,
    Interval,
    anchor_of_bill_day,
    calendar_anchor,
    period_containing,
)
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.transitions import TransitionRefused

_RUNS_SHORT = "the short period up to its new bill day runs already; wait for that day"
# Twelve boundaries by the month always hold one that has the day of any anchor in both zones.
BOUNDARIES_TRIED_MAX = 12


@dataclass(eq=False)
class BillDayOutOfBounds(DomainError):
    """Name one new bill day: a day from 1 to {day_max}, the calendar's own, or now."""

    code = "bill_day_out_of_bounds"
    kind = Kind.INVALID
    day_max: int


@dataclass(frozen=True, slots=True)
class BillDay:
    """Where periods are to begin: at local midnight of a day, at the calendar's own month or year, or at once."""

    day: int | None = None
    calendar: bool = False
    now: bool = False

    def check(self) -> None:
        """Refuse what names none, several, or no day of a month. Raises BillDayOutOfBounds."""
        is_day = self.day is not None and 1 <= self.day <= BILL_DAY_MAX
        if sum((self.day is not None, self.calendar, self.now)) != 1 or not (is_day or self.calendar or self.now):
            raise BillDayOutOfBounds(BILL_DAY_MAX)


def anchor_for(before: Subscription, wish: BillDay, now: datetime) -> datetime:
    """Return the anchor of a wish: by the year, a bill day stays in the month of the present anchor."""
    if wish.now:
        return now
    if wish.day is None:
        return calendar_anchor(now, before.zone, before.interval)
    return anchor_of_bill_day(before.anchor_at, before.zone, before.interval, wish.day)


def check_movable(before: Subscription) -> None:
    """Refuse to move what cannot be. Raises TransitionRefused."""
    check_changeable(before)
    if before.status is Status.TRIALING:
        raise TransitionRefused("it is in its trial, and nothing is billed yet; move its bill day once that is over")
    _need_whole(before)


def ask_move(before: Subscription, anchor_at: datetime, now: datetime) -> Subscription:
    """Have the bill day move where the new grid has its next boundary; a later wish replaces an earlier one.

    Raises TransitionRefused, and NothingToChange where the boundaries are the same already.
    """
    check_movable(before)
    at = period_containing(anchor_at, before.zone, before.interval, now).end
    old, new = (period_containing(each, before.zone, before.interval, at) for each in (before.anchor_at, anchor_at))
    if old == new:
        raise NothingToChange
    return replace(before, moves_at=at, moves_to=anchor_at, moves_asked_at=now)


def keep(before: Subscription) -> Subscription:
    """Forget a bill day that has not come; without one nothing changes. Raises TransitionRefused."""
    _need_whole(before)
    return replace(before, moves_at=None, moves_to=None, moves_asked_at=None)


def moved(before: Subscription, anchor_at: datetime, zone: str, at: datetime) -> Subscription:
    """Go over to another grid at an instant, which is one of its boundaries: full periods begin there."""
    return replace(
        before,
        anchor_at=anchor_at,
        zone=zone,
        period=period_containing(anchor_at, zone, Interval.MONTH, at),
        fee_period=period_containing(anchor_at, zone, before.interval, at),
        running_since=at,
        moves_at=None,
        moves_to=None,
        moves_asked_at=None,
    )


def rezoned(before: Subscription, zone: str, at: datetime) -> Subscription | None:
    """Go over to another zone at a boundary, which stays a boundary: no instant is billed twice or not at all.

    The day of the anchor becomes the day that it is then in the new zone, and stays the last of the month where it was.
    By the month, None where that day would be lost, as at a boundary that is clamped: a later one will do.
    """
    old_day = before.anchor_at.astimezone(ZoneInfo(before.zone)).day
    here, there = (at.astimezone(ZoneInfo(each)) for each in (before.zone, zone))
    day = old_day + (there.date() - here.date()).days
    # The day before the first is the last of the month, and the day after the last is the first.
    day = 1 if day > BILL_DAY_MAX else day or BILL_DAY_MAX
    anchor_at = at if there.day == day else _with_day(there, day)
    after = moved(before, anchor_at, zone, at)
    if after.period.start == after.fee_period.start == at:
        return after
    return None if before.interval is Interval.MONTH else moved(before, at, zone, at)


def zone_changes_at(before: Subscription, zone: str) -> datetime | None:
    """Return where a subscription will go over to its customer's zone, as far as is known; None where it is in it."""
    if before.zone == zone or not before.is_live:
        return None
    at = before.moves_at or before.fee_period.end
    anchor_at = before.moves_to or before.anchor_at
    for _ in range(BOUNDARIES_TRIED_MAX):
        if rezoned(replace(before, anchor_at=anchor_at), zone, at) is not None:
            break
        at = period_containing(anchor_at, before.zone, before.interval, at).end
    return at


def _with_day(local: datetime, day: int) -> datetime:
    """Return the same wall time on a day of the next month that has it."""
    first = local.date().replace(day=1)
    found: date = first + relativedelta(day=day)
    while found.day != day:
        first += relativedelta(months=1)
        found = first + relativedelta(day=day)
    return datetime.combine(found, local.timetz().replace(fold=0)).astimezone(UTC)


def _need_whole(before: Subscription) -> None:
    if before.moves_at is not None and before.fee_period.end == before.moves_at:
        raise TransitionRefused(_RUNS_SHORT)
