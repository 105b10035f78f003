"""What one flush adds: rows judged against what is known of their identities, then summed per total.

Keys are the bytes of the ids that make a total's primary key, in its order, so sorting them is the order in which the
database is written: two processes that write the same totals never wait for each other in a ring.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.plans.meter import Meter
from domain.usage.combination import ALL, Combination
from domain.usage.counters.counter import MeterSet, Pack, Packs, add_pack, take_pack
from domain.usage.event import micros
from domain.usage.movement import Move, Slow
from domain.usage.resolve import Count, Place, Row
from domain.usage.verdict import CONFLICT, DUPLICATE, Reason, Status, Verdict, quarantined

_ZERO = Decimal(0)
GROUP_BYTES = 48  # customer, segment, meter
_TOTAL_BYTES = 64  # and combination


class Entry(NamedTuple):
    """What an event is counted as, new or stored: all that is needed to count it or to take it back."""

    id: bytes
    customer_id: CustomerId
    place: Place
    occurred_at: datetime
    packs: tuple[Pack, ...]
    counts: tuple[Count, ...]
    slow: tuple[Count, ...]
    digest: int

    def moves(self, sign: int) -> list[Move]:
        """Return what it does to the meters that are not plain."""
        return [Move(sign, self.id, self.occurred_at, self.customer_id.bytes, self.place, count) for count in self.slow]


# The combinations a meter has in a segment, by the first 48 bytes of their keys, where it can take no others freely.
Full = Mapping[bytes, frozenset[bytes]]


@dataclass(slots=True)
class Total:
    """A sum that grows while a flush is tallied; `digest` is of an hour only, and not reduced yet."""

    quantity: Decimal
    events: int
    digest: int = 0

    def add(self, quantity: Decimal, events: int, digest: int = 0) -> None:
        """Count more."""
        self.quantity = EXACT.add(self.quantity, quantity)
        self.events += events
        self.digest += digest


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums by key: 72 bytes for an hour (total's key, hour), 64 for a total (customer, segment, meter, combination).

    Counters are in `packs`, all other meters in `hours` and `totals`. `sets` are the meters that count events, by id.
    `combinations` holds the new dimension sets by customer and id, `maxima` the bound of each meter that is no counter
    by its group's key. `unpriced` are provider and model of calls without a price of which the operator has not been
    told that day.
    """

    packs: Packs = field(default_factory=Packs)
    hours: dict[bytes, Total] = field(default_factory=dict)
    totals: dict[bytes, Total] = field(default_factory=dict)
    combinations: dict[bytes, Combination] = field(default_factory=dict)
    maxima: dict[bytes, int] = field(default_factory=dict)
    sets: dict[bytes, MeterSet] = field(default_factory=dict)
    customers: set[CustomerId] = field(default_factory=set)
    unpriced: list[tuple[str, str]] = field(default_factory=list)


def holders_of(rows: Iterable[Row]) -> dict[bytes, Row]:
    """Choose for each identity the row that will hold it if it is new: the first one that would be kept."""
    holders: dict[bytes, Row] = {}
    for row in rows:
        if row.verdict.status is not Status.REJECTED:
            holders.setdefault(row.identity, row)
    return holders


def verdicts_of(
    rows: Sequence[Row], holders: Mapping[bytes, Row], fresh: Mapping[bytes, Verdict], known: Mapping[bytes, bytes]
) -> list[Verdict]:
    """Answer every row. `fresh` are the verdicts of new identities, `known` the payload digests of all others stored.

    Of rows with one identity in a flush the first decides; the same payload again is a duplicate, or refused likewise.
    """
    return [_verdict(row, holders.get(row.identity), fresh.get(row.identity), known.get(row.identity)) for row in rows]


def _verdict(row: Row, holder: Row | None, fresh: Verdict | None, known: bytes | None) -> Verdict:
    if known is not None:
        return DUPLICATE if known == row.envelope.payload_digest else CONFLICT
    if holder is None or fresh is None:
        return row.verdict
    if holder is row:
        return fresh
    if holder.envelope.payload_digest != row.envelope.payload_digest:
        return CONFLICT
    return fresh if fresh.status is Status.REJECTED else DUPLICATE


def judge_combinations(rows: Iterable[Row], full: Full) -> dict[bytes, Verdict]:
    """Quarantine rows that would give a full meter a combination more, in the order in which they came."""
    known = {group: set(ids) for group, ids in full.items()}
    refused: dict[bytes, Verdict] = {}
    for row in rows if full else ():
        wanted = list(_combinations_of(row))
        if any(
            group in known and combination not in known[group] and len(known[group]) >= maximum
            for group, combination, maximum in wanted
        ):
            refused[row.identity] = quarantined(Reason.TOO_MANY_COMBINATIONS)
            continue
        for group, combination, _ in wanted:
            if group in known:
                known[group].add(combination)
    return refused


