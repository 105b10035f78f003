"""Meters: which events one counts, by what value, and along which dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from domain.kernel.ids import MeterId, ProductId
from domain.plans.exact import EXACT

DIMENSIONS_MAX = 5
DIMENSION_COMBINATIONS_MAX = 1_000
DIMENSION_LENGTH_MAX = 200
# What a column of type Quantity holds: 20 digits before the point, 18 after it.
QUANTITY_BOUND = Decimal(10) ** 20
QUANTITY_DECIMALS = 18

Aggregation = Literal["count", "sum", "cost", "level"]
WhenMissing = Literal["refuse", "skip", "one"]


@dataclass(frozen=True, slots=True)
class Meter:
    """A quantity of a product that is kept per usage period (count, sum, cost) or carried over (level).

    count adds 1 an event; sum and level add the event's `value_properties` together, a level's may be negative; cost
    adds the kept cost of the event. `when_missing` says what an event means that has none of the value properties:
    it is refused as of the wrong type, it is not selected, or it counts as one. `event_filter` maps a property to the
    value, or the values, that are selected.
    """

    id: MeterId
    product_id: ProductId
    key: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_properties: tuple[str, ...]
    when_missing: WhenMissing
    dimensions: tuple[str, ...]
    event_filter: Mapping[str, str | list[str]] | None
    unit: str
    dimension_combinations_max: int = DIMENSION_COMBINATIONS_MAX

    @property
    def properties(self) -> frozenset[str]:
        """The event properties this meter reads; a property that no meter reads is not kept."""
        return frozenset((*self.value_properties, *self.dimensions, *(self.event_filter or ())))


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one event adds to one meter, under the values of the meter's dimensions in their order."""

    quantity: Decimal
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrongValue:
    """The event has a property that this meter cannot read: the event goes to quarantine."""

    meter: str
    property: str
    reason: str


def contribution(meter: Meter, properties: Mapping[str, Any], cost: Decimal | None) -> Contribution | WrongValue | None:
    """Return what an event adds to a meter, or None where the meter does not select it.

    `properties` are those of an event of the meter's type, with provider and model normalised. `cost` is None where
    the event has no price yet: it then feeds the meters that are not about cost.
    """
    if meter.event_filter and not _selected(meter.event_filter, properties):
        return None
    quantity = _quantity(meter, properties, cost)
    if quantity is None or isinstance(quantity, WrongValue):
        return quantity
    values = []
    for name in meter.dimensions:
        value = _dimension(properties.get(name))
        if value is None:
            return WrongValue(meter.key, name, f"is not text of up to {DIMENSION_LENGTH_MAX} characters")
        values.append(value)
    return Contribution(quantity, tuple(values))


def _selected(event_filter: Mapping[str, str | list[str]], properties: Mapping[str, Any]) -> bool:
    for name, wanted in event_filter.items():
        value = properties.get(name)
        if value not in wanted if isinstance(wanted, list) else value != wanted:
            return False
    return True


def _quantity(meter: Meter, properties: Mapping[str, Any], cost: Decimal | None) -> Decimal | WrongValue | None:
    if meter.aggregation == "count":
        return Decimal(1)
    if meter.aggregation == "cost":
        return cost
    total: Decimal | None = None
    for name in meter.value_properties:
        if name in properties:
            value = _number(properties[name], signed=meter.aggregation == "level")
            if value is None:
                return WrongValue(meter.key, name, "is not a number that can be counted")
            total = value if total is None else EXACT.add(total, value)
    return _missing(meter) if total is None else total


def _missing(meter: Meter) -> Decimal | WrongValue | None:
    if meter.when_missing == "one":
        return Decimal(1)
    if meter.when_missing == "skip":
        return None
    return WrongValue(meter.key, meter.value_properties[0], "is missing")


def _number(value: Any, *, signed: bool) -> Decimal | None:
    """Read an exact number; a flag is none, and what the database could not hold without rounding is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite() or (number < 0 and not signed) or abs(number) >= QUANTITY_BOUND:
        return None
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent >= -QUANTITY_DECIMALS else None


def _dimension(value: Any) -> str | None:
    """Write a dimension's value as text; one that is missing is the empty text."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= DIMENSION_LENGTH_MAX else None
