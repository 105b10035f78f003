"""Which counters an event feeds, and what it adds to each of them: one row for all of them.

Counters of one type of event with the same dimensions are counted together. Those that an event feeds are a set, named
by a digest of their ids; a set of up to SLOTS counters shares the rows of its totals, its events and their digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from domain.plans.exact import EXACT, Quantity
from domain.plans.meter import Meter, Reader, WrongValue, dimensions_of, reader_of
from domain.usage.combination import Combination, combination_of

# Columns for sums in the tables of counters.
SLOTS = 8
_SETS_MAX = 65_536


class MeterSet(NamedTuple):
    """Meters that count the same events."""

    id: bytes
    meters: tuple[Meter, ...]


class Pack(NamedTuple):
    """What an event adds to the counters of a set, in their order, under one combination of their dimensions."""

    counters: MeterSet
    combination: Combination
    quantities: tuple[Quantity, ...]


class Group(NamedTuple):
    """Counters of one type of event with the same dimensions, and what reads the number for each of them."""

    dimensions: tuple[str, ...]
    whole: MeterSet
    readers: tuple[Reader, ...]


@dataclass(slots=True)
class PackSum:
    """What events add to one row; `digest` is not reduced yet."""

    quantities: Sequence[Quantity]
    events: int = 0
    digest: int = 0

    def add(self, quantities: Sequence[Quantity], events: int, digest: int) -> None:
        """Count more."""
        self.quantities = [plus(*each) for each in zip(self.quantities, quantities, strict=True)]
        self.events += events
        self.digest += digest


@dataclass(frozen=True, slots=True)
class Packs:
    """Sums by the keys of rows: customer, segment, set, combination and hour, 72 bytes. `sets` are those in use."""

    sums: dict[bytes, PackSum] = field(default_factory=dict)
    sets: dict[bytes, MeterSet] = field(default_factory=dict)


def groups_of(meters: Iterable[Meter]) -> tuple[Group, ...]:
    """Arrange the counters among meters of one type of event; all others are left out."""
    by_dimensions: dict[tuple[str, ...], list[Meter]] = {}
    for meter in meters:
        if meter.is_counter:
            by_dimensions.setdefault(meter.dimensions, []).append(meter)
    return tuple(
        Group(dimensions, set_of(own), tuple(reader_of(meter) for meter in own))
        for dimensions, own in by_dimensions.items()
    )


def set_of(meters: Sequence[Meter]) -> MeterSet:
    """Name a set of meters; their order is part of it."""
    return MeterSet(_set_id(tuple(meter.id.bytes for meter in meters)), tuple(meters))


def packs_of(group: Group, properties: Mapping[str, Any], cost: Decimal | None) -> tuple[Pack, ...] | WrongValue:
    """Return what an event adds to the counters of a group; nothing where none of them counts it."""
    meters: list[Meter] = []
    quantities: list[Quantity] = []
    for meter, read in zip(group.whole.meters, group.readers, strict=True):
        quantity = read(properties, cost)
        if isinstance(quantity, WrongValue):
            return quantity
        if quantity is not None:
            meters.append(meter)
            quantities.append(quantity)
    if not meters:
        return ()
    values = dimensions_of(meters[0], properties)
    if isinstance(values, WrongValue):
        return values
    if len(meters) == len(group.whole.meters) <= SLOTS:
        combination = combination_of(group.whole.id, group.dimensions, values)
        return (Pack(group.whole, combination, tuple(quantities)),)
    return _split(meters, values, quantities)


def packed(counts: Iterable[tuple[Meter, tuple[str, ...], Quantity]]) -> tuple[Pack, ...]:
    """Arrange what a stored event added to counters, each under its values, in the order in which they counted it.

    It comes to the packs that `packs_of` made when the event came in, whatever meters there are by now.
    """
    by_dimensions: dict[tuple[str, ...], list[tuple[Meter, tuple[str, ...], Quantity]]] = {}
    for each in counts:
        by_dimensions.setdefault(each[0].dimensions, []).append(each)
    return tuple(
        pack
        for own in by_dimensions.values()
        for pack in _split([meter for meter, _, _ in own], own[0][1], [quantity for _, _, quantity in own])
    )


def _split(meters: Sequence[Meter], values: tuple[str, ...], quantities: Sequence[Quantity]) -> tuple[Pack, ...]:
    """Put up to SLOTS counters into each pack, in their order."""
    found = []
    for start in range(0, len(meters), SLOTS):
        counters = set_of(meters[start : start + SLOTS])
        combination = combination_of(counters.id, meters[0].dimensions, values)
        found.append(Pack(counters, combination, tuple(quantities[start : start + SLOTS])))
    return tuple(found)


def add_pack(packs: Packs, place: bytes, hour: bytes, pack: Pack, digest: int) -> None:
    """Count an event in the row of a pack. `place` is the customer's and the segment's id."""
    key = place + pack.combination.key + hour
    found = packs.sums.get(key)
    if found is None:
        packs.sums[key] = PackSum(pack.quantities, 1, digest)
        packs.sets[pack.counters.id] = pack.counters
    else:
        found.add(pack.quantities, 1, digest)


def take_pack(packs: Packs, place: bytes, hour: bytes, pack: Pack, digest: int) -> None:
    """Take an event back from the row of a pack."""
    key = place + pack.combination.key + hour
    packs.sets[pack.counters.id] = pack.counters
    less = [-each if type(each) is int else EXACT.minus(each) for each in pack.quantities]
    packs.sums.setdefault(key, PackSum([0] * len(less))).add(less, -1, -digest)


def plus(left: Quantity, right: Quantity) -> Quantity:
    """Add exactly; whole numbers stay int, which is the faster."""
    return left + right if type(left) is int and type(right) is int else EXACT.add(left, right)


@lru_cache(maxsize=_SETS_MAX)
def _set_id(ids: tuple[bytes, ...]) -> bytes:
    return blake2b(b"".join(ids), digest_size=16).digest()
