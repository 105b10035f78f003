"""A segment's totals made anew from its events, and the state in which each line had counted them.

A line that rates several segments together says of each what it had counted, so each is recounted alone.

Events are counted, taken back by corrections and counted again in the order in which that happened. A line holds how
many events it had counted and their digest: the state with that digest is what the line was derived from. What happened
after it is later news, for an adjustment on the next invoice.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.invoices.document import dimension_key
from domain.invoices.invoice import Identity, Line
from domain.kernel.ids import CustomerId, MeterId, PriceId, SegmentId, decode, encode
from domain.kernel.values import dataclass
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue, Price
from domain.usage.facts import Rules
from domain.usage.reading import SegmentTotal, added_up
from domain.usage.recount import Counting, Sum, added_by, digest_of, move_value, values_of

# A meter and the key of the combination that a line charges; the key is empty where a line sums all of them up.
Charged = tuple[MeterId, str]
# How many events a line had counted, and their digest.
Bound = tuple[int, int]
_Key = tuple[MeterId, tuple[str, ...]]
_NOTHING = SegmentTotal(MeterId(UUID(int=0)), {}, Decimal(0), 0, 0)


@dataclass(slots=True)
class _Running:
    """What one line charges, as it grows; `cut` is the state that the line was derived from, as far as known."""

    bound: Bound | None
    parts: dict[_Key, Sum] = field(default_factory=dict)
    values: list[tuple[datetime, Decimal]] = field(default_factory=list)
    all: Sum = field(default_factory=Sum)
    cut: "_Cut | None" = None

    def keep(self) -> None:
        """Remember the present state where it is the line's: by its digest, or else by the number of events alone."""
        if self.bound is None or self.bound[0] != self.all.events or (self.cut is not None and self.cut.is_exact):
            return
        parts = {key: Sum(each.quantity, each.events, each.digest) for key, each in self.parts.items()}
        self.cut = _Cut(self.bound[1] == self.all.digest, parts, tuple(self.values))


@dataclass(frozen=True, slots=True)
class _Cut:
    is_exact: bool
    parts: Mapping[_Key, Sum]
    values: Sequence[tuple[datetime, Decimal]]