def _combinations_of(row: Row) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield the meters of a row within their segment, each with the combination it is counted under, and its bound."""
    assert row.place is not None, "a row that counts has a place"
    for pack in row.packs:
        for meter in pack.counters.meters:
            yield row.place.segment.key + meter.id.bytes, pack.combination.id, meter.dimension_combinations_max
    for count in (*row.counts, *row.slow):
        group = row.place.segment.key + count.meter.id.bytes
        yield group, count.combination.id, count.meter.dimension_combinations_max


def level_steps(entry: Row | Entry, sign: int = 1) -> Iterable[tuple[bytes, Decimal]]:
    """Return what an event adds to which plain level, by customer, subscription, meter and combination."""
    for count in entry.counts:
        if count.meter.aggregation == "level" and entry.place is not None:
            key = entry.customer_id.bytes + entry.place.subscription.id.bytes
            quantity = count.quantity if sign > 0 else EXACT.minus(count.quantity)
            yield key + count.combination.key, quantity
            if count.combination.id != ALL:
                yield key + count.meter.id.bytes + ALL, quantity


def quarantine_of(kept: Iterable[Row], fresh: Mapping[bytes, Verdict]) -> list[tuple[Row, Reason, str | None]]:
    """Return the new rows that stand in quarantine, with their reasons: not counted, or counted without a price."""
    found = []
    for row in kept:
        verdict = fresh[row.identity]
        if verdict.status is Status.QUARANTINED and verdict.reason is not None:
            found.append((row, verdict.reason, verdict.detail))
        elif verdict.status is Status.COUNTED and row.unpriced:
            found.append((row, Reason.UNPRICED, None))
    return found


def tally(rows: Iterable[Row]) -> Tally:
    """Sum up what counted rows add to hours. Running totals follow from `derive_totals`, when nothing more is added."""
    sums = Tally()
    hours: dict[datetime, bytes] = {}
    for row in rows:
        place = row.place
        assert place is not None, "a counted row has a place"
        sums.customers.add(row.customer_id)
        sums.sets[row.meters.id] = row.meters
        hour = hours.get(place.hour_at)
        if hour is None:
            hour = hours[place.hour_at] = micros(place.hour_at)
        for pack in row.packs:
            add_pack(sums.packs, place.segment.key, hour, pack, row.digest)
            _note_combination(sums, place.segment.key, pack.combination)
        for meter, combination, quantity, _, _ in row.counts:
            key = place.segment.key + combination.key + hour
            total = sums.hours.get(key)
            if total is None:
                sums.hours[key] = Total(quantity, 1, row.digest)
                _note(sums, key, meter, combination)
            else:
                total.add(quantity, 1, row.digest)
    return sums


def add_entry(sums: Tally, entry: Entry, sign: int) -> None:
    """Count an event that was counted before in the hours of its meters, or take it back from there.

    Of meters that are not plain only the event and its digest are counted here.
    """
    sums.customers.add(entry.customer_id)
    _move_packs(sums, entry, sign)
    for count in entry.counts:
        change = count.quantity if sign > 0 else EXACT.minus(count.quantity)
        _hour(sums, entry, count).add(change, sign, sign * entry.digest)
    add_slow(sums, entry, sign)


def add_slow(sums: Tally, entry: Entry, sign: int) -> None:
    """Count an event and its digest in the hours of its meters that are not plain, or take it back from there."""
    for count in entry.slow:
        _hour(sums, entry, count).add(_ZERO, sign, sign * entry.digest)


def price_entry(sums: Tally, entry: Entry, priced: Entry) -> None:
    """Count an event with its cost that was counted without: what it counts otherwise stays, its digest changes."""
    sums.customers.add(entry.customer_id)
    _move_packs(sums, entry, -1)
    _move_packs(sums, priced, 1)
    for count in (*entry.counts, *entry.slow):
        _hour(sums, entry, count).add(_ZERO, 0, priced.digest - entry.digest)


def _move_packs(sums: Tally, entry: Entry, sign: int) -> None:
    start, hour = entry.place.segment.key, micros(entry.place.hour_at)
    for pack in entry.packs:
        (add_pack if sign > 0 else take_pack)(sums.packs, start, hour, pack, entry.digest)
        _note_combination(sums, start, pack.combination)


def _hour(sums: Tally, entry: Entry, count: Count) -> Total:
    sums.customers.add(entry.customer_id)
    key = entry.place.segment.key + count.combination.key + micros(entry.place.hour_at)
    if key not in sums.hours:
        sums.hours[key] = Total(_ZERO, 0)
        _note(sums, key, count.meter, count.combination)
    return sums.hours[key]


def add_changes(sums: Tally, slow: Slow) -> None:
    """Add the changes of hours whose totals are not sums of what events add."""
    for key, change in slow.hours.items():
        if change:
            sums.hours.setdefault(key, Total(_ZERO, 0)).add(change, 0)


def derive_totals(sums: Tally, slow: Slow | None) -> None:
    """Sum up the changes of hours to those of running totals: of each combination, and of all where these add up."""
    apart = slow.apart if slow else frozenset[bytes]()
    for key, total in sums.hours.items():
        _add(sums.totals, key[:_TOTAL_BYTES], total.quantity, total.events)
        group = key[:GROUP_BYTES]
        if key[GROUP_BYTES:_TOTAL_BYTES] != ALL:
            _add(sums.totals, group + ALL, _ZERO if group in apart else total.quantity, total.events)
    for key, change in (slow.wholes if slow else {}).items():
        _add(sums.totals, key, change, 0)


def hour_text(key: bytes) -> str:
    """Read the hour back from the last 8 bytes of its key, in microseconds since 1970."""
    return str(int.from_bytes(key[_TOTAL_BYTES:], "big"))


def _note(sums: Tally, key: bytes, meter: Meter, combination: Combination) -> None:
    if combination.id != ALL:
        _note_combination(sums, key, combination)
        sums.maxima[key[:GROUP_BYTES]] = meter.dimension_combinations_max


def _note_combination(sums: Tally, key: bytes, combination: Combination) -> None:
    if combination.id != ALL:
        sums.combinations[key[:16] + combination.id] = combination


def _add(totals: dict[bytes, Total], key: bytes, quantity: Decimal, events: int) -> None:
    found = totals.get(key)
    if found is None:
        totals[key] = Total(quantity, events)
    else:
        found.add(quantity, events)
