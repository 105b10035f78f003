"""Compare an invoice with what its stored events come to: line by line, total by total, and the sums.

A line is recomputed from the events that it had counted (see `recount.py`): what came in or was taken back since then
is later news. An adjustment is verified as the sum over its revisions up to its invoice.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from domain.invoices.credit_note import Correction, without_corrections
from domain.invoices.derivation import WantedLine, digest_text
from domain.invoices.document import dimension_key
from domain.invoices.invoice import Identity, Invoice, Line, LineKind
from domain.invoices.recount import Charged, Recount, by_combination, is_recounted
from domain.invoices.taxing.statement import TaxStatement, rate_again
from domain.invoices.taxing.treatment import TaxSource
from domain.kernel.ids import MeterId, SegmentId
from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.usage.reading import Combination, MeterUsage, SegmentTotal

# What no derivation may lack. Other parts are compared where both have them: a later program may explain more.
ESSENTIAL = frozenset({"quantity", "exact_amount", "amount_minor", "currency", "events", "digest"})
# Shown beside the amount and free to move on: rows of the price list are ended by later ones, and other meters count
# events that this one does not. What rows came to is the cost kept on the events, which is verified.
_BESIDE = frozenset({"rates", "counted"})
_OF_EVENTS = frozenset({"unit", "derivation.events", "derivation.digest"})
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


def chains_of(lines: Iterable[Line], invoice: Invoice) -> dict[Identity, list[Line]]:
    """Return the revisions of each identity up to an invoice, in order: invoices are opened in the order of ids."""
    found: dict[Identity, list[Line]] = {}
    for line in lines:
        if line.invoice_id <= invoice.id:
            found.setdefault(line.identity, []).append(line)
    return {identity: sorted(chain, key=lambda line: line.revision) for identity, chain in found.items()}


def less_corrections(chain: Sequence[Line], corrections: Collection[Correction]) -> list[Line]:
    """Take off the earlier revisions of a chain what was corrected before its last one was derived.

    Notes and lines are numbered in the order of time; a later correction is later news.
    """
    line, before = chain[-1], chain[:-1]
    known = [each for each in corrections if each.note_id.int < line.id.int]
    return [*without_corrections(before, known), line]


def differences_of(chain: Sequence[Line], wanted: WantedLine | None) -> tuple[Difference, ...]:
    """Compare a line, the last of its revisions, with what should have been billed by it and those before it."""
    return _differing(*_compared(chain, wanted))


def without_quantity(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Leave out what follows from the quantity, where that of a state that is over is not to be had any more."""
    return tuple(each for each in found if each.field in _OF_EVENTS)


def _compared(chain: Sequence[Line], wanted: WantedLine | None) -> Iterator[tuple[str, Any, Any]]:
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
        if name not in _BESIDE and (name in line.derivation or name in ESSENTIAL):
            yield f"derivation.{name}", line.derivation.get(name, _MISSING), recomputed


def quantity_of(chain: Iterable[Line]) -> Decimal:
    """Add up the quantities of revisions."""
    found = Decimal(0)
    for line in chain:
        found = EXACT.add(found, line.quantity)
    return found


def comes_to(lines: Sequence[Line], wanted: WantedLine | None) -> bool:
    """Whether all revisions of an identity, also those after the invoice, add up to what is wanted, or to nothing."""
    wanted_minor, quantity = (wanted.amount_minor, wanted.quantity) if wanted else (0, Decimal(0))
    return sum(line.amount.minor for line in lines) == wanted_minor and quantity_of(lines) == quantity


def settled_later(lines: Sequence[Line], wanted: WantedLine | None) -> bool:
    """Whether all revisions of an identity, also those after the invoice, come to what all events do."""
    if wanted is None or not lines:
        return False
    newest = max(lines, key=lambda line: line.revision)
    digests = (newest.derivation.get("digest"), wanted.derivation.get("digest"))
    return comes_to(lines, wanted) and digests[0] == digests[1]


def sums_of(invoice: Invoice, lines: Sequence[Line], stated: Sequence[TaxStatement] = ()) -> tuple[Difference, ...]:
    """Compare an invoice's amounts with its lines, and its taxes with those that it states and those on its lines.

    A rate of the table is also computed again from its lines; one that was asked for was rounded elsewhere.
    """
    taken = [
        rate_again(each, lines) if each.source is TaxSource.TABLE and not each.is_included else each.tax_minor
        for each in stated
    ]
    return _differing(
        ("subtotal_minor", invoice.subtotal.minor, sum(line.amount.minor for line in lines)),
        ("discount_minor", invoice.discount.minor, sum(line.discount.minor for line in lines)),
        ("tax_minor", invoice.tax.minor, sum(taken)),
        ("tax_of_lines_minor", sum(line.tax.minor for line in lines), sum(taken)),
    )


def check_totals(
    segment_id: SegmentId,
    recount: Recount,
    running: Mapping[MeterId, MeterUsage],
    *,
    droppable: bool,
) -> list[TotalCheck]:
    """Compare stored totals, by the hour and running, with the events; in order of meter and combination.

    Fewer events than counted may be archived.
    """
    again, by_hour = by_combination(recount.whole_totals), by_combination(recount.hours)
    archived = {
        key[0] for key, stored in by_hour.items() if droppable and stored.events > _or_nothing(again, key).events
    }
    meters = recount.rules.meters
    found: list[tuple[MeterId, Mapping[str, str], tuple[Difference, ...]]] = []
    for key in dict.fromkeys((*again, *by_hour)):
        if key[0] not in archived:
            total, stored = _or_nothing(again, key), _or_nothing(by_hour, key)
            dimensions = total.dimensions or stored.dimensions
            found.append((key[0], dimensions, _of_hours(stored, total)))
    for meter_id in dict.fromkeys((*running, *(key[0] for key in again))):
        if meter_id not in archived:
            own = [total for total in again.values() if total.meter_id == meter_id]
            is_summed = is_recounted(meters[meter_id])
            found += [(meter_id, *row) for row in _of_running(running.get(meter_id), own, is_summed=is_summed)]
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
    stored: MeterUsage | None, again: Sequence[SegmentTotal], *, is_summed: bool
) -> Iterator[tuple[Mapping[str, str], tuple[Difference, ...]]]:
    """Compare the running totals of a meter: over all combinations, and each where it has dimensions."""
    quantity, events = Decimal(0), 0
    for total in again:
        quantity, events = EXACT.add(quantity, total.quantity), events + total.events
    yield {}, _running(stored, quantity, events, is_summed=is_summed)
    kept = {dimension_key(each.dimensions): each for each in (stored.combinations if stored else ())}
    for total in again:
        if total.dimensions:
            own = kept.pop(dimension_key(total.dimensions), None)
            yield total.dimensions, _running(own, total.quantity, total.events, is_summed=is_summed)
    for left in kept.values():
        yield left.dimensions, _running(left, Decimal(0), 0, is_summed=is_summed)


def _running(
    stored: MeterUsage | Combination | None, quantity: Decimal, events: int, *, is_summed: bool
) -> tuple[Difference, ...]:
    kept = stored.quantity if stored else Decimal(0)
    return _differing(
        ("total.quantity", kept, quantity if is_summed else kept),
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
