"""Per unit: an amount for each unit after the included ones. {"unit_amount": "0.0003", "included_units": "100"}."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import Charge
from domain.plans.exact import decimal_at, exact, only_keys

_ZERO = Fraction(0)


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse anything but a unit amount >= 0 and, optionally, included units >= 0."""
    only_keys(definition, frozenset({"unit_amount", "included_units"}), path)
    decimal_at(definition, "unit_amount", path)
    if "included_units" in definition:
        decimal_at(definition, "included_units", path)


def rate(definition: Mapping[str, Any], quantity: Fraction, _cost: Fraction) -> Charge:
    """Charge every unit, and fractions of one, above the included ones."""
    included = definition.get("included_units", "0")
    billed = max(quantity - exact(included), _ZERO)
    amount = billed * exact(definition["unit_amount"])
    derivation = {
        "model": "per_unit",
        "quantity": exact_text(quantity),
        "included_units": included,
        "billed_quantity": exact_text(billed),
        "unit_amount": definition["unit_amount"],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
