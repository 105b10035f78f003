"""Volume: the tier that holds the whole quantity prices all of it, so that more units may cost less.

{"tiers": [{"up_to": "100", "unit_amount": "2", "flat_amount": "10"}, {"up_to": null, "unit_amount": "1"}]}
"""

from collections.abc import Mapping
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO, Charge, Measured
from domain.plans.exact import exact
from domain.plans.models.tiers import check_tiers, holding, step_of


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse tiers that could leave units unbilled."""
    check_tiers(definition, "unit_amount", path)


def rate(definition: Mapping[str, Any], measured: Measured) -> Charge:
    """Price all units by one tier; only its flat amount is due."""
    billed = max(measured.quantity, ZERO)
    tier, lower = holding(definition["tiers"], billed)
    amount = billed * exact(tier["unit_amount"]) + exact(tier.get("flat_amount", "0"))
    derivation = {
        "model": "volume",
        "quantity": exact_text(measured.quantity),
        "tiers": [step_of(tier, "unit_amount", lower=lower, units=billed, amount=amount)],
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
