"""Graduated: each tier prices the units that fall into it, and adds its flat amount once it is reached.

{"tiers": [{"up_to": "100", "unit_amount": "0.05", "flat_amount": "2"}, {"up_to": null, "unit_amount": "0.03"}]}
"""

from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import exact
from domain.plans.models.tiers import check_tiers, walk


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse tiers that could leave units unbilled."""
    check_tiers(definition, "unit_amount", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Walk the tiers that the quantity reaches."""
    amount, walked = walk(definition["tiers"], max(measured.quantity, ZERO), "unit_amount", exact)
    derivation = {
        "model": "graduated",
        "quantity": exact_text(measured.quantity),
        "tiers": walked,
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
