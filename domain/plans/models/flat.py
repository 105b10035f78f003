"""Flat: the same amount whatever the quantity. {"amount": "29.00"}."""

from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import Charge, Measured
from domain.plans.exact import decimal_at, exact, only_keys


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse anything but an amount >= 0."""
    only_keys(definition, frozenset({"amount"}), path)
    decimal_at(definition, "amount", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Charge the amount once, also for nothing."""
    amount = exact(definition["amount"])
    derivation = {
        "model": "flat",
        "quantity": exact_text(measured.quantity),
        "amount": definition["amount"],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
