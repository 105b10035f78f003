"""Flushes whose events all feed counters alone and are counted as they are: what the database writes in one call.

Most flushes are such. All others, and those of which the database finds that they are not, take the way on which each
row is judged: see docs/decisions/0016-plain-flushes.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, ProviderPriceId
from domain.kernel.values import dataclass
from domain.usage.combination import ALL, Combination
from domain.usage.event import row_id
from domain.usage.resolve import Place, Request, Row
from domain.usage.tally import holders_of
from domain.usage.verdict import COUNTED, Verdict

_CUSTOMER_BYTES = 16
# Parts one text from the next. JSON never holds it, and an id that does is left to the other way.
SEPARATOR = "\x1f"
# Type of event, set of meters, and combination.
Kind = tuple[str, bytes, bytes]


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PlainFlush:
    """Columns of the events in the order of their identities, and what these name by number, counted from 1.

    `numbers` are those of place, request, kind, hour and price, a column each; `totals` number the totals in the order
    of their keys. `combinations` are those not known to be stored. A place is named with the epoch at which the event
    was resolved: all of them are compared with the present one.
    """

    call: Call
    holders: Mapping[bytes, Row]
    rows: Sequence[Row]
    places: Sequence[Place]
    requests: Sequence[Request]
    kinds: Sequence[Kind]
    hours: Sequence[datetime]
    prices: Sequence[tuple[ProviderPriceId, ...]]
    numbers: Sequence[Sequence[int | None]]
    totals: Sequence[int | None]
    ids: Sequence[bytes]
    event_ids: str
    combinations: Mapping[bytes, Combination]
    room: int

    def verdicts(self, stored: Mapping[bytes, bytes]) -> dict[bytes, Verdict]:
        """Return the verdicts on new identities; `stored` are the payload digests of all others."""
        return {row.identity: COUNTED for row in self.rows if row.identity not in stored}

    def movers(self, stored: Mapping[bytes, bytes]) -> set[CustomerId]:
        """Return the customers whose totals were moved."""
        return {row.customer_id for row in self.rows if row.identity not in stored}


class _Entry(NamedTuple):
    """An event with what it is sorted by, customer and identity, and the key of its total."""

    order: bytes
    total: bytes
    id: bytes
    place: Place
    row: Row


def plain_flush_of(rows: Sequence[Row], known: Collection[bytes]) -> PlainFlush | None:
    """Arrange the rows of a flush, or return None where one of them is not plain.

    `known` are the sets of meters and the combinations that are stored already. A flush that brings a set, or counts in
    two hours of one total, is left to the other way too.
    """
    holders = holders_of(rows)
    if any(row.verdict is not COUNTED for row in rows):
        return None
    entries = _entries_of(holders.values(), known)
    event_ids = SEPARATOR.join([entry.row.envelope.event.id for entry in entries])
    if not entries or event_ids.count(SEPARATOR) >= len(entries):
        return None
    call = entries[-1].row.request.call
    return _arrange(call, holders, entries, event_ids, known) if call is not None else None


def _entries_of(rows: Collection[Row], known: Collection[bytes]) -> list[_Entry]:
    """Return the events in the order in which they are written; none where one of them is not plain."""
    entries: list[_Entry] = []
    hours: dict[bytes, datetime] = {}
    for position, row in enumerate(rows):
        place = row.place
        if place is None or not _is_plain(row) or row.meters.id not in known:
            return []
        total = place.segment.key + row.packs[0].combination.key
        if hours.setdefault(total, place.hour_at) != place.hour_at:
            return []
        order = total[:_CUSTOMER_BYTES] + row.identity
        entries.append(_Entry(order, total, row_id(row.request.received_at, row.identity, position), place, row))
    # No two have the same identity: nothing beside it is compared.
    entries.sort()
    return entries


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


def _arrange(
    call: Call, holders: Mapping[bytes, Row], entries: Sequence[_Entry], event_ids: str, known: Collection[bytes]
) -> PlainFlush:
    """Make the columns, and number what the events share."""
    rows = [entry.row for entry in entries]
    wheres = [(entry.place.segment.key, entry.place.subscription.epoch) for entry in entries]
    senders = [id(row.request) for row in rows]
    kinds = [(row.envelope.event.type, row.packs[0].counters.id, row.packs[0].combination.id) for row in rows]
    at = [entry.place.hour_at for entry in entries]
    # What has a price is priced by few sets of rows, each of which is one object.
    prices = [id(row.price_ids) if row.price_ids else None for row in rows]
    hours, totals = sorted(set(at)), [entry.total for entry in entries]
    sets = {row.packs[0].counters.id: row.packs[0].counters for row in rows}
    return PlainFlush(
        call,
        holders,
        rows,
        list(dict(zip(wheres, [entry.place for entry in entries], strict=True)).values()),
        list(dict(zip(senders, [row.request for row in rows], strict=True)).values()),
        list(dict.fromkeys(kinds)),
        hours,
        list({id(row.price_ids): row.price_ids for row in rows if row.price_ids}.values()),
        (
            _numbers(wheres, wheres),
            _numbers(senders, senders),
            _numbers(kinds, kinds),
            _numbers(at, hours),
            _numbers(prices, [each for each in prices if each is not None]),
        ),
        _numbers(totals, sorted(set(totals))),
        [entry.id for entry in entries],
        event_ids,
        _combinations_of(entries, known),
        min(meter.dimension_combinations_max for each in sets.values() for meter in each.meters),
    )


def _numbers(values: Sequence[_T], order: Iterable[_T]) -> list[int | None]:
    """Return the numbers of values, which count from 1 on in the order given; None for what it does not hold."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(order), 1)}
    return [numbers.get(value) for value in values]


def _combinations_of(entries: Iterable[_Entry], known: Collection[bytes]) -> dict[bytes, Combination]:
    """Return the combinations that may have to be stored, by customer and id."""
    found = {}
    for entry in entries:
        combination = entry.row.packs[0].combination
        key = entry.order[:_CUSTOMER_BYTES] + combination.id
        if combination.id != ALL and key not in known:
            found[key] = combination
    return found
