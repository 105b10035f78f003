"""The order inside a line, with the working of every step."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.kernel.ids import MeterId, PlanVersionId, PriceId
from domain.kernel.money import to_minor
from domain.plans.exact import DefinitionRefused
from domain.plans.line import round_units
from domain.plans.plan import Price, PriceModel
from domain.plans.price import check_definition, rate
from tests import make

_TIERS = [{"up_to": "10", "unit_amount": "10", "flat_amount": "2"}, {"up_to": None, "unit_amount": "5"}]


def _price(model: PriceModel, **definition: Any) -> Price:
    check_definition(model, definition, "p")
    ids = PriceId(make.new_id()), PlanVersionId(make.new_id()), MeterId(make.new_id())
    return Price(ids[0], ids[1], "usage", "usage", "USD", None, ids[2], model, definition, "Usage")


def _thousands(rounding: str = "up", precision: int = 0) -> dict[str, Any]:
    return {"operation": "divide", "factor": "1000", "rounding": rounding, "precision": precision}


def test_every_step_follows_the_one_before_and_is_explained() -> None:
    price = _price(
        "per_unit",
        unit_amount="10",
        conversion=_thousands(),
        included_units="2",
        discount_percent="25",
        maximum="40",
        minimum="15",
    )
    charge = rate(price, Decimal(8_400))
    # 8,400 / 1,000 = 8.4, up to 9; less 2 included: 7 x 10 = 70; less 25 %: 52.50; at most 40.
    assert charge.amount == 40
    assert charge.derivation == {
        "model": "per_unit",
        "quantity": "8400",
        "conversion": {"operation": "divide", "factor": "1000", "rounding": "up", "precision": "0", "units": "9"},
        "included_units": "2",
        "included_units_used": "2",
        "billed_quantity": "7",
        "unit_amount": "10",
        "subtotal": "70",
        "discount": {"percent": "25", "amount": "17.5"},
        "maximum": {"amount": "40", "above": "12.5"},
        "minimum": {"amount": "15", "top_up": "0"},
        "total": "40",
    }
    # 2,500 -> 3 - 2 = 1: 10, less 25 % 7.50, topped up by 7.50 to 15.
    assert rate(price, Decimal(2_500)).derivation["minimum"] == {"amount": "15", "top_up": "7.5"}


@pytest.mark.parametrize(
    ("rounding", "precision", "raw", "units"),
    [
        ("up", 0, "1247", "2"),
        ("up", 0, "1000", "1"),
        ("up", 0, "0", "0"),
        ("down", 0, "1999", "1"),
        ("nearest", 0, "2500", "3"),  # Halves go away from zero.
        ("nearest", 1, "2440", "2.4"),
        ("nearest", 1, "2450", "2.5"),
        ("none", 0, "1247", "1.247"),
    ],
)
def test_units_are_converted_and_then_rounded(rounding: str, precision: int, raw: str, units: str) -> None:
    price = _price("per_unit", unit_amount="1", conversion=_thousands(rounding, precision))
    assert rate(price, Decimal(raw)).amount == Fraction(units)


def test_a_conversion_may_multiply_and_never_loses_a_third() -> None:
    price = _price("per_unit", unit_amount="3", conversion={"operation": "divide", "factor": "3"})
    assert rate(price, Decimal(10)).amount == 10
    assert rate(price, Decimal(10)).derivation["conversion"]["units"] == "10/3"
    price = _price("per_unit", unit_amount="1", conversion={"operation": "multiply", "factor": "1.5"})
    assert rate(price, Decimal("4.2")).amount == Fraction("6.3")
    assert round_units(Fraction(-5, 2), "nearest", 0) == -3


def test_each_combination_and_each_event_is_converted_for_itself() -> None:
    cells = [{"when": {"region": "eu"}, "unit_amount": "2"}]
    price = _price("matrix", cells=cells, default_unit_amount="1", conversion=_thousands())
    combinations = [({"region": "eu"}, Decimal(1_100)), ({"region": "us"}, Decimal(100))]
    # 1.1 up to 2 at 2, and 0.1 up to 1 at 1: 5
    assert rate(price, Decimal(1_200), combinations=combinations).amount == 5
    price = _price("percentage", rate_percent="10", conversion={"operation": "divide", "factor": "100"})
    # Cents to dollars: 2.50 x 10 % + 1 x 10 %
    assert rate(price, Decimal(350), events=[Decimal(250), Decimal(100)]).amount == Fraction("0.35")


def test_a_later_bill_of_a_period_rates_the_total_so_the_maximum_counts_what_was_billed() -> None:
    price = _price("per_unit", unit_amount="10", maximum="100")
    first, second, third = (rate(price, Decimal(units)).amount for units in (6, 12, 20))
    # 60; then 120 capped at 100, so 40; then nothing.
    assert [first, second - first, third - second] == [60, 40, 0]


def test_the_minimum_waits_for_the_end_of_the_period_and_is_topped_up_once() -> None:
    price = _price("per_unit", unit_amount="10", minimum="100")
    running = rate(price, Decimal(3), final=False)
    assert running.amount == 30
    assert running.derivation["minimum"] == {"amount": "100", "top_up": "0"}
    final = rate(price, Decimal(4))
    # 40 rated, 30 of it billed before: 10 and a top-up of 60 make 100 in all.
    assert final.amount - running.amount == 70
    assert final.derivation["minimum"]["top_up"] == "60"
    assert rate(price, Decimal(10)).derivation["minimum"]["top_up"] == "0"
    assert rate(price, Decimal(0)).amount == 100


def test_the_minimum_of_a_share_of_the_period_is_rounded_once_with_the_line() -> None:
    price = _price("per_unit", unit_amount="1", minimum="10")
    charge = rate(price, Decimal(8), share=Fraction(25, 28))
    # 10 x 25/28 = 8.92857...; rounded with the line 8.93, of which 0.93 tops up the 8.00.
    assert charge.amount == Fraction(250, 28)
    assert to_minor(charge.amount, "USD") == 8_93
    assert charge.derivation["minimum"] == {"amount": "125/14", "top_up": "13/14"}
    assert charge.derivation["share_of_period"] == "25/28"


def test_a_share_of_the_period_has_that_share_of_tiers_and_flat_amounts() -> None:
    price = _price("graduated", tiers=_TIERS)
    charge = rate(price, Decimal(8), share=Fraction(1, 2))
    # Half of the flat 2, 5 units at 10 up to half of the bound, and 3 at 5: 1 + 50 + 15
    assert charge.amount == 66
    assert [tier["up_to"] for tier in charge.derivation["tiers"]] == ["5", "open"]


def test_included_units_and_allowances_are_shared_but_unit_prices_are_not() -> None:
    half = Fraction(1, 2)
    assert rate(_price("per_unit", unit_amount="3", included_units="10"), Decimal(7), share=half).amount == 6
    package = _price("package", package_size="10", package_amount="5", free_units="20")
    # 10 free, 11 left: 2 packages
    assert rate(package, Decimal(21), share=half).amount == 10
    percentage = _price("percentage", rate_percent="10", fixed_amount="1", free_events="3")
    # 1.5 events are free: the second pays 5 of its 10, and the fixed amount.
    charge = rate(percentage, Decimal(20), events=[Decimal(10), Decimal(10)], share=half)
    assert (charge.amount, charge.derivation["free_units_used"]) == (Fraction("1.5"), "15")
    assert rate(_price("flat", amount="9"), Decimal(1), share=Fraction(1, 3)).amount == 3


def test_a_discount_is_taken_off_what_dynamic_gives() -> None:
    charge = rate(_price("dynamic", multiplier="2", discount_percent="12.5"), Decimal(0), Decimal("1.01"))
    # 2.02 - 0.2525
    assert charge.amount == Fraction("1.7675")
    assert (charge.derivation["subtotal"], charge.derivation["total"]) == ("2.02", "1.7675")


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"included_units": "-1"}, "p.included_units"),
        ({"discount_percent": "100.5"}, "p.discount_percent"),
        ({"maximum": 5}, "p.maximum"),
        ({"maximum": "5", "minimum": "6"}, "p.maximum"),
        ({"minimum": "x"}, "p.minimum"),
        ({"conversion": "x"}, "p.conversion"),
        ({"conversion": {"operation": "add", "factor": "1"}}, "p.conversion.operation"),
        ({"conversion": {"operation": "divide", "factor": "0"}}, "p.conversion.factor"),
        ({"conversion": {"operation": "divide"}}, "p.conversion.factor"),
        ({"conversion": _thousands("even")}, "p.conversion.rounding"),
        ({"conversion": _thousands(precision=19)}, "p.conversion.precision"),
        ({"conversion": {**_thousands(), "precision": True}}, "p.conversion.precision"),
        ({"conversion": {**_thousands(), "unit": "GB"}}, "p.conversion.unit"),
    ],
)
def test_a_part_that_could_bill_wrongly_is_refused_with_its_path(parts: dict[str, Any], path: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        check_definition("per_unit", {"unit_amount": "1", **parts}, "p")
    assert refused.value.path == path
