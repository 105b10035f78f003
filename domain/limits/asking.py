"""What an event would ask of limits: the quantities that meters would count, by the functions that count them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from domain.kernel.ids import MeterId
from domain.plans.exact import EXACT
from domain.plans.provider_price import POOL_OF_PROPERTY
from domain.usage.combination import Combination
from domain.usage.resolve import Count, Row

_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Addition:
    """What an event would add to a meter under the values of its dimensions. `sets`: to what it would set a level."""

    meter_id: MeterId
    dimensions: Mapping[str, str]
    quantity: Decimal
    sets: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """An event that is not yet one: what it would count on each meter. `priceless`: money cannot be said or bounded."""

    event_type: str
    additions: Mapping[MeterId, tuple[Addition, ...]]
    priceless: bool


def estimate_of(row: Row) -> Estimate:
    """Return what a resolved event would count.

    A priced event without any quantity is not bounded: nobody knows what the call may come to.
    """
    properties = row.envelope.properties
    types = row.request.rules.types[row.envelope.event.type]
    unbounded = types.is_priced and not row.cost and properties.keys().isdisjoint(POOL_OF_PROPERTY)
    found: dict[MeterId, tuple[Addition, ...]] = {}
    for each in _additions(row):
        found[each.meter_id] = (*found.get(each.meter_id, ()), each)
    return Estimate(row.envelope.event.type, found, row.unpriced or unbounded)


def asked_of(additions: Iterable[Addition], wanted: Mapping[str, str] | None, *, used: Fraction) -> Fraction | None:
    """Return how much more of a limit an event asks for by what it adds to the limit's meter; None where nothing.

    What it gives back needs no permission. Setting a level asks for what lies above the level as it stands.
    """
    found: Fraction | None = None
    for each in additions:
        if wanted and not wanted.items() <= each.dimensions.items():
            continue
        quantity = Fraction(each.quantity)
        more = max(quantity - used if each.sets else quantity, _NOTHING)
        found = more if found is None else found + more
    return found


def _additions(row: Row) -> Iterator[Addition]:
    for pack in row.packs:
        dimensions = _named(pack.combination)
        for meter, quantity in zip(pack.counters.meters, pack.quantities, strict=True):
            yield Addition(meter.id, dimensions, EXACT.create_decimal(quantity))
    for count in (*row.counts, *row.slow):
        yield addition_of(count)


def addition_of(count: Count) -> Addition:
    """Say what a meter that is no counter would count; those that do not add up are only looked at."""
    dimensions, nothing = _named(count.combination), Decimal(0)
    if count.meter.aggregation == "level" and count.operation != "remove":
        return Addition(count.meter.id, dimensions, count.quantity, count.operation == "set")
    if count.meter.aggregation == "unique_count" and count.operation == "add":
        return Addition(count.meter.id, dimensions, Decimal(1))
    return Addition(count.meter.id, dimensions, nothing)


def _named(combination: Combination) -> Mapping[str, str]:
    return dict(zip(combination.names, combination.values, strict=True))
