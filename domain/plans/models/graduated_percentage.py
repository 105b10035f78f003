"""Graduated percentage: each tier takes its rate on the units, an amount of money, that fall into it.

{"tiers": [{"up_to": "1000", "rate_percent": "2.9", "flat_amount": "1"}, {"up_to": null, "rate_percent": "2.5"}]}
"""

from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import percent
from domain.plans.models.tiers import check_tiers, walk


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse tiers that could leave units unbilled."""
    check_tiers(definition, "rate_percent", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Walk the tiers that the quantity reaches."""
    amount, walked = walk(definition["tiers"], max(measured.quantity, ZERO), "rate_percent", percent)
    derivation = {
        "model": "graduated_percentage",
        "quantity": exact_text(measured.quantity),
        "tiers": walked,
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
