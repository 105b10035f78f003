"""Flushes whose events all feed counters alone and are counted as they are: what the database writes in one call.

Most flushes are such. All others, and those of which the database finds that they are not, take the way on which each
row is judged: see docs/decisions/0016-plain-flushes.md.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, ProviderPriceId
from domain.plans.exact import Quantity
from domain.usage.combination import ALL, Combination
from domain.usage.counters.counter import MeterSet
from domain.usage.event import row_id
from domain.usage.resolve import Place, Request, Row
from domain.usage.tally import holders_of
from domain.usage.verdict import COUNTED, Verdict

_CUSTOMER_BYTES = 16
# Parts one text from the next. JSON never holds it, and an id that does is left to the other way.
SEPARATOR = "\x1f"
# Type of event, set of meters, and combination.
Kind = tuple[str, bytes, bytes]


@dataclass(slots=True)
class PlainFlush:
    """Columns of the events in the order of their identities, and what these name by number, counted from 1.

    `totals` number the totals in the order of their keys, `combinations` are those not known to be stored.
    """

    call: Call
    holders: Mapping[bytes, Row]
    rows: Sequence[Row]
    places: dict[bytes, tuple[int, Place]] = field(default_factory=dict)
    requests: dict[int, tuple[int, Request]] = field(default_factory=dict)
    kinds: dict[Kind, int] = field(default_factory=dict)
    hours: Sequence[datetime] = ()
    prices: dict[tuple[ProviderPriceId, ...], int] = field(default_factory=dict)
    numbers: list[tuple[int, int, int, int, int | None]] = field(default_factory=list)
    totals: Sequence[int] = ()
    ids: Sequence[bytes] = ()
    event_ids: str = ""
    quantities: Sequence[Sequence[Quantity]] = ()
    combinations: dict[bytes, Combination] = field(default_factory=dict)
    room: int = 0

    def verdicts(self, stored: Mapping[bytes, bytes]) -> dict[bytes, Verdict]:
        """Return the verdicts on new identities; `stored` are the payload digests of all others."""
        return {row.identity: COUNTED for row in self.rows if row.identity not in stored}

    def movers(self, stored: Mapping[bytes, bytes]) -> set[CustomerId]:
        """Return the customers whose totals were moved."""
        return {row.customer_id for row in self.rows if row.identity not in stored}


def plain_flush_of(rows: Sequence[Row], known: Collection[bytes]) -> PlainFlush | None:
    """Arrange the rows of a flush, or return None where one of them is not plain.

    `known` are the sets of meters and the combinations that are stored already. A flush that brings a set, or counts in
    two hours of one total, is left to the other way too.
    """
    holders = holders_of(rows)
    if any(row.verdict is not COUNTED for row in rows):
        return None
    position = {identity: number for number, identity in enumerate(holders)}
    ordered = sorted(holders.values(), key=_by_identity)
    hour_of: dict[bytes, datetime] = {}
    keys: list[bytes] = []
    for row in ordered:
        place = row.place
        if place is None or not _is_plain(row) or row.meters.id not in known:
            return None
        key = place.segment.key + row.packs[0].combination.key
        if hour_of.setdefault(key, place.hour_at) != place.hour_at:
            return None
        keys.append(key)
    call = ordered[-1].request.call if ordered else None
    event_ids = SEPARATOR.join([row.envelope.event.id for row in ordered])
    if call is None or event_ids.count(SEPARATOR) >= len(ordered):
        return None
    flush = PlainFlush(call, holders, ordered)
    number_of = {key: number for number, key in enumerate(sorted(hour_of), 1)}
    flush.totals = [number_of[key] for key in keys]
    flush.ids = [row_id(row.request.received_at, row.identity, position[row.identity]) for row in ordered]
    flush.event_ids = event_ids
    flush.quantities = [row.packs[0].quantities for row in ordered]
    flush.hours = sorted(set(hour_of.values()))
    _number(flush, known)
    return flush


def _is_plain(row: Row) -> bool:
    """Whether an event is counted as it is, by counters alone and in one row of them, by real time."""
    return (
        len(row.packs) == 1
        and not row.unpriced
        and not row.counts
        and not row.slow
        and row.clock_id is None
        and row.envelope.event.corrects is None
    )


def _number(flush: PlainFlush, known: Collection[bytes]) -> None:
    """Count what events share from 1, and note the combinations that may have to be stored."""
    hours = {hour: number for number, hour in enumerate(flush.hours, 1)}
    sets: dict[bytes, MeterSet] = {}
    for row in flush.rows:
        place, counters, combination = row.place, row.packs[0].counters, row.packs[0].combination
        assert place is not None, "a plain row has a place"
        key = place.segment.key
        where = flush.places.setdefault(key, (len(flush.places) + 1, place))
        request = flush.requests.setdefault(id(row.request), (len(flush.requests) + 1, row.request))
        kind = (row.envelope.event.type, counters.id, combination.id)
        what = flush.kinds.setdefault(kind, len(flush.kinds) + 1)
        price = flush.prices.setdefault(row.price_ids, len(flush.prices) + 1) if row.price_ids else None
        flush.numbers.append((where[0], request[0], what, hours[place.hour_at], price))
        sets[counters.id] = counters
        named = key[:_CUSTOMER_BYTES] + combination.id
        if combination.id != ALL and named not in known:
            flush.combinations[named] = combination
    flush.room = min(meter.dimension_combinations_max for each in sets.values() for meter in each.meters)


def _by_identity(row: Row) -> bytes:
    return row.customer_id.bytes + row.identity
