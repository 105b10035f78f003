"""Percentage: a rate on the value of each event, with allowances, a fixed amount, a floor and a cap per event.

{"rate_percent": "2.9", "fixed_amount": "0.30", "free_events": "3", "free_units": "250",
 "min_per_event": "1.75", "max_per_event": "12"}; all but the rate are optional, and an allowance of 0 is none.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.plans.charge import ONE, ZERO, Charge, Measured
from domain.plans.exact import DefinitionRefused, decimal_at, exact, only_keys, percent

_OPTIONAL = ("fixed_amount", "free_events", "free_units", "min_per_event", "max_per_event")


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse anything but decimals >= 0, a part of a free event, and a floor above the cap."""
    only_keys(definition, frozenset({"rate_percent", *_OPTIONAL}), path)
    decimal_at(definition, "rate_percent", path)
    given = {key: decimal_at(definition, key, path) for key in _OPTIONAL if key in definition}
    if given.get("free_events", 0) % 1:
        raise DefinitionRefused(f"{path}.free_events", "is not a whole number")
    if "max_per_event" in given and given["max_per_event"] < given.get("min_per_event", 0):
        raise DefinitionRefused(f"{path}.max_per_event", "is below min_per_event")


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Charge each event in order of time; one that lies wholly inside the allowances costs nothing."""
    free_events, free_units = definition.get("free_events", "0"), definition.get("free_units", "0")
    parts = list(_outside(measured.events, exact(free_events), exact(free_units)))
    paid = [value for value, covered in parts if covered is not None]
    amount = sum((_charge(definition, value) for value in paid), ZERO)
    inside = [value if covered is None else covered for value, covered in parts]
    derivation = {
        "model": "percentage",
        "quantity": exact_text(measured.quantity),
        **{key: definition[key] for key in ("rate_percent", *_OPTIONAL) if key in definition},
        "counted_events": str(len(parts)),
        "paid_events": str(len(paid)),
        "free_units_used": exact_text(sum(inside, ZERO)),
        "paid_units": exact_text(sum(paid, ZERO)),
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)


@dataclass(slots=True)
class _Allowances:
    """What is left of both allowances. None: there is none of this kind. The one used up first ends both."""

    events: Fraction | None
    units: Fraction | None

    def take(self, value: Fraction) -> tuple[Fraction, bool]:
        """Return how much of an event's value is covered, and whether the event lies wholly inside."""
        left = [each for each in (self.events, self.units) if each is not None]
        if not left or min(left) <= 0:
            return ZERO, False
        # In a share of a period the last free event may be free in part only.
        part = ONE if self.events is None else min(self.events, ONE)
        covered = value * part if self.units is None else min(value * part, self.units)
        inside = part == ONE and covered == value
        self.events = None if self.events is None else self.events - part
        self.units = None if self.units is None else self.units - covered
        if not inside:
            self.events = self.units = ZERO
        return covered, inside


def _outside(
    values: Iterable[Fraction], free_events: Fraction, free_units: Fraction
) -> Iterable[tuple[Fraction, Fraction | None]]:
    """Yield for each event its value and None where it is free, else the part to pay for and the part covered."""
    allowances = _Allowances(free_events or None, free_units or None)
    for each in values:
        value = max(each, ZERO)
        covered, inside = allowances.take(value)
        yield (value, None) if inside else (value - covered, covered)


def _charge(definition: Mapping[str, Any], value: Fraction) -> Fraction:
    """Price the part of an event outside: the rate and the fixed amount, then the floor, then the cap."""
    amount = value * percent(definition["rate_percent"]) + exact(definition.get("fixed_amount", "0"))
    if "min_per_event" in definition:
        amount = max(amount, exact(definition["min_per_event"]))
    if "max_per_event" in definition:
        amount = min(amount, exact(definition["max_per_event"]))
    return amount
