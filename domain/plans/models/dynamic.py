"""Dynamic: the cost kept on the events, times a multiplier. {"multiplier": "1.00"}."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import Charge
from domain.plans.exact import decimal_at, exact, only_keys

_ZERO = Fraction(0)


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse anything but a multiplier >= 0; 0 is an explicit price of nothing."""
    only_keys(definition, frozenset({"multiplier"}), path)
    decimal_at(definition, "multiplier", path)


def rate(definition: Mapping[str, Any], quantity: Fraction, cost: Fraction) -> Charge:
    """Charge the cost times the multiplier; the quantity is shown beside it."""
    amount = max(cost, _ZERO) * exact(definition["multiplier"])
    derivation = {
        "model": "dynamic",
        "quantity": exact_text(quantity),
        "cost": exact_text(cost),
        "multiplier": definition["multiplier"],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
