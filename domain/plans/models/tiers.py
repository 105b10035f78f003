"""Tiers: ranges of a quantity, each with a price. An upper bound belongs to its tier, and the last tier is open."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from domain.kernel.money import exact_text
from domain.plans.charge import ZERO
from domain.plans.exact import DefinitionRefused, decimal_at, exact, only_keys

TIERS_MAX = 100


def check_tiers(definition: Mapping[str, Any], price_key: str, path: str) -> None:
    """Refuse tiers that are not sorted, or whose last one is not open: units above it would go unbilled."""
    only_keys(definition, frozenset({"tiers"}), path)
    tiers, where = definition.get("tiers"), f"{path}.tiers"
    if not isinstance(tiers, list) or not 1 <= len(tiers) <= TIERS_MAX:
        raise DefinitionRefused(where, f"is not a list of 1 to {TIERS_MAX} tiers")
    bounds = [_check_tier(tier, price_key, f"{where}[{index}]") for index, tier in enumerate(tiers)]
    if bounds[-1] is not None:
        raise DefinitionRefused(f"{where}[{len(bounds) - 1}].up_to", "is not null: the last tier has no upper bound")
    for index, (bound, following) in enumerate(pairwise(bounds)):
        if bound is None:
            raise DefinitionRefused(f"{where}[{index}].up_to", "is null before the last tier")
        if following is not None and following <= bound:
            raise DefinitionRefused(f"{where}[{index + 1}].up_to", "is not above the bound of the tier before")


def _check_tier(tier: Any, price_key: str, path: str) -> Decimal | None:
    if not isinstance(tier, dict):
        raise DefinitionRefused(path, "is not a tier")
    only_keys(tier, frozenset({"up_to", "flat_amount", price_key}), path)
    decimal_at(tier, price_key, path)
    if "flat_amount" in tier:
        decimal_at(tier, "flat_amount", path)
    if "up_to" in tier and tier["up_to"] is None:
        return None
    bound = decimal_at(tier, "up_to", path)
    if bound == 0:
        raise DefinitionRefused(f"{path}.up_to", "is 0: the tier would hold no unit")
    return bound


def walk(
    tiers: Sequence[Mapping[str, Any]], billed: Fraction, price_key: str, unit_price: Callable[[str], Fraction]
) -> tuple[Fraction, list[dict[str, str]]]:
    """Price the units that fall into each tier reached, and add its flat amount; the first is reached at 0 units.

    Returns the amount and what each tier gave.
    """
    lower, amount, walked = ZERO, ZERO, []
    for index, tier in enumerate(tiers):
        if index and billed <= lower:
            break
        upper = None if tier["up_to"] is None else exact(tier["up_to"])
        units = (billed if upper is None else min(billed, upper)) - lower
        part = units * unit_price(tier[price_key]) + exact(tier.get("flat_amount", "0"))
        walked.append(step_of(tier, price_key, lower=lower, units=units, amount=part))
        amount += part
        if upper is not None:
            lower = upper
    return amount, walked


def holding(tiers: Sequence[Mapping[str, Any]], billed: Fraction) -> tuple[Mapping[str, Any], Fraction]:
    """Return the one tier that holds a quantity, and the bound above which it begins."""
    lower = ZERO
    for tier in tiers[:-1]:
        upper = exact(tier["up_to"])
        if billed <= upper:
            return tier, lower
        lower = upper
    return tiers[-1], lower


def step_of(
    tier: Mapping[str, Any], price_key: str, *, lower: Fraction, units: Fraction, amount: Fraction
) -> dict[str, str]:
    """Say what a tier gave, for the derivation."""
    return {
        "above": exact_text(lower),
        "up_to": tier["up_to"] or "open",
        "units": exact_text(units),
        price_key: tier[price_key],
        "flat_amount": tier.get("flat_amount", "0"),
        "amount": exact_text(amount),
    }
