"""Rows of running totals, arranged by meter: all of them, or those that moved since they were arranged before.

A row is of a set, whose meters have a sum each, or else of one meter. Where the sum over all combinations is kept, it
is a row of its own; else the rows of an owner are added up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.kernel.ids import MeterId
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.usage.reading import Combination, MeterUsage, Split

# The combination that stands for the sum over all.
WHOLE = UUID(int=0)
_NOTHING = Decimal(0)
_NAMED = msgspec.json.Decoder(dict[str, str])


class Row(NamedTuple):
    """What was counted under one combination, its values as they are stored, and a sum for each slot."""

    part: UUID
    named: str | None
    events: int
    sums: Sequence[Decimal]


# The rows of each owner, by combination; and the slots of each set, with their meters.
Rows = Mapping[UUID, Mapping[UUID, Row]]
Sets = Mapping[UUID, Mapping[int, MeterId]]


@dataclass(frozen=True, slots=True)
class Arranged:
    """The rows of a subscription's usage period, the sets that own them, and what they come to by meter."""

    rows: Rows
    sets: Sets
    meters: Mapping[MeterId, MeterUsage]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.rows.values()))


NOTHING = Arranged({}, {}, {})


class _Feed(NamedTuple):
    """Where a meter finds its sum in the rows of an owner."""

    rows: Mapping[UUID, Row]
    slot: int


def rows_of(found: Iterable[tuple[UUID, Row]]) -> dict[UUID, dict[UUID, Row]]:
    """Put rows under their owners."""
    rows: dict[UUID, dict[UUID, Row]] = {}
    for owner, row in found:
        rows.setdefault(owner, {})[row.part] = row
    return rows


def arranged(rows: Rows, sets: Sets) -> Arranged:
    """Arrange rows by meter."""
    return moved(NOTHING, rows, sets)


def moved(before: Arranged, changed: Rows, sets: Sets) -> Arranged:
    """Return what was arranged before with some rows new or changed: the same as arranging all of them anew.

    Only the meters of those rows are looked at, and `sets` names those of their owners that are sets. `before` stays as
    it is: somebody may be looking at its combinations.
    """
    sets = {**before.sets, **{owner: sets[owner] for owner in changed if owner in sets}}
    rows = {**before.rows, **{owner: {**before.rows.get(owner, {}), **new} for owner, new in changed.items()}}
    meters = dict(before.meters)
    for owner, new in changed.items():
        old = before.rows.get(owner, {})
        for slot, meter_id in slots_of(owner, sets).items():
            meters[meter_id] = _grown(meters.get(meter_id), meter_id, slot, (old, new))
    for meter_id in {each for owner in changed for each in slots_of(owner, sets).values()}:
        feeds = [
            _Feed(own, slot)
            for owner, own in rows.items()
            for slot, fed in slots_of(owner, sets).items()
            if fed == meter_id
        ]
        meters[meter_id] = _split(meters[meter_id], feeds)
    return Arranged(rows, sets, meters)


def slots_of(owner: UUID, sets: Sets) -> Mapping[int, MeterId]:
    """Return which meter has which of an owner's sums."""
    found = sets.get(owner)
    return {0: MeterId(owner)} if found is None else found


def _grown(
    before: MeterUsage | None, meter_id: MeterId, slot: int, rows: tuple[Mapping[UUID, Row], Mapping[UUID, Row]]
) -> MeterUsage:
    """Add to a meter what its old rows became by the new ones; its combinations are put beside it later."""
    old, new = rows
    quantity, events = (_NOTHING, 0) if before is None else (before.quantity, before.events)
    if WHOLE in new:
        # What it was over all combinations is the row that is replaced, or the sum of those that stood alone.
        leaving, coming = ([old[WHOLE]] if WHOLE in old else list(old.values())), [new[WHOLE]]
    elif WHOLE in old:
        leaving, coming = [], []
    else:
        leaving, coming = [old[part] for part in new if part in old], list(new.values())
    quantity = reduce(EXACT.add, [row.sums[slot] for row in coming], quantity)
    quantity = reduce(EXACT.subtract, [row.sums[slot] for row in leaving], quantity)
    events += sum([row.events for row in coming]) - sum([row.events for row in leaving])
    return MeterUsage(meter_id, quantity, events, ())


def _split(meter: MeterUsage, feeds: Sequence[_Feed]) -> MeterUsage:
    split = Split(lambda: tuple(_combinations(feeds)))
    return MeterUsage(meter.meter_id, meter.quantity, meter.events, split)


def _combinations(feeds: Sequence[_Feed]) -> Iterator[Combination]:
    """Split a meter by combination; what it counted in several sets is added up."""
    found: dict[tuple[tuple[str, str], ...], Combination] = {}
    for rows, slot in feeds:
        for row in rows.values():
            if row.part == WHOLE:
                continue
            named = _NAMED.decode(row.named) if row.named else {}
            key = tuple(named.items())
            more = Combination(named, row.sums[slot], row.events)
            found[key] = _sum(found[key], more) if key in found else more
    yield from found.values()


def _sum(before: Combination, more: Combination) -> Combination:
    return Combination(more.dimensions, EXACT.add(before.quantity, more.quantity), before.events + more.events)
