"""Rows of running totals, arranged by meter: all of them, or those that moved since they were arranged before.

A row is of a set, whose meters have a sum each, or else of one meter. Where the sum over all combinations is kept, it
is a row of its own; else the rows of an owner are added up.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.kernel.ids import MeterId
from domain.plans.exact import EXACT
from domain.usage.reading import Combination, MeterUsage, Split

# The combination that stands for the sum over all.
WHOLE = UUID(int=0)
# Subscriptions count in a few ways; one that is not among the last so many is laid out again.
LAYOUTS_MAX = 1_024
_NOTHING = Decimal(0)
_NAMED = msgspec.json.Decoder(dict[str, str])


class Row(msgspec.Struct, frozen=True, gc=False):
    """What was counted under one combination, its values as they are stored, and a sum for each slot."""

    part: UUID
    named: str | None
    events: int
    sums: Sequence[Decimal]


# Which meter has which of an owner's sums.
Slots = Mapping[int, MeterId]
# The rows of each owner, by combination; and the slots of each set, with their meters.
Rows = Mapping[UUID, Mapping[UUID, Row]]
Sets = Mapping[UUID, Slots]
_NO_ROWS: Mapping[UUID, Row] = {}


class Layout(NamedTuple):
    """Which meters have the sums of each owner, and in which sums of which owners each meter is found."""

    owners: Mapping[UUID, Slots]
    feeds: Mapping[MeterId, Sequence[tuple[UUID, int]]]


class Arranged(msgspec.Struct, frozen=True, gc=False):
    """The rows of a subscription's usage period, and what they come to by meter; `size`: how many rows there are."""

    rows: Rows
    layout: Layout
    meters: Mapping[MeterId, MeterUsage]
    size: int


NOTHING = Arranged({}, Layout({}, {}), {}, 0)


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
    rows, meters, size = dict(before.rows), dict(before.meters), before.size
    for owner, new in changed.items():
        old = rows.get(owner, _NO_ROWS)
        rows[owner] = {**old, **new}
        size += len(rows[owner]) - len(old)
    layout = before.layout
    if len(rows) > len(before.rows):
        layout = _layout(tuple([(owner, tuple(_slots(owner, layout, sets).items())) for owner in rows]))
    for owner, new in changed.items():
        leaving, coming = _exchanged(before.rows.get(owner, _NO_ROWS), new)
        for slot, meter_id in layout.owners[owner].items():
            split = Split(_combinations, [(rows[each], at) for each, at in layout.feeds[meter_id]])
            meter = meters.get(meter_id) or MeterUsage(meter_id, _NOTHING, 0, ())
            meters[meter_id] = _grown(meter, slot, leaving, coming, split)
    return Arranged(rows, layout, meters, size)


def _slots(owner: UUID, known: Layout, sets: Sets) -> Slots:
    return known.owners.get(owner) or sets.get(owner) or {0: MeterId(owner)}


@lru_cache(maxsize=LAYOUTS_MAX)
def _layout(owners: tuple[tuple[UUID, tuple[tuple[int, MeterId], ...]], ...]) -> Layout:
    """Lay out the meters of owners; the same for all subscriptions that have the same ones."""
    feeds: dict[MeterId, list[tuple[UUID, int]]] = {}
    for owner, slots in owners:
        for slot, meter_id in slots:
            feeds.setdefault(meter_id, []).append((owner, slot))
    return Layout({owner: dict(slots) for owner, slots in owners}, feeds)


def _exchanged(old: Mapping[UUID, Row], new: Mapping[UUID, Row]) -> tuple[Iterable[Row], Iterable[Row]]:
    """Return which of an owner's rows are taken from its sums for new ones, and which are added to them."""
    if WHOLE in new:
        # What it was over all combinations is the row that is replaced, or the sum of those that stood alone.
        return ([old[WHOLE]] if WHOLE in old else old.values()), (new[WHOLE],)
    if WHOLE in old:
        return (), ()
    return [old[part] for part in new if part in old], new.values()


def _grown(
    before: MeterUsage, slot: int, leaving: Iterable[Row], coming: Iterable[Row], split: Sequence[Combination]
) -> MeterUsage:
    """Add to a meter what its old rows became by the new ones."""
    quantity, events = before.quantity, before.events
    for row in coming:
        quantity, events = EXACT.add(quantity, row.sums[slot]), events + row.events
    for row in leaving:
        quantity, events = EXACT.subtract(quantity, row.sums[slot]), events - row.events
    return MeterUsage(before.meter_id, quantity, events, split)


def _combinations(found: Iterable[tuple[Mapping[UUID, Row], int]]) -> Iterable[Combination]:
    """Split a meter by combination, from the rows of its owners and its slot in each; several sets are added up."""
    made: dict[tuple[tuple[str, str], ...], Combination] = {}
    for rows, slot in found:
        for row in rows.values():
            if row.part == WHOLE:
                continue
            named = _NAMED.decode(row.named) if row.named else {}
            key = tuple(named.items())
            more = Combination(named, row.sums[slot], row.events)
            made[key] = _sum(made[key], more) if key in made else more
    return made.values()


def _sum(before: Combination, more: Combination) -> Combination:
    return Combination(more.dimensions, EXACT.add(before.quantity, more.quantity), before.events + more.events)
