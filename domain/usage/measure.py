"""From what is kept of a stretch of time to what a meter measured in it, exactly."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.kernel.ids import MeterId, SegmentId
from domain.kernel.money import round_half_up
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.aggregation import Reading, prorated_sum, prorated_unique_count
from domain.plans.exact import EXACT

_MICROSECOND = timedelta(microseconds=1)
_ZERO = Fraction(0)
_NONE = Decimal(0)
SHOWN_DECIMALS = 18
# The combination that stands for all of them.
WHOLE = UUID(int=0)

Scope = tuple[MeterId, UUID]


@dataclass(frozen=True, slots=True)
class Kind:
    """What of a meter decides how its totals are read."""

    meter_id: MeterId
    aggregation: str
    percent: Fraction | None
    carries: bool
    by_days: bool

    @property
    def has_null(self) -> bool:
        """Whether nothing counted is no number at all."""
        return self.aggregation in {"average", "percentile"}

    @property
    def is_summed(self) -> bool:
        """Whether its combinations add up."""
        return self.aggregation in {"level", "weighted_sum"}

    @property
    def is_weighed(self) -> bool:
        """Whether it weighs by time: then what it measured in parts of a period adds up."""
        return self.by_days or self.aggregation == "weighted_sum"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments of one usage period, oldest first, from the first to the end of the last.

    Other segments may lie between them: what is weighed by time is then to be added up from each alone. `zone` is the
    customer's: it says where days begin.
    """

    segments: tuple[SegmentId, ...]
    during: Period
    period: Period
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Part:
    """What one segment holds for one meter and combination."""

    segment_id: SegmentId
    start_at: datetime
    quantity: Decimal
    events: int
    beside: Decimal


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a subscription for meters that are not read by adding hours up, from some segment on.

    `parts` are in order of time, `levels` as they stand now, `keys` counts keys over several segments, `values` are
    histograms by segment.
    """

    parts: Mapping[Scope, Sequence[Part]]
    levels: Mapping[Scope, Decimal]
    keys: Mapping[Scope, int]
    values: Mapping[Scope, Sequence[tuple[SegmentId, Decimal, int]]]

    @property
    def scopes(self) -> list[Scope]:
        """Every meter and combination of which anything is known."""
        return sorted({*self.parts, *self.levels})


def measure(kind: Kind, combination: UUID, stretch: Stretch, kept: Kept) -> Fraction | None:
    """Return what a meter measured in a stretch: None for the mean or percentile of nothing, else 0 for nothing.

    A level is read where the stretch ends, a weighted one over the whole of it. Rating by days is `measure_days`.
    """
    scope = (kind.meter_id, combination)
    parts = [part for part in kept.parts.get(scope, ()) if part.segment_id in stretch.segments and part.events]
    if kind.aggregation == "weighted_sum":
        return _weighted(scope, stretch, kept)
    if kind.carries:
        return Fraction(_level_at(scope, kept, stretch.during.end))
    if kind.aggregation == "percentile":
        return _percentile(kind, scope, stretch, kept)
    if not parts:
        return None if kind.has_null else _ZERO
    return _counted(kind, scope, parts, kept)


def _counted(kind: Kind, scope: Scope, parts: Sequence[Part], kept: Kept) -> Fraction:
    quantities = [part.quantity for part in parts]
    match kind.aggregation:
        case "average":
            return Fraction(_sum(quantities)) / sum(part.events for part in parts)
        case "max":
            return Fraction(max(quantities))
        case "min":
            return Fraction(min(quantities))
        case "unique_count" if len(parts) > 1:
            return Fraction(kept.keys.get(scope, 0))
        case _:  # the latest value, or the keys of one segment
            return Fraction(quantities[-1])


def _level_at(scope: Scope, kept: Kept, at: datetime) -> Decimal:
    """Return where a level stood at a border: where it stands now, less what it rose since."""
    later = [part.quantity for part in kept.parts.get(scope, ()) if part.start_at >= at]
    return EXACT.subtract(kept.levels.get(scope, _NONE), _sum(later))


def _weighted(scope: Scope, stretch: Stretch, kept: Kept) -> Fraction:
    """Weigh what stood at the start with the whole stretch, and each rise with the time left from its instant on.

    What is kept weighs rises with the time left of the usage period: what lies behind the stretch is taken off.
    """
    since = [part for part in kept.parts.get(scope, ()) if part.start_at >= stretch.during.start]
    own = [part for part in since if part.segment_id in stretch.segments]
    stood = EXACT.subtract(kept.levels.get(scope, _NONE), _sum([part.beside for part in since]))
    weighed = Fraction(stood) * _micros(stretch.during.start, stretch.during.end)
    weighed += Fraction(_sum([part.quantity for part in own]))
    weighed -= Fraction(_sum([part.beside for part in own])) * _micros(stretch.during.end, stretch.period.end)
    return weighed / _micros(stretch.period.start, stretch.period.end)


def _percentile(kind: Kind, scope: Scope, stretch: Stretch, kept: Kept) -> Fraction | None:
    """Return the smallest value that at least so many percent of the readings do not exceed (nearest rank)."""
    histogram: dict[Decimal, int] = {}
    for segment_id, value, events in kept.values.get(scope, ()):
        if segment_id in stretch.segments:
            histogram[value] = histogram.get(value, 0) + events
    total = sum(histogram.values())
    assert kind.percent is not None, "a percentile has a rank"
    rank, passed = kind.percent * total / 100, 0
    for value in sorted(histogram):
        passed += histogram[value]
        if passed and passed >= rank:
            return Fraction(value)
    return None


def measure_level_days(
    stood: Decimal, hours: Iterable[tuple[datetime, Decimal, Decimal]], stretch: Stretch
) -> Fraction:
    """Weigh a level by local days: (hour, rise, what of it was removed) from the stretch's first local day on.

    `stood` is the level before those hours.
    """
    readings = [Reading(first_day(stretch) - _MICROSECOND, Fraction(stood))]
    for at, rise, removed in sorted(hours):
        readings.append(Reading(at, Fraction(rise) + Fraction(removed)))
        readings.append(Reading(at, Fraction(removed), operation="remove"))
    return prorated_sum(readings, stretch.during, stretch.zone, _days(stretch.period, stretch.zone))


def measure_key_days(stood: Iterable[str], steps: Iterable[tuple[datetime, str, bool]], stretch: Stretch) -> Fraction:
    """Weigh keys by their local days: (instant, key, whether it is there) from the stretch's first local day on.

    `stood` are the keys that were there before.
    """
    before = first_day(stretch) - _MICROSECOND
    readings = [Reading(before, key=key) for key in stood]
    readings += [Reading(at, key=key, operation="add" if there else "remove") for at, key, there in steps]
    return prorated_unique_count(readings, stretch.during, stretch.zone, _days(stretch.period, stretch.zone))


def first_day(stretch: Stretch) -> datetime:
    """Return the local midnight before which nothing of a stretch's first local day lies."""
    return stretch.during.start.astimezone(stretch.zone).replace(hour=0, minute=0, second=0, microsecond=0)


def shown(value: Fraction) -> Decimal:
    """Write a rational as a decimal: exactly where it ends within SHOWN_DECIMALS, else rounded half up."""
    return EXACT.scaleb(Decimal(round_half_up(value * 10**SHOWN_DECIMALS)), -SHOWN_DECIMALS).normalize(EXACT)


def _days(period: Period, zone: ZoneInfo) -> int:
    return period.end.astimezone(zone).toordinal() - period.start.astimezone(zone).toordinal()


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = _NONE
    for value in values:
        total = EXACT.add(total, value)
    return total


def _micros(start: datetime, end: datetime) -> int:
    return (end - start) // _MICROSECOND
