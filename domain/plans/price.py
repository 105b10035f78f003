"""Rate a quantity by a price: one exact amount with its derivation, whatever the charge model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.plans.charge import Charge
from domain.plans.models import dynamic, flat, graduated, per_unit
from domain.plans.plan import Price

__all__ = ["MODELS", "Charge", "ChargeModel", "rate"]


@dataclass(frozen=True, slots=True)
class ChargeModel:
    """A charge model: what may be published, what is due, and whether it prices fees, counted units or kept costs."""

    check: Callable[[Mapping[str, Any], str], None]
    rate: Callable[[Mapping[str, Any], Fraction, Fraction], Charge]
    for_fee: bool = False
    for_units: bool = False
    for_cost: bool = False


MODELS: Mapping[str, ChargeModel] = {
    "flat": ChargeModel(flat.check, flat.rate, for_fee=True),
    "per_unit": ChargeModel(per_unit.check, per_unit.rate, for_fee=True, for_units=True),
    "graduated": ChargeModel(graduated.check, graduated.rate, for_fee=True, for_units=True),
    "dynamic": ChargeModel(dynamic.check, dynamic.rate, for_cost=True),
}


def rate(price: Price, quantity: Decimal | Fraction, cost: Decimal | Fraction = Decimal(0)) -> Charge:
    """Return what a quantity costs in major units of the price's currency, unrounded.

    `cost` is the cost kept on the events counted, for the dynamic model; the others do not look at it. A total below
    zero bills zero. The one rounding of an invoice line comes after this.
    """
    return MODELS[price.model].rate(price.definition, Fraction(quantity), Fraction(cost))
