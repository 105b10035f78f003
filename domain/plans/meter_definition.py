"""A meter as an operator writes it, and what is refused before it is published."""

import re
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from domain.plans.exact import DefinitionRefused, decimal_at
from domain.plans.meter import DIMENSION_COMBINATIONS_MAX, DIMENSIONS_MAX, Aggregation, WhenMissing

TEXT_LENGTH_MAX = 100
PROPERTY_LENGTH_MAX = 64
VALUE_PROPERTIES_MAX = 32
FILTER_VALUES_MAX = 100
# The type of the events that void an earlier one: no meter counts it.
VOID = "void"
# What a limit can hold back: any other kind may fall without anything being given back, or needs all of its events.
LIMITED = frozenset({"count", "sum", "max", "unique_count", "cost", "level"})

_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WITHOUT_VALUE = frozenset({"count", "cost"})
_WITH_OPERATION = frozenset({"level", "weighted_sum", "unique_count"})


class MeterDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `domain.plans.meter.Meter`; `percent` is a decimal as text."""

    key: str
    name: str
    event_type: str
    aggregation: Aggregation
    unit: str
    value_properties: tuple[str, ...] = ()
    when_missing: WhenMissing = "refuse"
    dimensions: tuple[str, ...] = ()
    event_filter: dict[str, str | list[str]] | None = None
    dimension_combinations_max: int = DIMENSION_COMBINATIONS_MAX
    operation_property: str | None = None
    percent: str | None = None
    carries_over: bool = False
    by_days: bool = False


def check_meter(meter: MeterDefinition, path: str) -> None:
    """Refuse a meter that could not be counted as written. Raises DefinitionRefused with the path to the fault."""
    for name in ("name", "event_type", "unit"):
        check_text(getattr(meter, name), TEXT_LENGTH_MAX, f"{path}.{name}")
    if meter.event_type == VOID:
        raise DefinitionRefused(f"{path}.event_type", "is taken: events of the type void void an earlier one")
    _check_values(meter, path)
    _check_dimensions(meter, path)
    _check_filter(meter, path)
    _check_kind(meter, path)


def check_key(key: str, path: str) -> None:
    """Refuse what is no key. Raises DefinitionRefused."""
    if not _KEY.fullmatch(key):
        raise DefinitionRefused(path, "is not a key: 1 to 63 lower-case letters, digits and _, a letter first")


def check_unique(values: Iterable[str], path: str, name: str = "") -> None:
    """Refuse a value that is there twice. Raises DefinitionRefused with the path to the second."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise DefinitionRefused(f"{path}[{index}]{'.' if name else ''}{name}", f"is there twice: {value}")
        seen.add(value)


def check_text(text: str, length_max: int, path: str) -> None:
    """Refuse a text that is empty, too long or cannot be stored. Raises DefinitionRefused."""
    if not 0 < len(text) <= length_max or "\0" in text:
        raise DefinitionRefused(path, f"is not text of 1 to {length_max} characters")


def _check_values(meter: MeterDefinition, path: str) -> None:
    takes_value = meter.aggregation not in _WITHOUT_VALUE
    if takes_value != bool(meter.value_properties):
        needs = "needs a value property" if takes_value else "takes no value property"
        raise DefinitionRefused(f"{path}.value_properties", f"does not fit: {meter.aggregation} {needs}")
    if len(meter.value_properties) > (1 if meter.aggregation == "unique_count" else VALUE_PROPERTIES_MAX):
        raise DefinitionRefused(f"{path}.value_properties", f"has too many entries for {meter.aggregation}")
    if meter.aggregation == "unique_count" and meter.when_missing == "one":
        raise DefinitionRefused(f"{path}.when_missing", "does not fit: a key that is missing is not counted as one")
    check_unique(meter.value_properties, f"{path}.value_properties")
    for index, name in enumerate(meter.value_properties):
        check_text(name, PROPERTY_LENGTH_MAX, f"{path}.value_properties[{index}]")


def _check_dimensions(meter: MeterDefinition, path: str) -> None:
    if len(meter.dimensions) > DIMENSIONS_MAX:
        raise DefinitionRefused(f"{path}.dimensions", f"has more than {DIMENSIONS_MAX} dimensions")
    if not 1 <= meter.dimension_combinations_max <= DIMENSION_COMBINATIONS_MAX:
        raise DefinitionRefused(
            f"{path}.dimension_combinations_max", f"is not between 1 and {DIMENSION_COMBINATIONS_MAX}"
        )
    check_unique(meter.dimensions, f"{path}.dimensions")
    for index, name in enumerate(meter.dimensions):
        check_text(name, PROPERTY_LENGTH_MAX, f"{path}.dimensions[{index}]")


def _check_filter(meter: MeterDefinition, path: str) -> None:
    for name, wanted in (meter.event_filter or {}).items():
        check_text(name, PROPERTY_LENGTH_MAX, f"{path}.event_filter.{name}")
        if isinstance(wanted, list) and not 0 < len(wanted) <= FILTER_VALUES_MAX:
            raise DefinitionRefused(f"{path}.event_filter.{name}", f"does not have 1 to {FILTER_VALUES_MAX} values")


def _check_kind(meter: MeterDefinition, path: str) -> None:
    """Refuse what the kind of meter has no use for, or lacks."""
    if meter.operation_property is not None:
        if meter.aggregation not in _WITH_OPERATION:
            raise DefinitionRefused(
                f"{path}.operation_property",
                f"does not fit: {meter.aggregation} is counted anew in each period and takes no add, remove or set",
            )
        check_text(meter.operation_property, PROPERTY_LENGTH_MAX, f"{path}.operation_property")
        if meter.operation_property in (*meter.value_properties, *meter.dimensions):
            raise DefinitionRefused(f"{path}.operation_property", "is a value or a dimension of the meter already")
    if meter.carries_over and meter.aggregation != "unique_count":
        raise DefinitionRefused(
            f"{path}.carries_over", "does not fit: levels always carry over, counters never, only keys may do either"
        )
    if meter.by_days and not (meter.aggregation == "level" or meter.carries_over):
        raise DefinitionRefused(f"{path}.by_days", "does not fit: only levels and keys that carry over stand for days")
    _check_percent(meter, path)


def _check_percent(meter: MeterDefinition, path: str) -> None:
    if (meter.percent is not None) != (meter.aggregation == "percentile"):
        raise DefinitionRefused(f"{path}.percent", "does not fit: a percentile has a rank, any other kind has none")
    if meter.percent is not None and not 0 < decimal_at({"percent": meter.percent}, "percent", path) <= Decimal(100):
        raise DefinitionRefused(f"{path}.percent", "is not above 0 and up to 100")
