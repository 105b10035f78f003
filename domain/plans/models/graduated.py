"""Graduated: each tier prices the units that fall into it, and adds its flat amount once it is reached.

{"tiers": [{"up_to": "100", "unit_amount": "0.05", "flat_amount": "2"}, {"up_to": null, "unit_amount": "0.03"}]}.
An upper bound belongs to its tier. The first tier is reached at zero units already.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import Charge
from domain.plans.exact import DefinitionRefused, decimal_at, exact, only_keys

TIERS_MAX = 100
_ZERO = Fraction(0)
_TIER_KEYS = frozenset({"up_to", "unit_amount", "flat_amount"})


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse tiers that are not sorted, or whose last one is not open: units above it would go unbilled."""
    only_keys(definition, frozenset({"tiers"}), path)
    tiers, where = definition.get("tiers"), f"{path}.tiers"
    if not isinstance(tiers, list) or not 1 <= len(tiers) <= TIERS_MAX:
        raise DefinitionRefused(where, f"is not a list of 1 to {TIERS_MAX} tiers")
    bounds = [_check_tier(tier, f"{where}[{index}]") for index, tier in enumerate(tiers)]
    if bounds[-1] is not None:
        raise DefinitionRefused(f"{where}[{len(bounds) - 1}].up_to", "is not null: the last tier has no upper bound")
    for index, (bound, following) in enumerate(pairwise(bounds)):
        if bound is None:
            raise DefinitionRefused(f"{where}[{index}].up_to", "is null before the last tier")
        if following is not None and following <= bound:
            raise DefinitionRefused(f"{where}[{index + 1}].up_to", "is not above the bound of the tier before")


def _check_tier(tier: Any, path: str) -> Decimal | None:
    if not isinstance(tier, dict):
        raise DefinitionRefused(path, "is not a tier")
    only_keys(tier, _TIER_KEYS, path)
    decimal_at(tier, "unit_amount", path)
    if "flat_amount" in tier:
        decimal_at(tier, "flat_amount", path)
    if "up_to" in tier and tier["up_to"] is None:
        return None
    bound = decimal_at(tier, "up_to", path)
    if bound == 0:
        raise DefinitionRefused(f"{path}.up_to", "is 0: the tier would hold no unit")
    return bound


def rate(definition: Mapping[str, Any], quantity: Fraction, _cost: Fraction) -> Charge:
    """Walk the tiers that the quantity reaches."""
    billed = max(quantity, _ZERO)
    lower, amount, walked = _ZERO, _ZERO, []
    for index, tier in enumerate(definition["tiers"]):
        if index and billed <= lower:
            break
        upper = None if tier["up_to"] is None else exact(tier["up_to"])
        units = (billed if upper is None else min(billed, upper)) - lower
        flat_amount = tier.get("flat_amount", "0")
        part = units * exact(tier["unit_amount"]) + exact(flat_amount)
        walked.append(
            {
                "above": exact_text(lower),
                "up_to": tier["up_to"] or "open",
                "units": exact_text(units),
                "unit_amount": tier["unit_amount"],
                "flat_amount": flat_amount,
                "amount": exact_text(part),
            }
        )
        amount += part
        if upper is not None:
            lower = upper
    derivation = {
        "model": "graduated",
        "quantity": exact_text(quantity),
        "tiers": walked,
        "subtotal": exact_text(amount),
    }
    return Charge(amount, derivation)
