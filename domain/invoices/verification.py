"""Compare an invoice with what its stored events come to: line by line, total by total, and the sums.

A line holds how many events it had counted. Events that came in after those are later news, for an adjustment on the
next invoice: a line is recomputed from as many events as it counted, in the order in which they came in, and the digest
says whether they are the same ones. An adjustment is verified as the sum over its revisions up to its invoice.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from domain.invoices.derivation import WantedLine, digest_text
from domain.invoices.document import dimension_key
from domain.invoices.invoice import Identity, Invoice, Line, LineKind
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.ids import CustomerId, MeterId, PriceId, SegmentId
from domain.kernel.money import exact_text
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue, Price
from domain.usage.facts import Rules
from domain.usage.reading import Combination, MeterUsage, SegmentTotal
from domain.usage.recount import CountedEvent, Sum, added_by, digest_of, totals_of, values_of

# A meter and the key of the combination that a line charges; the key is empty where a line sums all of them up.
Charged = tuple[MeterId, str]

# What no derivation may lack. Other parts are compared where both have them: a later program may explain more.
ESSENTIAL = frozenset({"quantity", "exact_amount", "amount_minor", "currency", "events", "digest"})
# Rows of the price list are ended by later ones; what they came to is the cost kept on the events.
_BESIDE = frozenset({"rates"})
_MISSING = "(missing)"
# An event waits less than this for the segment that it has opened.
_OPENED_BY = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outcome(StrEnum):
    """`archived`: nothing differs, but events were dropped when their time was over, so it cannot be recomputed."""

    EQUAL = "equal"
    DIFFERENT = "different"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what is stored is not what was recomputed, both as text."""

    field: str
    stored: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class LineCheck:
    """What became of one line. `with_later`: more events came in at the very moment when it was derived.

    Which of them it counted cannot be told apart any more, so it was verified together with its later adjustments.
    """

    line: Line
    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    with_later: bool = False


@dataclass(frozen=True, slots=True)
class TotalCheck:
    """A stored total that is not the sum of its events; `dimensions` is empty for the sum over all combinations."""

    segment_id: SegmentId
    meter: str
    dimensions: Mapping[str, str]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """An invoice beside what was recomputed. `totals` and `sums` hold only what differs; `events` were recounted."""

    invoice: Invoice
    lines: tuple[LineCheck, ...]
    totals: tuple[TotalCheck, ...]
    sums: tuple[Difference, ...]
    events: int

    @property
    def outcome(self) -> Outcome:
        """Different where anything is, else archived where anything is."""
        found = {check.outcome for check in self.lines}
        if self.totals or self.sums or Outcome.DIFFERENT in found:
            return Outcome.DIFFERENT
        return Outcome.ARCHIVED if Outcome.ARCHIVED in found else Outcome.EQUAL


@dataclass(slots=True)
class Recount:
    """The totals of one segment, made anew from its events in the order in which they came in.

    `billed` stops where the lines stopped: `bounds` says how many events each has counted. It holds memory for each
    combination, not for each event, unless a price looks at each event (`by_event`).
    """

    customer_id: CustomerId
    rules: Rules
    prices: Sequence[Price]
    bounds: Mapping[Charged, int]
    by_event: Collection[MeterId] = ()
    whole: dict[tuple[MeterId, tuple[str, ...]], Sum] = field(default_factory=dict)
    billed: dict[tuple[MeterId, tuple[str, ...]], Sum] = field(default_factory=dict)
    counted: Counter[Charged] = field(default_factory=Counter)
    events: int = 0
    _values: dict[MeterId, list[tuple[datetime, Decimal]]] = field(default_factory=dict)
    _charged: dict[tuple[MeterId, tuple[str, ...]], Charged | None] = field(default_factory=dict)

    def add(self, event: CountedEvent) -> None:
        """Count one event."""
        self.events += 1
        digest = digest_of(self.customer_id, event)
        for meter, values, quantity in added_by(event, self.rules):
            key = (meter.id, values)
            self.whole.setdefault(key, Sum()).add(quantity, digest)
            if key not in self._charged:
                self._charged[key] = self._charged_as(meter.id, dict(zip(meter.dimensions, values, strict=True)))
            charged = self._charged[key]
            if charged is None or self.counted[charged] < self.bounds.get(charged, 0):
                self.billed.setdefault(key, Sum()).add(quantity, digest)
                if meter.id in self.by_event:
                    self._values.setdefault(meter.id, []).append((event.occurred_at, quantity))
            if charged is not None:
                self.counted[charged] += 1

    def _charged_as(self, meter_id: MeterId, dimensions: Mapping[str, str]) -> Charged | None:
        """Return what a line charges of a combination; None for what is shown and never charged."""
        if not any(price.meter_id == meter_id for price in self.prices):
            return None
        by_combination = self.rules.meters[meter_id].aggregation == "cost"
        return meter_id, dimension_key(dimensions) if by_combination else ""

    @property
    def billed_totals(self) -> list[SegmentTotal]:
        """What the lines counted, for rating."""
        return totals_of(self.billed, self.rules)

    @property
    def whole_totals(self) -> list[SegmentTotal]:
        """What all events come to."""
        return totals_of(self.whole, self.rules)

    @property
    def values(self) -> dict[MeterId, Sequence[Decimal]]:
        """What each event that the lines counted added, in order of time, for the prices that look at each event."""
        return {meter_id: values_of(found) for meter_id, found in self._values.items()}


