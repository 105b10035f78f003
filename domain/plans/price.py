"""Rate a quantity by a price: one exact amount with its derivation, whatever the charge model."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ProductId
from domain.kernel.values import dataclass
from domain.plans import line
from domain.plans.charge import ONE, ZERO, Charge, Measured
from domain.plans.models import (
    dynamic,
    flat,
    graduated,
    graduated_percentage,
    matrix,
    package,
    per_unit,
    percentage,
    volume,
)
from domain.plans.plan import Catalogue, PlanVersion, Price

__all__ = ["MODELS", "Charge", "ChargeModel", "QuantityRefused", "check_definition", "rate"]

_Exact = Decimal | Fraction


@dataclass(eq=False)
class QuantityRefused(DomainError):
    """A quantity of {quantity} cannot be bought. Choose one of at least 0."""

    code = "quantity_refused"
    kind = Kind.INVALID
    quantity: str


@dataclass(frozen=True, slots=True)
class ChargeModel:
    """A charge model: what may be published, what is due, and whether it prices fees, counted units or kept costs.

    `parts` are those of `domain/plans/line.py` that may stand around it. `by_event` and `by_combination` say that it
    needs the events' values, or the combinations' quantities, beside the total.
    """

    check: Callable[[Mapping[str, Any], str], None]
    rate: Callable[[Mapping[str, Any], Measured], Charge]
    parts: frozenset[str]
    for_fee: bool = False
    for_units: bool = False
    for_cost: bool = False
    by_event: bool = False
    by_combination: bool = False


# A package has free units and a percentage allowances of its own; which cell of a matrix included units come from is
# not defined. Costs are billed in a line for each combination, where a maximum or minimum of the period would be taken
# again and again: a cost cap of the plan is their maximum.
_NOT_INCLUDED = line.PARTS - {"included_units"}
_DISCOUNT = frozenset({"discount_percent"})

MODELS: Mapping[str, ChargeModel] = {
    "flat": ChargeModel(flat.check, flat.rate, _DISCOUNT, for_fee=True),
    "per_unit": ChargeModel(per_unit.check, per_unit.rate, line.PARTS, for_fee=True, for_units=True),
    "graduated": ChargeModel(graduated.check, graduated.rate, line.PARTS, for_fee=True, for_units=True),
    "volume": ChargeModel(volume.check, volume.rate, line.PARTS, for_fee=True, for_units=True),
    "package": ChargeModel(package.check, package.rate, _NOT_INCLUDED, for_fee=True, for_units=True),
    "percentage": ChargeModel(percentage.check, percentage.rate, _NOT_INCLUDED, for_units=True, by_event=True),
    "graduated_percentage": ChargeModel(
        graduated_percentage.check, graduated_percentage.rate, line.PARTS, for_units=True
    ),
    "matrix": ChargeModel(matrix.check, matrix.rate, _NOT_INCLUDED, for_units=True, by_combination=True),
    "dynamic": ChargeModel(dynamic.check, dynamic.rate, _DISCOUNT, for_cost=True),
}


def check_definition(model: str, definition: Mapping[str, Any], path: str) -> None:
    """Refuse a definition that could bill wrongly. Raises DefinitionRefused with the path to the fault."""
    allowed = MODELS[model].parts
    line.check({key: value for key, value in definition.items() if key in allowed}, path)
    MODELS[model].check({key: value for key, value in definition.items() if key not in allowed}, path)


def rate(
    price: Price,
    quantity: _Exact,
    cost: _Exact = ZERO,
    *,
    combinations: Sequence[tuple[Mapping[str, str], _Exact]] | None = None,
    events: Sequence[_Exact] | None = None,
    share: Fraction = ONE,
    final: bool = True,
) -> Charge:
    """Return what a quantity costs in major units of the price's currency, unrounded.

    `cost` is the cost kept on the events counted, for the dynamic model; the others do not look at it. A matrix needs
    the quantity split into `combinations` of the meter's dimensions, and a percentage the values of the `events` in
    order of time. `share` is the part of the period that is rated, with that part of what the price grants; `final`
    says that the period is over and its minimum is due. The quantity is always the total of the period: what was
    billed of it before is taken off the result. A metered total below zero bills zero. The one rounding of an invoice
    line comes after this. Raises QuantityRefused for a fee on fewer than 0.
    """
    model = MODELS[price.model]
    assert not model.by_combination or combinations is not None, "a matrix is rated by combinations"
    assert not model.by_event or events is not None, "a percentage is rated by events"
    if price.kind == "fee" and quantity < 0:
        raise QuantityRefused(str(quantity))
    measured = Measured(
        Fraction(quantity),
        Fraction(cost),
        tuple((values, Fraction(units)) for values, units in combinations or ()),
        tuple(Fraction(value) for value in events or ()),
    )
    return line.rate_line(model.rate, price.definition, measured, share=share, final=final)


def free_version(catalogue: Catalogue, product_id: ProductId, currency: str) -> PlanVersion | None:
    """Return the newest version of a product's lowest plan that costs nothing by the month, or None."""
    for plan in catalogue.plans_of(product_id):
        version = catalogue.current_version_of(plan.id)
        fees = [each for each in version.prices if each.kind == "fee" and each.interval == "month"]
        of_currency = [each for each in fees if each.currency == currency]
        if of_currency and not any(rate(each, ONE).amount for each in of_currency):
            return version
    return None