@dataclass(slots=True)
class Recount:
    """Totals that grow with every counting; memory for each combination, and for each event where a price needs it.

    `bounds` are those of the newest lines. `hours` are the stored totals: a meter whose total is not the sum of what
    its events add takes its quantity from them, and only its events and their digest are recounted.
    """

    customer_id: CustomerId
    rules: Rules
    prices: Sequence[Price]
    bounds: Mapping[Charged, Bound]
    by_event: Collection[MeterId] = ()
    hours: Sequence[SegmentTotal] = ()
    whole: dict[_Key, Sum] = field(default_factory=dict)
    events: int = 0
    _running: dict[Charged, _Running] = field(default_factory=dict)
    _charged: dict[_Key, Charged | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for charged, bound in self.bounds.items():
            self._running[charged] = _Running(bound)
            self._running[charged].keep()

    def add(self, counting: Counting) -> None:
        """Count an event, or take it back."""
        event, sign = counting.event, counting.sign
        self.events += sign if event.type in self.rules.types else 0
        digest = digest_of(self.customer_id, event)
        touched = dict[Charged, _Running]()
        for meter, values, quantity in added_by(event, self.rules):
            key = (meter.id, values)
            self.whole.setdefault(key, Sum()).add(quantity, digest, sign)
            charged = self._charged_as(meter, values)
            if charged is not None:
                running = touched[charged] = self._running.setdefault(charged, _Running(None))
                running.parts.setdefault(key, Sum()).add(quantity, digest, sign)
                running.all.add(quantity, digest, sign)
                if meter.id in self.by_event:
                    move_value(running.values, (event.occurred_at, quantity), sign)
        for running in touched.values():
            running.keep()

    def _charged_as(self, meter: Meter, values: tuple[str, ...]) -> Charged | None:
        """Return what a line charges of a combination; None for what is shown and never charged."""
        key = (meter.id, values)
        if key not in self._charged:
            dimensions = dict(zip(meter.dimensions, values, strict=True))
            by_combination = dimension_key(dimensions) if meter.aggregation == "cost" else ""
            is_priced = any(price.meter_id == meter.id for price in self.prices)
            self._charged[key] = (meter.id, by_combination) if is_priced else None
        return self._charged[key]

    def counted(self, charged: Charged) -> int:
        """Return how many events stand in all that a line could charge."""
        return self._running[charged].all.events if charged in self._running else 0

    def is_late(self, charged: Charged) -> bool:
        """Whether something was counted, or taken back, after the line was derived."""
        running = self._running.get(charged)
        return running is not None and running.bound != (running.all.events, running.all.digest)

    def is_found(self, charged: Charged) -> bool:
        """Whether the very events that the line had counted were found."""
        running = self._running.get(charged)
        return running is not None and running.cut is not None and running.cut.is_exact

    @property
    def billed_totals(self) -> list[SegmentTotal]:
        """What the lines counted, for rating: all there is where that cannot be told, and nothing that no line has."""
        shown = {key: each for key, each in self.whole.items() if self._charged[key] is None}
        for running in self._running.values():
            if running.bound is not None:
                shown |= running.cut.parts if running.cut is not None else running.parts
        return self._totals(shown)

    @property
    def whole_totals(self) -> list[SegmentTotal]:
        """What all events come to."""
        return self._totals(self.whole)

    @property
    def values(self) -> dict[MeterId, Sequence[Decimal]]:
        """What each event that the lines counted added, in order of time, for the prices that look at each event."""
        return {meter_id: values_of(found) for meter_id, found in self.timed_values.items()}

    @property
    def timed_values(self) -> dict[MeterId, Sequence[tuple[datetime, Decimal]]]:
        """The same with their instants, in the order in which they came in."""
        return {
            meter_id: running.cut.values if running.cut is not None else running.values
            for (meter_id, _), running in self._running.items()
            if meter_id in self.by_event
        }

    def _totals(self, sums: Mapping[_Key, Sum]) -> list[SegmentTotal]:
        kept = by_combination(self.hours)
        found = [total for total in self.hours if not total.events and total.measured]
        for (meter_id, values), each in sums.items():
            meter = self.rules.meters[meter_id]
            dimensions = dict(zip(meter.dimensions, values, strict=True))
            stored = kept.get((meter_id, dimension_key(dimensions)), _NOTHING)
            quantity = each.quantity if is_recounted(meter) else stored.quantity
            measured, whole = stored.measured, stored.whole
            found.append(SegmentTotal(meter_id, dimensions, quantity, each.events, each.digest, measured, whole))
        return found


@dataclass(frozen=True, slots=True)
class Recounted:
    """The segments that a line rates together, in order of time, each with its recount; mostly there is one.

    `together` is what several of them measured together, as it is stored: such quantities need not add up.
    """

    recounts: Mapping[SegmentId, Recount]
    together: Sequence[SegmentTotal] = ()

    @property
    def billed_totals(self) -> list[SegmentTotal]:
        """What the lines counted, for rating, in all segments."""
        return self._added_up([recount.billed_totals for recount in self.recounts.values()])

    @property
    def whole_totals(self) -> list[SegmentTotal]:
        """What all events come to, in all segments."""
        return self._added_up([recount.whole_totals for recount in self.recounts.values()])

    @property
    def values(self) -> dict[MeterId, Sequence[Decimal]]:
        """What each event that the lines counted added, in order of time over all segments."""
        found = defaultdict[MeterId, list[tuple[datetime, Decimal]]](list)
        for recount in self.recounts.values():
            for meter_id, values in recount.timed_values.items():
                found[meter_id] += values
        return {meter_id: values_of(values) for meter_id, values in found.items()}

    def is_late(self, charged: Charged) -> bool:
        """Whether something was counted, or taken back, after the line was derived."""
        return any(recount.is_late(charged) for recount in self.recounts.values())

    def is_found(self, charged: Charged) -> bool:
        """Whether the very events that the line had counted were found."""
        own = [recount for recount in self.recounts.values() if charged in recount.bounds]
        return bool(own) and all(recount.is_found(charged) for recount in own)

    def _added_up(self, totals: Sequence[Sequence[SegmentTotal]]) -> list[SegmentTotal]:
        if len(totals) == 1:
            return list(totals[0])
        found = by_combination(added_up(each for own in totals for each in own))
        for key, stored in by_combination(self.together).items():
            if stored.measured is not None and key in found:
                again = found[key]
                found[key] = replace(stored, events=again.events, digest=again.digest)
        return list(found.values())


def is_recounted(meter: Meter) -> bool:
    """Whether a meter's quantity is the sum of what its events add."""
    return meter.is_plain and meter.is_summed


def bounds_of(
    chains: Mapping[Identity, Sequence[Line]], meters: Mapping[PriceId, MeterId], segment_id: SegmentId
) -> dict[Charged, Bound]:
    """Return what the newest revision of each usage line says it had counted in one of its segments."""
    bounds: dict[Charged, Bound] = {}
    for identity, chain in chains.items():
        said = _said_of(chain[-1], segment_id)
        if identity.price_id is not None and identity.price_id in meters and isinstance(said.get("events"), int):
            bounds[meters[identity.price_id], identity.dimension_key] = (said["events"], _digest(said.get("digest")))
    return bounds


def segment_ids_of(line: Line) -> list[SegmentId]:
    """Return the segments that a line charges, in order of time; none for a fee."""
    own = line.identity.segment_id
    if own is None:
        return []
    return [SegmentId(decode("segment", str(part.get("segment_id")))) for part in _parts_of(line)] or [own]


def _said_of(line: Line, segment_id: SegmentId) -> Mapping[str, Any]:
    """Return what a line says of one of its segments; nothing of one that it does not name."""
    parts = _parts_of(line)
    if not parts:
        return line.derivation if line.identity.segment_id == segment_id else {}
    name = encode("segment", segment_id)
    return next((part for part in parts if part.get("segment_id") == name), {})


def _parts_of(line: Line) -> list[Mapping[str, Any]]:
    """Read what a line says of its segments, where it names several; a line that was tampered with may say anything."""
    found = line.derivation.get("segments")
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def charged_by(identity: Identity, catalogue: Catalogue) -> Charged | None:
    """Return what a usage line charges; None for a fee, a cap, or a price that is not in the catalogue."""
    for version in catalogue.versions.values():
        for price in version.prices:
            if price.id == identity.price_id and price.meter_id is not None:
                return price.meter_id, identity.dimension_key
    return None


def _digest(written: object) -> int:
    """Read a digest; one that is none is like no other."""
    try:
        return int(str(written), 16)
    except ValueError:
        return -1


def by_combination(totals: Iterable[SegmentTotal]) -> dict[Charged, SegmentTotal]:
    """Arrange totals by meter and combination."""
    return {(total.meter_id, dimension_key(total.dimensions)): total for total in totals}
