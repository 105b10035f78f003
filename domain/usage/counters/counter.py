"""Which counters an event feeds, and what it adds to each of them: one row for all of them.

Counters of one type of event with the same dimensions are counted together. Those that an event feeds are a set, named
by a digest of their ids; a set of up to SLOTS counters shares the rows of its totals, its events and their digest.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import msgspec

from domain.kernel.values import dataclass
from domain.plans.exact import EXACT, Quantity
from domain.plans.meter import Meter, WrongValue, dimensions_of, quantity_of, selects
from domain.usage.combination import Combination, combination_of

# Columns for sums in the tables of counters.
SLOTS = 8
_K = TypeVar("_K")
_T = TypeVar("_T")
_SETS_MAX = 65_536
# Ways to name properties, and combinations, that a group remembers; what is full starts anew, since both come from
# outside.
FORMS_MAX = 256
COMBINATIONS_MAX = 4_096


class MeterSet(NamedTuple):
    """Meters that count the same events."""

    id: bytes
    meters: tuple[Meter, ...]


class Pack(msgspec.Struct, frozen=True, gc=False):
    """What an event adds to the counters of a set, in their order, under one combination of their dimensions."""

    counters: MeterSet
    combination: Combination
    quantities: tuple[Quantity, ...]


class Form(NamedTuple):
    """How a group reads events whose properties have certain names, where each value is a whole number of at least 0.

    `values` are the properties that hold numbers, `sums` the places among them that some counter adds together. With 1
    and the cost before the values, and the sums behind them, the numbers stand in a row: `places` says where each of
    the `counters` finds its own.
    """

    counters: MeterSet
    values: tuple[str, ...]
    sums: tuple[tuple[int, ...], ...]
    places: tuple[int, ...]
    needs_cost: bool


class Group(NamedTuple):
    """Counters of one type of event with the same dimensions.

    `forms` remembers how events are read by the names of their properties, None where each meter is to be asked, and
    `combinations` those of a set of meters by its id and the texts that were sent.
    """

    dimensions: tuple[str, ...]
    whole: MeterSet
    forms: dict[tuple[str, ...], Form | None]
    combinations: dict[tuple[Any, ...], Combination]


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
    return tuple(Group(dimensions, set_of(own), {}, {}) for dimensions, own in by_dimensions.items())


def set_of(meters: Sequence[Meter]) -> MeterSet:
    """Name a set of meters; their order is part of it."""
    return MeterSet(_set_id(tuple(meter.id.bytes for meter in meters)), tuple(meters))


def packs_of(group: Group, properties: Mapping[str, Any], cost: Decimal | None) -> tuple[Pack, ...] | WrongValue:
    """Return what an event adds to the counters of a group; nothing where none of them counts it."""
    names = tuple(properties)
    if names not in group.forms:
        _remember(group.forms, FORMS_MAX, names, _form_of(group, names))
    form = group.forms[names]
    pack = _read(group, form, properties, cost) if form is not None else None
    return _ask(group, properties, cost) if pack is None else (pack,)


def _form_of(group: Group, names: Collection[str]) -> Form | None:
    """Find out which counters events with these properties feed; None where the names alone do not say it."""
    fed: list[tuple[Meter, tuple[str, ...]]] = []
    for meter in group.whole.meters:
        present = tuple(name for name in meter.value_properties if name in names)
        is_missing = meter.aggregation == "sum" and not present
        if meter.event_filter or (is_missing and meter.when_missing != "skip"):
            return None
        if not is_missing:
            fed.append((meter, present))
    if not 0 < len(fed) <= SLOTS:
        return None
    values = tuple(dict.fromkeys(name for _, present in fed for name in present))
    sums = tuple(dict.fromkeys(present for _, present in fed if len(present) > 1))
    row: list[str | tuple[str, ...]] = ["count", "cost", *[(name,) for name in values], *sums]
    return Form(
        set_of([meter for meter, _ in fed]),
        values,
        tuple(tuple(values.index(name) for name in each) for each in sums),
        tuple(row.index(present or meter.aggregation) for meter, present in fed),
        any(meter.aggregation == "cost" for meter, _ in fed),
    )


def _read(group: Group, form: Form, properties: Mapping[str, Any], cost: Decimal | None) -> Pack | None:
    """Return what an event of a known form adds, or None where something about it is out of the ordinary."""
    values = [properties[name] for name in form.values]
    for value in values:
        if type(value) is not int or value < 0:
            return None
    sent = (form.counters.id, *[properties.get(name) for name in group.dimensions])
    combination = group.combinations.get(sent)
    if combination is None:
        combination = _combination_of(group, form, properties, sent)
    if combination is None or (cost is None and form.needs_cost):
        return None
    row = (1, cost, *values, *[sum([values[place] for place in each]) for each in form.sums])
    return Pack(form.counters, combination, tuple([row[place] for place in form.places]))


def _combination_of(
    group: Group, form: Form, properties: Mapping[str, Any], sent: tuple[Any, ...]
) -> Combination | None:
    """Name the combination of an event, and remember it where each value is the text that stands for it.

    Among texts alone nothing else is found by mistake: 1 and true are equal to each other, and to no text.
    """
    values = dimensions_of(group.whole.meters[0], properties)
    if values != sent[1:]:
        return None
    found = combination_of(form.counters.id, group.dimensions, values)
    _remember(group.combinations, COMBINATIONS_MAX, sent, found)
    return found


def _ask(group: Group, properties: Mapping[str, Any], cost: Decimal | None) -> tuple[Pack, ...] | WrongValue:
    """Ask each counter what an event adds to it."""
    meters: list[Meter] = []
    quantities: list[Quantity] = []
    for meter in group.whole.meters:
        quantity = quantity_of(meter, properties, cost) if selects(meter, properties) else None
        if isinstance(quantity, WrongValue):
            return quantity
        if quantity is not None:
            meters.append(meter)
            quantities.append(quantity)
    if not meters:
        return ()
    values = dimensions_of(meters[0], properties)
    return values if isinstance(values, WrongValue) else _split(meters, values, quantities)


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


def _remember(memory: dict[_K, _T], size_max: int, key: _K, value: _T) -> None:
    """Keep a value; a memory that is full starts anew."""
    if len(memory) >= size_max:
        memory.clear()
    memory[key] = value


@lru_cache(maxsize=_SETS_MAX)
def _set_id(ids: tuple[bytes, ...]) -> bytes:
    return blake2b(b"".join(ids), digest_size=16).digest()
