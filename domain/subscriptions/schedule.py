"""Boundaries and periods, always counted from the stored anchor in the customer's zone."""

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from domain.kernel.period import Period
from domain.kernel.values import dataclass

BILL_DAY_MAX = 31


class Interval(StrEnum):
    """How far apart the boundaries of a subscription's grids are."""

    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Cadence:
    """Any distance between boundaries: whole months, or whole local days (a week is 7). One of them, at least 1."""

    months: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        assert (self.months > 0) != (self.days > 0), "boundaries are months or days apart"
        assert min(self.months, self.days) == 0, "boundaries run forward"


Every = Interval | Cadence

WEEK, QUARTER = Cadence(days=7), Cadence(months=3)
_CADENCES = {Interval.MONTH: Cadence(months=1), Interval.YEAR: Cadence(months=12)}


def cadence_of(every: Every) -> Cadence:
    """Return the distance between the boundaries of an interval."""
    return every if isinstance(every, Cadence) else _CADENCES[every]


def boundary(anchor_at: datetime, zone: str, every: Every, n: int) -> datetime:
    """Return the n-th boundary after the anchor (n < 0: before it), which is boundary 0.

    The anchor's local day is kept and clamped to the month's last day: 31 January, 28 February, 31 March. A local time
    that a clock change skips moves forward by what was skipped; one that comes twice is the first.
    """
    if n == 0:
        return anchor_at
    step = cadence_of(every)
    local = anchor_at.astimezone(ZoneInfo(zone)).replace(fold=0)
    # Adding to an aware local time is wall-clock arithmetic; with fold=0 a skipped time is read with the offset before
    # the change, which moves it forward.
    return (local + relativedelta(months=n * step.months, days=n * step.days)).astimezone(UTC)


def period_number(anchor_at: datetime, zone: str, every: Every, at: datetime) -> int:
    """Return the n of the period [boundary n, boundary n + 1) that contains an instant."""
    local, anchor = at.astimezone(ZoneInfo(zone)), anchor_at.astimezone(ZoneInfo(zone))
    step = cadence_of(every)
    if step.days:
        n = (local.date() - anchor.date()).days // step.days + 1
    else:
        n = ((local.year - anchor.year) * 12 + local.month - anchor.month) // step.months + 1
    # The boundary of the instant's own month or day lies at most one period away from the right one.
    while boundary(anchor_at, zone, every, n) > at:
        n -= 1
    return n


def period_containing(anchor_at: datetime, zone: str, every: Every, at: datetime) -> Period:
    """Return the period of the grid that contains an instant; an instant on a boundary starts a period."""
    return period(anchor_at, zone, every, period_number(anchor_at, zone, every, at))


def next_period(anchor_at: datetime, zone: str, every: Every, before: Period) -> Period:
    """Return the period that starts where another one ends."""
    return period_containing(anchor_at, zone, every, before.end)


def period(anchor_at: datetime, zone: str, every: Every, n: int) -> Period:
    """Return the n-th period: it starts at the n-th boundary and ends at the next one."""
    return Period(boundary(anchor_at, zone, every, n), boundary(anchor_at, zone, every, n + 1))


def first_boundary_from(anchor_at: datetime, zone: str, every: Every, at: datetime) -> datetime:
    """Return the first boundary at an instant or after it."""
    around = period_containing(anchor_at, zone, every, at)
    return at if around.start == at else around.end


def local_midnight(at: datetime, zone: str, *, days: int = 0) -> datetime:
    """Return the first instant of the local day that is some days after the one of an instant.

    Where a clock change skips midnight, the day begins at the time it moves to.
    """
    local_day = at.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)
    return datetime.combine(local_day, time.min, ZoneInfo(zone)).astimezone(UTC)


def anchor_of_bill_day(start: datetime, zone: str, interval: Interval, day: int) -> datetime:
    """Return the anchor of a bill day, 1 to 31: local midnight of that day, clamped, in the month of the start.

    By the month, a day that the month of the start does not have is anchored in the next month that has it, which gives
    the same boundary, clamped, in the month of the start, and loses nothing later: bill day 31 from 30 April is due on
    30 April and on 31 May.
    """
    assert 1 <= day <= BILL_DAY_MAX, "a month has no such day"
    first = start.astimezone(ZoneInfo(zone)).date().replace(day=1)
    found = first + relativedelta(day=day)
    while interval is Interval.MONTH and found.day != day:
        first += relativedelta(months=1)
        found = first + relativedelta(day=day)
    return datetime.combine(found, time.min, ZoneInfo(zone)).astimezone(UTC)


def calendar_anchor(start: datetime, zone: str, every: Every) -> datetime:
    """Return the local midnight with which the calendar's own week, month, quarter or year of an instant begins.

    Weeks begin on Monday, quarters in January, April, July and October, years on 1 January; months apart from these
    count from January, and days from the day itself.
    """
    step, day = cadence_of(every), start.astimezone(ZoneInfo(zone)).date()
    if step.months:
        # Months of year 0 are counted from January, so every divisor of twelve falls on the calendar's own borders.
        months = (day.year * 12 + day.month - 1) // step.months * step.months
        day = day.replace(year=months // 12, month=months % 12 + 1, day=1)
    elif step == WEEK:
        day -= timedelta(days=day.weekday())
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
