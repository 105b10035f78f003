"""Charge models and the order inside a line: `domain/plans/price.py` and `domain/plans/line.py`."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from api.conformance.case import Area, Found, Given, NotBuilt, number
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.ids import MeterId, PlanVersionId, PriceId
from domain.kernel.money import round_half_up, to_minor
from domain.kernel.values import dataclass
from domain.plans.charge import Charge
from domain.plans.line import above_maximum, below_minimum, convert, take_included
from domain.plans.plan import Price, PriceKind, PriceModel
from domain.plans.price import check_definition, rate

# The cases name no currency, and all of them have two digits.
CURRENCY = "USD"
_NOBODY = UUID(int=0)
_ROUNDINGS = {"ceiling": "up", "floor": "down", "half_up": "nearest", "none": "none"}
_PARTS = {
    "minimum_spend": "minimum",
    "maximum_spend": "maximum",
    "percent_discount": "discount_percent",
    "discount_units": "included_units",
}
# Where one of these is given, the units were metered; else they are a quantity that is bought.
_METERED = ("previous_units", "already_rated_units", "raw_units", "minimum_spend", "maximum_spend", "period_final")


def price_of(model: PriceModel, definition: Mapping[str, Any], kind: PriceKind = "usage") -> Price:
    """Make a price as publishing would. Raises DefinitionRefused."""
    check_definition(model, definition, "$")
    return Price(
        id=PriceId(_NOBODY),
        plan_version_id=PlanVersionId(_NOBODY),
        key="price",
        kind=kind,
        currency=CURRENCY,
        interval="month" if kind == "fee" else None,
        meter_id=MeterId(_NOBODY) if kind == "usage" else None,
        model=model,
        definition=definition,
        description="",
    )


def _parts(given: Given) -> dict[str, Any]:
    """Translate what stands around the charge model."""
    found: dict[str, Any] = {ours: given[theirs] for theirs, ours in _PARTS.items() if given.get(theirs) is not None}
    if "unit_conversion" in given:
        found["conversion"] = _conversion(given["unit_conversion"])
    return found


def _conversion(given: Given) -> dict[str, Any]:
    return {
        "operation": given["operation"],
        "factor": given["factor"],
        "rounding": _ROUNDINGS[given["rounding"]],
        "precision": given["precision"],
    }


@dataclass(frozen=True, slots=True)
class _Bill:
    """One bill of a period: the total rated, and what of it was rated and billed before."""

    whole: Charge
    before: Charge | None
    billed: Fraction

    @property
    def amount(self) -> Fraction:
        return self.whole.amount - self.billed

    @property
    def above_maximum(self) -> Fraction:
        return _above(self.whole) - (_above(self.before) if self.before else 0)


def _above(charge: Charge) -> Fraction:
    return number(charge.derivation["maximum"]["above"]) if "maximum" in charge.derivation else Fraction(0)


def _bill(price: Price, given: Given) -> _Bill:
    units = number(given.get("raw_units", given.get("units", "0")))
    rated = number(given.get("already_rated_units", "0"))
    return _Bill(
        whole=rate(price, rated + units, final=given.get("period_final", True)),
        before=rate(price, rated, final=False) if rated else None,
        billed=number(given.get("already_billed", "0")),
    )


def _found(given: Given, amount: Fraction, charge: Charge | None = None) -> dict[str, Any]:
    """Return the figures that cases of several models ask for."""
    amount_minor = to_minor(amount, CURRENCY)
    tax_minor = _tax(amount_minor, given.get("tax_rate_percent", "0"))
    found: dict[str, Any] = {
        "amount": amount,
        "amount_minor": amount_minor,
        "tax_minor": tax_minor,
        "total_minor": amount_minor + tax_minor,
        "tax20_total_minor": amount_minor + _tax(amount_minor, "20"),
    }
    if charge is not None:
        found["minimum_top_up"] = charge.derivation.get("minimum", {}).get("top_up", "0")
    return found


def _tax(net_minor: int, rate_percent: str) -> int:
    [tax] = taxes([TaxableLine(net_minor, Decimal(rate_percent))])
    return tax


def _metered(given: Given, model: PriceModel, definition: Mapping[str, Any]) -> Found:
    is_bought = model in {"graduated", "volume"} and not any(key in given for key in _METERED)
    price = price_of(model, {**definition, **_parts(given)}, "fee" if is_bought else "usage")
    bill = _bill(price, given)
    found = {**_found(given, bill.amount, bill.whole), "max_spend_discount": bill.above_maximum}
    if "tiers" in bill.whole.derivation:
        found["lines"] = [tier["amount"] for tier in bill.whole.derivation["tiers"]]
    if "previous_units" in given:
        previous = rate(price, number(given["previous_units"])).amount
        found |= {"delta": bill.whole.amount - previous, "previous_amount": previous}
    if "base_amount" in given:
        fee = rate(price_of("flat", {"amount": given["base_amount"]}, "fee"), Fraction(1))
        found["amount_with_base"] = fee.amount + bill.amount
    return found


def _standard(given: Given) -> Found:
    if "filters" in given:
        return _matrix(given)
    definition = {"unit_amount": given["unit_amount"]}
    if "groups" in given:
        price = price_of("per_unit", {**definition, **_parts(given)})
        groups = {name: rate(price, number(units)).amount for name, units in given["groups"].items()}
        return {**_found(given, sum(groups.values(), Fraction(0))), "groups": groups}
    return _metered(given, "per_unit", definition)


def _matrix(given: Given) -> Found:
    filters: Sequence[Given] = given["filters"]
    definition = {
        "cells": [{"when": each["when"], "unit_amount": each["unit_amount"]} for each in filters],
        "default_unit_amount": given["default_unit_amount"],
        **_parts(given),
    }
    combinations = [(each["when"], number(each["units"])) for each in filters]
    combinations.append(({}, number(given.get("default_units", "0"))))
    quantity = sum((units for _, units in combinations), Fraction(0))
    charge = rate(price_of("matrix", definition), quantity, combinations=combinations)
    parts = [to_minor(number(cell["amount"]), CURRENCY) for cell in charge.derivation["cells"]]
    return {**_found(given, charge.amount, charge), "parts_minor": parts[: len(filters)]}


def _tiered(model: PriceModel) -> Any:
    def run(given: Given) -> Found:
        if "tier_units" in given:
            raise NotBuilt("tiers chosen by another quantity than the billed one")
        return _metered(given, model, {"tiers": given["tiers"]})

    return run


def _package(given: Given) -> Found:
    keys = ("package_size", "package_amount", "free_units")
    return _metered(given, "package", {key: given[key] for key in keys if key in given})


def _percentage(given: Given) -> Found:
    keys = ("rate_percent", "fixed_amount", "free_events", "free_units", "min_per_event", "max_per_event")
    definition = {key: str(given[key]) for key in keys if given.get(key) is not None}
    events = [number(value) for value in given["events"]]
    charge = rate(price_of("percentage", definition), sum(events, Fraction(0)), events=events)
    counts = {key: charge.derivation[key] for key in ("free_units_used", "paid_events")}
    return {**_found(given, charge.amount), **counts}


def _dynamic(given: Given) -> Found:
    price = price_of("dynamic", {"multiplier": "1"})
    groups: dict[str, Fraction] = {}
    for event in given["events"]:
        name = str(event.get("group", ""))
        groups[name] = groups.get(name, Fraction(0)) + number(event["amount_minor"]) / 100
    units = sum((number(event.get("units", "0")) for event in given["events"]), Fraction(0))
    charge = rate(price, units, sum(groups.values(), Fraction(0)))
    in_minor = {name: to_minor(rate(price, Fraction(0), cost).amount, CURRENCY) for name, cost in groups.items()}
    return {**_found(given, charge.amount), "groups_minor": in_minor}


def _multiplier(given: Given) -> Found:
    return _metered(given, "per_unit", {"unit_amount": given["multiplier"]})


def _spend_cap(given: Given) -> Found:
    before, maximum = number(given["billed_before"]), number(given["maximum_spend"])
    whole = before + number(given["line_amount"])
    return {"max_spend_discount": above_maximum(whole, maximum) - above_maximum(before, maximum)}


def _usage_discount(given: Given) -> Found:
    before, included = number(given["pre_units"]), number(given["discount_units"])
    left_before, used_before = take_included(before, included)
    left, used = take_included(before + number(given["units"]), included)
    return {"billable_units": left - left_before, "discount_used_now": used - used_before}


def _unit_conversion(given: Given) -> Found:
    return {"billed_units": convert(number(given["raw"]), _conversion(given))}


def _minimum_true_up(given: Given) -> Found:
    share = Fraction(given["active_days"], given["period_days"])
    true_up = below_minimum(Fraction(given["used_minor"]), given["minimum_minor"] * share)
    true_up_minor = round_half_up(true_up)
    return {"true_up_minor": true_up_minor, "tax20_minor": _tax(true_up_minor, "20")}


AREA = Area(
    {
        "standard": _standard,
        "graduated": _tiered("graduated"),
        "volume": _tiered("volume"),
        "graduated_percentage": _tiered("graduated_percentage"),
        "package": _package,
        "percentage": _percentage,
        "dynamic": _dynamic,
        "multiplier": _multiplier,
        "spend_cap": _spend_cap,
        "usage_discount": _usage_discount,
        "unit_conversion": _unit_conversion,
        "minimum_true_up": _minimum_true_up,
    }
)