def chains_of(lines: Iterable[Line], invoice: Invoice) -> dict[Identity, list[Line]]:
    """Return the revisions of each identity up to an invoice, in order: invoices are opened in the order of ids."""
    found: dict[Identity, list[Line]] = {}
    for line in lines:
        if line.invoice_id <= invoice.id:
            found.setdefault(line.identity, []).append(line)
    return {identity: sorted(chain, key=lambda line: line.revision) for identity, chain in found.items()}


def bounds_of(chains: Mapping[Identity, Sequence[Line]], meters: Mapping[PriceId, MeterId]) -> dict[Charged, int]:
    """Return how many events the newest revision of each usage line had counted."""
    bounds: dict[Charged, int] = {}
    for identity, chain in chains.items():
        events = chain[-1].derivation.get("events")
        if identity.price_id is not None and identity.price_id in meters and isinstance(events, int):
            charged = (meters[identity.price_id], identity.dimension_key)
            bounds[charged] = max(events, bounds.get(charged, 0))
    return bounds


def charged_by(identity: Identity, catalogue: Catalogue) -> Charged | None:
    """Return what a usage line charges; None for a fee, a cap, or a price that is not in the catalogue."""
    for version in catalogue.versions.values():
        for price in version.prices:
            if price.id == identity.price_id and price.meter_id is not None:
                return price.meter_id, identity.dimension_key
    return None


def differences_of(chain: Sequence[Line], wanted: WantedLine | None, *, complete: bool) -> tuple[Difference, ...]:
    """Compare a line, the last of its revisions, with what should have been billed by it and those before it.

    `complete` says that no event came in since, so that what other meters counted beside it can be compared too.
    """
    return _differing(*_compared(chain, wanted, complete=complete))


def _compared(chain: Sequence[Line], wanted: WantedLine | None, *, complete: bool) -> Iterator[tuple[str, Any, Any]]:
    line, before = chain[-1], chain[:-1]
    yield "amount_minor", sum(each.amount.minor for each in chain), wanted.amount_minor if wanted else 0
    yield "quantity", quantity_of(chain), wanted.quantity if wanted else Decimal(0)
    if before:
        stored = line.derivation
        yield "billed_before_minor", stored.get("billed_before_minor"), sum(each.amount.minor for each in before)
        yield "billed_before_quantity", stored.get("billed_before_quantity"), exact_text(quantity_of(before))
    if wanted is None:
        return
    yield "unit", line.unit, wanted.unit
    for name, recomputed in wanted.derivation.items():
        is_beside = name in _BESIDE or (name == "counted" and not complete)
        if not is_beside and (name in line.derivation or name in ESSENTIAL):
            yield f"derivation.{name}", line.derivation.get(name, _MISSING), recomputed


def quantity_of(chain: Iterable[Line]) -> Decimal:
    """Add up the quantities of revisions."""
    found = Decimal(0)
    for line in chain:
        found = EXACT.add(found, line.quantity)
    return found


def settled_later(lines: Sequence[Line], wanted: WantedLine | None) -> bool:
    """Whether all revisions of an identity, also those after the invoice, come to what all events do."""
    if wanted is None or not lines:
        return False
    newest = max(lines, key=lambda line: line.revision)
    digests = (newest.derivation.get("digest"), wanted.derivation.get("digest"))
    return (
        sum(line.amount.minor for line in lines) == wanted.amount_minor
        and quantity_of(lines) == wanted.quantity
        and digests[0] == digests[1]
    )


