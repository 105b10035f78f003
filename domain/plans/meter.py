"""Meters: which events one counts, by what value, and along which dimensions."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from domain.kernel.ids import MeterId, ProductId
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT, Quantity

DIMENSIONS_MAX = 5
DIMENSION_COMBINATIONS_MAX = 1_000
DIMENSION_LENGTH_MAX = 200
# What a column of type Quantity holds: 20 digits before the point, 18 after it.
QUANTITY_BOUND = 10**20
QUANTITY_DECIMALS = 18

Aggregation = Literal[
    "count",
    "sum",
    "max",
    "min",
    "average",
    "unique_count",
    "latest",
    "weighted_sum",
    "percentile",
    "cost",
    "level",
]
WhenMissing = Literal["refuse", "skip", "one"]
Operation = Literal["add", "remove", "set"]

# Kinds that are nothing but the sum of what each event adds.
_COUNTERS = frozenset({"count", "sum", "cost"})
_OPERATIONS: Mapping[Any, Operation] = {None: "add", "add": "add", "remove": "remove", "set": "set"}


@dataclass(frozen=True, slots=True)
class Meter:
    """A quantity of a product, kept per usage period, or carried over from one to the next.

    count adds 1 an event and cost the event's kept cost; unique_count counts the texts in its one value property; every
    other kind takes the event's `value_properties` added together, and only a level's may be negative. level and
    weighted_sum carry over, a unique_count where it `carries_over`; on these `operation_property` names the property
    that holds add (also where it is missing), remove, or set (not for keys); values are then not negative.
    `percent` is the rank of a percentile. `by_days`: a level or the keys are rated by their local days.

    `when_missing` says what an event means that has none of the value properties: it is refused as of the wrong type,
    it is not selected, or it counts as one. `event_filter` maps a property to the value, or the values, selected.
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
    operation_property: str | None = None
    percent: Decimal | None = None
    carries_over: bool = False
    by_days: bool = False

    @property
    def properties(self) -> frozenset[str]:
        """The event properties this meter reads; a property that no meter reads is not kept."""
        operation = (self.operation_property,) if self.operation_property else ()
        return frozenset((*self.value_properties, *self.dimensions, *(self.event_filter or ()), *operation))

    @property
    def is_level(self) -> bool:
        """Whether it measures something that stands, above or at zero, and is carried over to the next period."""
        return self.aggregation in {"level", "weighted_sum"}

    @property
    def carries(self) -> bool:
        """Whether a period starts from what stood at the end of the one before."""
        return self.is_level or self.carries_over

    @property
    def is_summed(self) -> bool:
        """Whether the quantities of its combinations add up to that of all, and those of segments to a period's."""
        return self.aggregation in {"count", "sum", "cost", "level", "weighted_sum"}

    @property
    def is_counter(self) -> bool:
        """Whether the sum of what each event adds is all that is measured, from 0 in each period."""
        return self.aggregation in _COUNTERS

    @property
    def is_plain(self) -> bool:
        """Whether totals are kept by addition alone; any other meter takes the slower path of a flush.

        A mean is a sum over a count.
        """
        plain_level = self.aggregation == "level" and self.operation_property is None and not self.by_days
        return self.is_counter or self.aggregation == "average" or plain_level


class Contribution(NamedTuple):
    """What one event adds to one meter, under the values of the meter's dimensions in their order.

    `key` is the text that a unique_count counts. The operation says what the quantity, or the key, is there for.
    """

    quantity: Decimal
    dimensions: tuple[str, ...]
    key: str = ""
    operation: Operation = "add"


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
    if not selects(meter, properties):
        return None
    if meter.operation_property is not None or meter.aggregation == "unique_count":
        return _operated(meter, properties)
    quantity = quantity_of(meter, properties, cost)
    if quantity is None or isinstance(quantity, WrongValue):
        return quantity
    values = dimensions_of(meter, properties)
    return values if isinstance(values, WrongValue) else Contribution(Decimal(quantity), values)


def selects(meter: Meter, properties: Mapping[str, Any]) -> bool:
    """Whether a meter's filter lets an event of its type through."""
    return not meter.event_filter or _selected(meter.event_filter, properties)


