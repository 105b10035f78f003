"""What a meter's aggregation means: from readings in the order in which they came in to one exact quantity of a period.

This is the rule. Totals that are kept while events come in must equal it, whatever the order of arrival.

A counter looks at the readings of the period alone. A level carries over: it starts from everything before the period.
Readings are put into order by their instants, those of one instant in the order in which they were given.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.charge import ZERO

Operation = Literal["add", "remove", "set"]
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one event says to one meter: a value, or a key that is added or removed.

    For a level, `add` and `remove` change it by the value and `set` replaces it.
    """

    at: datetime
    value: Fraction = ZERO
    key: str = ""
    operation: Operation = "add"


def readings_of(readings: Iterable[Reading], period: Period, *, carries_over: bool) -> list[Reading]:
    """Return the readings that matter for a period, in order: its own, and for a level all those before it too."""
    ordered = sorted(readings, key=lambda reading: reading.at)
    return [each for each in ordered if each.at < period.end and (carries_over or each.at >= period.start)]


def count(readings: Sequence[Reading]) -> Fraction:
    """Count the readings."""
    return Fraction(len(readings))


def total(readings: Sequence[Reading]) -> Fraction:
    """Add the values up, in order; for a level this is where it stands."""
    level = ZERO
    for reading in readings:
        level = _after(level, reading)
    return level


def largest(readings: Sequence[Reading]) -> Fraction:
    """Return the largest value, 0 where there is none."""
    return max((reading.value for reading in readings), default=ZERO)


def smallest(readings: Sequence[Reading]) -> Fraction:
    """Return the smallest value, 0 where there is none."""
    return min((reading.value for reading in readings), default=ZERO)


def average(readings: Sequence[Reading]) -> Fraction | None:
    """Return the exact mean of the values, None where there is none."""
    return sum((reading.value for reading in readings), ZERO) / len(readings) if readings else None


def latest(readings: Sequence[Reading]) -> Fraction:
    """Return the value of the last reading, 0 where there is none."""
    return readings[-1].value if readings else ZERO


def percentile(readings: Sequence[Reading], percent: Fraction) -> Fraction | None:
    """Return the smallest value that at least `percent` (above 0, up to 100) of the readings do not exceed.

    It is always a value that was read (nearest rank). None where there is no reading.
    """
    assert 0 < percent <= 100, "a percentile lies above 0 and up to 100"
    if not readings:
        return None
    rank = -(-percent * len(readings) // 100)
    return sorted(reading.value for reading in readings)[int(rank) - 1]


def unique_count(readings: Sequence[Reading]) -> Fraction:
    """Count the keys that were added and are not removed at the end; one `remove` ends a key."""
    present: set[str] = set()
    for reading in readings:
        (present.discard if reading.operation == "remove" else present.add)(reading.key)
    return Fraction(len(present))


def weighted_sum(readings: Sequence[Reading], period: Period) -> Fraction:
    """Weigh a level with the true time for which it stood: level x elapsed seconds / seconds of the period."""
    level, since, weighed = ZERO, period.start, ZERO
    for reading in readings:
        at = max(reading.at, period.start)
        weighed += level * _micros(since, at)
        level, since = _after(level, reading), at
    weighed += level * _micros(since, period.end)
    return weighed / _micros(period.start, period.end)


def prorated_sum(readings: Sequence[Reading], period: Period, zone: ZoneInfo, full_days: int) -> Fraction:
    """Weigh a level with its local days: an added amount counts from its day on, a removed one to the end of its day.

    The weight of a day is 1 / `full_days`, the days of the full period, also where `period` is only a part of it. A
    local day belongs to the period in which it ends, so that each day counts once however often a period is divided.
    """
    first, end = _days(period, zone)
    level, weighed = ZERO, ZERO
    for reading in readings:
        after = _after(level, reading)
        day = reading.at.astimezone(zone).toordinal() + (1 if after < level else 0)
        weighed += (after - level) * max(end - max(day, first), 0)
        level = after
    return weighed / full_days


def prorated_unique_count(readings: Sequence[Reading], period: Period, zone: ZoneInfo, full_days: int) -> Fraction:
    """Weigh each key with its local days that have at least one active moment, as `prorated_sum` weighs days."""
    return Fraction(sum(days_of_keys(readings, period, zone).values()), full_days)


def days_of_keys(readings: Sequence[Reading], period: Period, zone: ZoneInfo) -> Mapping[str, int]:
    """Return how many local days of the period each key was active on."""
    days: defaultdict[str, set[int]] = defaultdict(set)
    since: dict[str, datetime] = {}
    for reading in readings:
        if reading.operation != "remove":
            since.setdefault(reading.key, reading.at)
        elif reading.key in since:
            days[reading.key] |= _active_days(since.pop(reading.key), reading.at, period, zone)
    for key, start in since.items():
        days[key] |= _active_days(start, period.end, period, zone)
    return {key: len(found) for key, found in days.items()}


def _active_days(start: datetime, end: datetime, period: Period, zone: ZoneInfo) -> set[int]:
    """Return the days of the period on which [start, end) has a moment."""
    if start >= end:
        return set()
    first, after = _days(period, zone)
    last = (end - _MICROSECOND).astimezone(zone).toordinal()
    return set(range(max(start.astimezone(zone).toordinal(), first), min(last + 1, after)))


def _days(period: Period, zone: ZoneInfo) -> tuple[int, int]:
    """Return the first local day of a period and the one after its last, as numbers."""
    return period.start.astimezone(zone).toordinal(), period.end.astimezone(zone).toordinal()


def _after(level: Fraction, reading: Reading) -> Fraction:
    if reading.operation == "set":
        return reading.value
    return level - reading.value if reading.operation == "remove" else level + reading.value


def _micros(start: datetime, end: datetime) -> int:
    return (end - start) // _MICROSECOND