def sums_of(invoice: Invoice, lines: Sequence[Line]) -> tuple[Difference, ...]:
    """Compare an invoice's amounts with its lines, and its tax with the one on them. No customer has a rate yet."""
    taken = taxes([TaxableLine(line.amount.minor, None) for line in lines])
    return _differing(
        ("subtotal_minor", invoice.subtotal.minor, sum(line.amount.minor for line in lines)),
        ("tax_minor", invoice.tax.minor, sum(taken)),
        ("tax_of_lines_minor", sum(line.tax.minor for line in lines), sum(taken)),
    )


def check_totals(
    segment_id: SegmentId,
    recount: Recount,
    hours: Sequence[SegmentTotal],
    running: Mapping[MeterId, MeterUsage],
    *,
    droppable: bool,
) -> list[TotalCheck]:
    """Compare stored totals, by the hour and running, with the events; in order of meter and combination.

    Fewer events than counted may be archived.
    """
    again = {(total.meter_id, dimension_key(total.dimensions)): total for total in recount.whole_totals}
    by_hour = {(total.meter_id, dimension_key(total.dimensions)): total for total in hours}
    archived = {
        key[0] for key, stored in by_hour.items() if droppable and stored.events > _or_nothing(again, key).events
    }
    found: list[tuple[MeterId, Mapping[str, str], tuple[Difference, ...]]] = []
    for key in dict.fromkeys((*again, *by_hour)):
        if key[0] not in archived:
            total, stored = _or_nothing(again, key), _or_nothing(by_hour, key)
            dimensions = total.dimensions or stored.dimensions
            found.append((key[0], dimensions, _of_hours(stored, total)))
    for meter_id in dict.fromkeys((*running, *(key[0] for key in again))):
        if meter_id not in archived:
            own = [total for total in again.values() if total.meter_id == meter_id]
            found += [(meter_id, *row) for row in _of_running(running.get(meter_id), own)]
    meters = recount.rules.meters
    checks = [
        TotalCheck(segment_id, meters[meter_id].key, dimensions, differing)
        for meter_id, dimensions, differing in found
        if differing
    ]
    return sorted(checks, key=lambda check: (check.meter, sorted(check.dimensions.items())))


def _or_nothing(totals: Mapping[Charged, SegmentTotal], key: Charged) -> SegmentTotal:
    return totals.get(key) or SegmentTotal(key[0], {}, Decimal(0), 0, 0)


def _of_hours(stored: SegmentTotal, again: SegmentTotal) -> tuple[Difference, ...]:
    return _differing(
        ("hours.quantity", stored.quantity, again.quantity),
        ("hours.events", stored.events, again.events),
        ("hours.digest", digest_text(stored.digest), digest_text(again.digest)),
    )


def _of_running(
    stored: MeterUsage | None, again: Sequence[SegmentTotal]
) -> Iterator[tuple[Mapping[str, str], tuple[Difference, ...]]]:
    """Compare the running totals of a meter: over all combinations, and each where it has dimensions."""
    quantity, events = Decimal(0), 0
    for total in again:
        quantity, events = EXACT.add(quantity, total.quantity), events + total.events
    yield {}, _running(stored, quantity, events)
    kept = {dimension_key(each.dimensions): each for each in (stored.combinations if stored else ())}
    for total in again:
        if total.dimensions:
            yield (
                total.dimensions,
                _running(kept.pop(dimension_key(total.dimensions), None), total.quantity, total.events),
            )
    for left in kept.values():
        yield left.dimensions, _running(left, Decimal(0), 0)


def _running(stored: MeterUsage | Combination | None, quantity: Decimal, events: int) -> tuple[Difference, ...]:
    return _differing(
        ("total.quantity", stored.quantity if stored else Decimal(0), quantity),
        ("total.events", stored.events if stored else 0, events),
    )


def _differing(*fields: tuple[str, Any, Any]) -> tuple[Difference, ...]:
    return tuple(Difference(name, _text(stored), _text(again)) for name, stored, again in fields if stored != again)


def may_be_archived(segment_id: SegmentId, events_since: datetime | None) -> bool:
    """Whether events of a segment may have been dropped: those received before `events_since` may have been.

    A segment's uuidv7 tells when it was opened, to the millisecond; the first event may have come in just before that.
    """
    opened_at = _EPOCH + timedelta(milliseconds=segment_id.int >> 80)
    return events_since is not None and opened_at - _OPENED_BY < events_since


def is_cap(identity: Identity) -> bool:
    """Whether a line takes off what lies above a cost cap."""
    return identity.kind is LineKind.CAP


def _text(value: Any) -> str:
    return exact_text(value) if isinstance(value, Decimal) else str(value)
