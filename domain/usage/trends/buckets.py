"""Local days and months: the stretches that usage over time is shown by."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import MeterId
from domain.kernel.period import Period
from domain.kernel.values import dataclass

# What counters, by their ids, counted for each value of a dimension.
Counted = Mapping[tuple[MeterId, str], Decimal]
MONTHS_DEFAULT = 6
# Two years of local days are at most 731 buckets.
MONTHS_MAX = 24


class Grain(StrEnum):
    """How long a bucket is."""

    DAY = "day"
    MONTH = "month"


@dataclass(eq=False)
class SpanRefused(DomainError):
    """Usage over time is shown for 1 to {months_max} months, the present one included, by day or by month."""

    code = "span_refused"
    kind = Kind.INVALID
    months_max: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """A local day or month: the day it begins on, and its instants."""

    day: date
    during: Period


def buckets_of(grain: Grain, months: int, now: datetime, zone: str) -> list[Bucket]:
    """Return the local days or months of the last `months` months up to now, oldest first.

    The present month is one of them, and the last bucket is the one that contains `now`. Raises SpanRefused.
    """
    if not 1 <= months <= MONTHS_MAX:
        raise SpanRefused(MONTHS_MAX)
    today = now.astimezone(ZoneInfo(zone)).date()
    first = today.replace(day=1) - relativedelta(months=months - 1)
    step = relativedelta(days=1) if grain is Grain.DAY else relativedelta(months=1)
    found, day = [], first
    while day <= today:
        following = day + step
        start, end = _midnight(day, zone), _midnight(following, zone)
        # A zone that moved over the date line has a day without any instant.
        if start < end:
            found.append(Bucket(day, Period(start, end)))
        day = following
    return found


def hours_back(hours: int, now: datetime, zone: str) -> Period:
    """Return the full hours of a zone up to and with the present one, `hours` of them and what has passed of it."""
    local = now.astimezone(ZoneInfo(zone))
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return Period(now - past - timedelta(hours=hours), now + timedelta(microseconds=1))


def _midnight(day: date, zone: str) -> datetime:
    """Return the first instant of a local day: a midnight that is skipped moves forward, of two it is the first."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
