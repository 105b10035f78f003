"""Per unit: an amount for each unit. {"unit_amount": "0.0003"}."""

from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import decimal_at, exact, only_keys


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse anything but a unit amount >= 0."""
    only_keys(definition, frozenset({"unit_amount"}), path)
    decimal_at(definition, "unit_amount", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Charge every unit, and fractions of one."""
    billed = max(measured.quantity, ZERO)
    amount = billed * exact(definition["unit_amount"])
    derivation = {
        "model": "per_unit",
        "quantity": exact_text(measured.quantity),
        "billed_quantity": exact_text(billed),
        "unit_amount": definition["unit_amount"],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
