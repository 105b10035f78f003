"""Dynamic: the cost kept on the events, times a multiplier. {"multiplier": "1.00"}."""

from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import decimal_at, exact, only_keys


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse anything but a multiplier >= 0; 0 is an explicit price of nothing."""
    only_keys(definition, frozenset({"multiplier"}), path)
    decimal_at(definition, "multiplier", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Charge the cost times the multiplier; the quantity is shown beside it."""
    amount = max(measured.cost, ZERO) * exact(definition["multiplier"])
    derivation = {
        "model": "dynamic",
        "quantity": exact_text(measured.quantity),
        "cost": exact_text(measured.cost),
        "multiplier": definition["multiplier"],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
