"""Boundaries and periods, always counted from the stored anchor in the customer's zone."""

from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from domain.kernel.period import Period


class Interval(StrEnum):
    """How far apart the boundaries of a grid are."""

    MONTH = "month"
    YEAR = "year"


_MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


def boundary(anchor_at: datetime, zone: str, interval: Interval, n: int) -> datetime:
    """Return the n-th boundary after the anchor (n < 0: before it), which is boundary 0.

    The anchor's local day is kept and clamped to the month's last day: 31 January, 28 February, 31 March. A local time
    that a clock change skips moves forward by what was skipped; one that comes twice is the first.
    """
    if n == 0:
        return anchor_at
    local = anchor_at.astimezone(ZoneInfo(zone)).replace(fold=0)
    # Adding to an aware local time is wall-clock arithmetic; with fold=0 a skipped time is read with the offset before
    # the change, which moves it forward.
    return (local + relativedelta(months=n * _MONTHS[interval])).astimezone(UTC)


def period_number(anchor_at: datetime, zone: str, interval: Interval, at: datetime) -> int:
    """Return the n of the period [boundary n, boundary n + 1) that contains an instant."""
    local, anchor = at.astimezone(ZoneInfo(zone)), anchor_at.astimezone(ZoneInfo(zone))
    months = (local.year - anchor.year) * 12 + local.month - anchor.month
    # The boundary of the instant's own month lies at most one period away from the right one.
    n = months // _MONTHS[interval] + 1
    while boundary(anchor_at, zone, interval, n) > at:
        n -= 1
    return n


def period_containing(anchor_at: datetime, zone: str, interval: Interval, at: datetime) -> Period:
    """Return the period of the grid that contains an instant; an instant on a boundary starts a period."""
    return period(anchor_at, zone, interval, period_number(anchor_at, zone, interval, at))


def next_period(anchor_at: datetime, zone: str, interval: Interval, before: Period) -> Period:
    """Return the period that starts where another one ends."""
    return period_containing(anchor_at, zone, interval, before.end)


def period(anchor_at: datetime, zone: str, interval: Interval, n: int) -> Period:
    """Return the n-th period: it starts at the n-th boundary and ends at the next one."""
    return Period(boundary(anchor_at, zone, interval, n), boundary(anchor_at, zone, interval, n + 1))