def quantity_of(meter: Meter, properties: Mapping[str, Any], cost: Decimal | None) -> Quantity | WrongValue | None:
    """Return the number that an event says to a meter; None where it says none, and the meter does not mind."""
    if meter.aggregation == "count":
        return 1
    if meter.aggregation == "cost":
        return cost
    signed = meter.is_level and meter.operation_property is None
    total: Quantity | None = None
    for name in meter.value_properties:
        if name in properties:
            value = _number(properties[name], signed=signed)
            if value is None:
                return WrongValue(meter.key, name, "is not a number that can be counted")
            if total is None:
                total = value
            else:
                total = total + value if type(total) is int and type(value) is int else EXACT.add(total, value)
    return _missing(meter) if total is None else total


def dimensions_of(meter: Meter, properties: Mapping[str, Any]) -> tuple[str, ...] | WrongValue:
    """Return the values of a meter's dimensions as texts, in their order."""
    values = []
    for name in meter.dimensions:
        value = _dimension(properties.get(name))
        if value is None:
            return WrongValue(meter.key, name, f"is not text of up to {DIMENSION_LENGTH_MAX} characters")
        values.append(value)
    return tuple(values)


def _operated(meter: Meter, properties: Mapping[str, Any]) -> Contribution | WrongValue | None:
    """Read what is added, removed or set: a value, or a key."""
    operation = _operation(meter, properties)
    if isinstance(operation, WrongValue):
        return operation
    is_key = meter.aggregation == "unique_count"
    found = _key(meter, properties) if is_key else quantity_of(meter, properties, None)
    if found is None or isinstance(found, WrongValue):
        return found
    values = dimensions_of(meter, properties)
    if isinstance(values, WrongValue):
        return values
    if isinstance(found, str):
        return Contribution(Decimal(1), values, found, operation)
    return Contribution(Decimal(found), values, "", operation)


def _selected(event_filter: Mapping[str, str | list[str]], properties: Mapping[str, Any]) -> bool:
    for name, wanted in event_filter.items():
        value = properties.get(name)
        if value not in wanted if isinstance(wanted, list) else value != wanted:
            return False
    return True


def _operation(meter: Meter, properties: Mapping[str, Any]) -> Operation | WrongValue:
    if meter.operation_property is None:
        return "add"
    sent = properties.get(meter.operation_property)
    operation = _OPERATIONS.get(sent) if sent is None or isinstance(sent, str) else None
    if operation is None or (operation == "set" and not meter.is_level):
        allowed = "add, remove or set" if meter.is_level else "add or remove"
        return WrongValue(meter.key, meter.operation_property, f"is not {allowed}")
    return operation


def _key(meter: Meter, properties: Mapping[str, Any]) -> str | WrongValue | None:
    """Read the text that is counted; a number or a flag is one too."""
    [name] = meter.value_properties
    key = _dimension(properties.get(name))
    if key:
        return key
    if key is None:
        return WrongValue(meter.key, name, f"is not text of up to {DIMENSION_LENGTH_MAX} characters")
    return None if meter.when_missing == "skip" else WrongValue(meter.key, name, "is missing")


def _missing(meter: Meter) -> Quantity | WrongValue | None:
    if meter.when_missing == "one":
        return 1
    if meter.when_missing == "skip":
        return None
    return WrongValue(meter.key, meter.value_properties[0], "is missing")


def _number(value: Any, *, signed: bool) -> Quantity | None:
    """Read an exact number; a flag is none, and what the database could not hold without rounding is none."""
    if type(value) is int:
        return value if abs(value) < QUANTITY_BOUND and (signed or value >= 0) else None
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    if (value < 0 and not signed) or abs(value) >= QUANTITY_BOUND:
        return None
    exponent = value.as_tuple().exponent
    return value if isinstance(exponent, int) and exponent >= -QUANTITY_DECIMALS else None


def _dimension(value: Any) -> str | None:
    """Write a dimension's value as text; one that is missing is the empty text."""
    if type(value) is str:
        return value if len(value) <= DIMENSION_LENGTH_MAX else None
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= DIMENSION_LENGTH_MAX else None
