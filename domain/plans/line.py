"""The order inside a line: convert the units, take off the included ones, rate, discount, maximum, minimum.

A definition may carry these parts beside those of its charge model:

{"conversion": {"operation": "divide", "factor": "1000", "rounding": "up", "precision": 0}, "included_units": "100",
 "discount_percent": "10", "maximum": "500", "minimum": "20"}

Bills inside one period rate the total quantity each time, and what was billed before is taken off afterwards: so a
maximum counts it, and the minimum is topped up against it. Nothing is rounded here but converted units, where a
conversion says so.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from domain.kernel.money import exact_text, round_half_up
from domain.plans.charge import ONE, ZERO, Charge, Measured
from domain.plans.exact import DefinitionRefused, decimal_at, exact, only_keys, percent

PARTS = frozenset({"conversion", "included_units", "discount_percent", "maximum", "minimum"})
PRECISION_MAX = 18
_OPERATIONS = ("multiply", "divide")
_ROUNDINGS: Mapping[str, Callable[[Fraction], int]] = {"up": math.ceil, "down": math.floor, "nearest": round_half_up}
# What is granted or due for a whole period, and so for a share of it only in part.
_SHARED = ("included_units", "free_units", "free_events", "amount", "maximum", "minimum")
_SHARED_OF_TIER = ("up_to", "flat_amount")


def check(definition: Mapping[str, Any], path: str) -> None:
    """Refuse parts that could bill wrongly. Raises DefinitionRefused with the path to the fault."""
    for key in ("included_units", "discount_percent", "maximum", "minimum"):
        if key in definition:
            decimal_at(definition, key, path)
    if exact(definition.get("discount_percent", "0")) > 100:
        raise DefinitionRefused(f"{path}.discount_percent", "is above 100")
    if "maximum" in definition and exact(definition["maximum"]) < exact(definition.get("minimum", "0")):
        raise DefinitionRefused(f"{path}.maximum", "is below the minimum")
    if "conversion" in definition:
        _check_conversion(definition["conversion"], f"{path}.conversion")


def _check_conversion(conversion: Any, path: str) -> None:
    if not isinstance(conversion, dict):
        raise DefinitionRefused(path, "is not a conversion")
    only_keys(conversion, frozenset({"operation", "factor", "rounding", "precision"}), path)
    if conversion.get("operation") not in _OPERATIONS:
        raise DefinitionRefused(f"{path}.operation", f"is not one of {', '.join(_OPERATIONS)}")
    if decimal_at(conversion, "factor", path) == 0:
        raise DefinitionRefused(f"{path}.factor", "is 0")
    if conversion.get("rounding", "none") not in {"none", *_ROUNDINGS}:
        raise DefinitionRefused(f"{path}.rounding", f"is not one of none, {', '.join(_ROUNDINGS)}")
    precision = conversion.get("precision", 0)
    if not isinstance(precision, int) or isinstance(precision, bool) or not 0 <= precision <= PRECISION_MAX:
        raise DefinitionRefused(f"{path}.precision", f"is not a number of digits from 0 to {PRECISION_MAX}")


def rate_line(
    rate: Callable[[Mapping[str, Any], Measured], Charge],
    definition: Mapping[str, Any],
    measured: Measured,
    *,
    share: Fraction = ONE,
    final: bool = True,
) -> Charge:
    """Rate the total of a period, or of a share of it, by a charge model and the parts around it.

    The derivation holds every step that the definition asks for. `final` False leaves the minimum for later.
    """
    if share == ONE and PARTS.isdisjoint(definition):
        return rate(definition, measured)
    terms = definition if share == ONE else scale(definition, share)
    billed, before = _units(terms, measured)
    charge = rate(terms, billed)
    amount, after = _amount(terms, charge.amount, final=final)
    derivation = {**charge.derivation, "quantity": exact_text(measured.quantity), **before, **after}
    if share != ONE:
        derivation["share_of_period"] = exact_text(share)
    return Charge(amount, derivation)


def _units(terms: Mapping[str, Any], measured: Measured) -> tuple[Measured, dict[str, Any]]:
    """Convert what was measured and take off the included units."""
    steps: dict[str, Any] = {}
    if "conversion" in terms:
        measured = _converted(measured, terms["conversion"])
        given = {key: str(value) for key, value in terms["conversion"].items()}
        steps["conversion"] = {**given, "units": exact_text(measured.quantity)}
    if "included_units" in terms:
        left, used = take_included(measured.quantity, exact(terms["included_units"]))
        measured = replace(measured, quantity=left)
        steps |= {"included_units": terms["included_units"], "included_units_used": exact_text(used)}
    return measured, steps


def _converted(measured: Measured, conversion: Mapping[str, Any]) -> Measured:
    """Convert the total, and each combination or event for itself."""
    return replace(
        measured,
        quantity=convert(measured.quantity, conversion),
        combinations=tuple((values, convert(units, conversion)) for values, units in measured.combinations),
        events=tuple(convert(value, conversion) for value in measured.events),
    )


def _amount(terms: Mapping[str, Any], subtotal: Fraction, *, final: bool) -> tuple[Fraction, dict[str, Any]]:
    """Take the discount off what was rated, then hold the rest between maximum and minimum."""
    amount, steps = subtotal, dict[str, Any]()
    if "discount_percent" in terms:
        discount = amount * percent(terms["discount_percent"])
        amount -= discount
        steps["discount"] = {"percent": terms["discount_percent"], "amount": exact_text(discount)}
    if "maximum" in terms:
        above = above_maximum(amount, exact(terms["maximum"]))
        amount -= above
        steps["maximum"] = {"amount": terms["maximum"], "above": exact_text(above)}
    if "minimum" in terms:
        top_up = below_minimum(amount, exact(terms["minimum"])) if final else ZERO
        amount += top_up
        steps["minimum"] = {"amount": terms["minimum"], "top_up": exact_text(top_up)}
    if steps:
        steps["total"] = exact_text(amount)
    return amount, steps


def convert(units: Fraction, conversion: Mapping[str, Any]) -> Fraction:
    """Turn measured units into billed ones: multiply or divide, then round."""
    factor = exact(conversion["factor"])
    found = units * factor if conversion["operation"] == "multiply" else units / factor
    return round_units(found, conversion.get("rounding", "none"), conversion.get("precision", 0))


def round_units(units: Fraction, rounding: str, precision: int) -> Fraction:
    """Round units up, down, or to the nearest (halves away from zero) with so many digits; none leaves them exact."""
    if rounding == "none":
        return units
    scaled = 10**precision
    return Fraction(_ROUNDINGS[rounding](units * scaled), scaled)


def take_included(units: Fraction, included: Fraction) -> tuple[Fraction, Fraction]:
    """Return the units to rate, and how many of the included ones are used."""
    used = min(max(units, ZERO), included)
    return units - used, used


def above_maximum(amount: Fraction, maximum: Fraction) -> Fraction:
    """Return what of a period's amount lies above its maximum and is not billed."""
    return max(amount - maximum, ZERO)


def below_minimum(amount: Fraction, minimum: Fraction) -> Fraction:
    """Return what a period's amount lacks to its minimum. It is rounded once, with the line."""
    return max(minimum - amount, ZERO)


def scale(definition: Mapping[str, Any], share: Fraction) -> dict[str, Any]:
    """Return a definition for a share of the period.

    Included units, allowances, tier bounds, flat amounts, maximum and minimum become that share, unrounded; prices of
    a unit, of a package and of an event stay. The shares of a period add up to what it grants as a whole.
    """
    scaled = {**definition, **_scaled(definition, _SHARED, share)}
    if "tiers" in definition:
        scaled["tiers"] = [{**tier, **_scaled(tier, _SHARED_OF_TIER, share)} for tier in definition["tiers"]]
    return scaled


def _scaled(values: Mapping[str, Any], keys: tuple[str, ...], share: Fraction) -> dict[str, str]:
    return {key: exact_text(exact(values[key]) * share) for key in keys if values.get(key) is not None}
