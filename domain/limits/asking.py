"""What an event would ask of limits: the quantities that meters would count, by the functions that count them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

import msgspec

from domain.kernel.ids import MeterId
from domain.plans.exact import Quantity
from domain.plans.provider_price import POOL_OF_PROPERTY
from domain.usage.combination import Combination
from domain.usage.event import Scalar
from domain.usage.facts import TypeRules
from domain.usage.resolve import Count, Counted, Row

_NOTHING = Fraction(0)


class Addition(msgspec.Struct, frozen=True, gc=False):
    """What an event would add to a meter under the values of its dimensions. `sets`: to what it would set a level."""

    meter_id: MeterId
    combination: Combination
    quantity: Quantity
    sets: bool = False


class Estimate(msgspec.Struct, frozen=True, gc=False):
    """An event that is not yet one: what it would count on each meter. `priceless`: money cannot be said or bounded.

    `cost` is what it would come to at list prices, in their currency; None where it has no price. Estimates of the same
    `form` add to the same meters under the same dimensions, in the same order.
    """

    event_type: str
    additions: tuple[Addition, ...]
    form: tuple[bytes, ...]
    priceless: bool
    cost: Decimal | None = None


def estimate_of(row: Row) -> Estimate:
    """Return what a resolved event would count."""
    counted = Counted(row.packs, row.counts, row.slow, row.cost, row.price_ids, row.unpriced)
    event_type = row.envelope.event.type
    return estimated(event_type, row.envelope.properties, row.request.rules.types[event_type], counted)


def estimated(event_type: str, properties: Mapping[str, Scalar], rules: TypeRules, counted: Counted) -> Estimate:
    """Return what an event would count by what it adds to meters.

    A priced event without any quantity is not bounded: nobody knows what the call may come to.
    """
    unbounded = rules.is_priced and not counted.cost and properties.keys().isdisjoint(POOL_OF_PROPERTY)
    additions = [
        Addition(meter.id, pack.combination, quantity)
        for pack in counted.packs
        for meter, quantity in zip(pack.counters.meters, pack.quantities, strict=True)
    ]
    form = [pack.combination.key for pack in counted.packs]
    for count in (*counted.counts, *counted.slow):
        form.append(count.combination.key)
        additions.append(addition_of(count))
    return Estimate(event_type, tuple(additions), tuple(form), counted.unpriced or unbounded, counted.cost)


def addition_of(count: Count) -> Addition:
    """Say what a meter that is no counter would count; those that do not add up are only looked at."""
    aggregation, operation = count.meter.aggregation, count.operation
    if aggregation == "level" and operation != "remove":
        return Addition(count.meter.id, count.combination, count.quantity, operation == "set")
    return Addition(count.meter.id, count.combination, 1 if (aggregation, operation) == ("unique_count", "add") else 0)


def is_among(wanted: Mapping[str, str] | None, combination: Combination) -> bool:
    """Whether the values of dimensions are those that a limit looks at; None: it looks at all of them."""
    return not wanted or wanted.items() <= dict(zip(combination.names, combination.values, strict=True)).items()


def asked_of(additions: Iterable[Addition], *, used: Fraction) -> Fraction:
    """Return how much more of a limit an event asks for by what it adds to the limit's meter.

    What it gives back needs no permission. Setting a level asks for what lies above the level as it stands.
    """
    found = _NOTHING
    for each in additions:
        more = _exact(each.quantity)
        if each.sets:
            more -= used
        if more > 0:
            found = found + more if found else more
    return found


def _exact(quantity: Quantity) -> Fraction:
    """Make a fraction of a number; of a Decimal by its terms, for which Fraction itself takes twice as long."""
    return Fraction(quantity) if type(quantity) is int else Fraction(*quantity.as_integer_ratio())
