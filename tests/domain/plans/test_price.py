"""Charge models: worked figures, and the derivation that comes with them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.kernel.ids import MeterId, PlanVersionId, PriceId
from domain.kernel.money import to_minor
from domain.plans.exact import DefinitionRefused
from domain.plans.plan import Price, PriceModel
from domain.plans.price import check_definition, rate
from tests import make


def _price(model: PriceModel, definition: dict[str, Any]) -> Price:
    ids = PriceId(make.new_id()), PlanVersionId(make.new_id()), MeterId(make.new_id())
    return Price(ids[0], ids[1], "usage", "usage", "USD", None, ids[2], model, definition, "Usage")


_TIERS = {
    "tiers": [
        {"up_to": "10", "unit_amount": "10", "flat_amount": "2"},
        {"up_to": "20", "unit_amount": "5", "flat_amount": "3"},
        {"up_to": None, "unit_amount": "5", "flat_amount": "3"},
    ]
}


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", "2"),  # The first tier is reached at zero: its flat fee.
        ("1", "12"),  # 2 + 1 x 10
        ("10", "102"),  # 2 + 10 x 10: the bound belongs to the lower tier.
        ("10.5", "107.5"),  # 102 + 3 + 0.5 x 5
        ("12", "115"),  # 102 + 3 + 2 x 5
        ("20", "155"),  # 102 + 3 + 10 x 5
        ("20.000000000000000001", "158.000000000000000005"),  # 155 + 3 + 5e-18
        ("-4", "2"),  # A total below zero bills what zero bills.
    ],
)
def test_graduated_adds_every_tier_that_is_reached(quantity: str, amount: str) -> None:
    assert rate(_price("graduated", _TIERS), Decimal(quantity)).amount == Fraction(amount)


def test_graduated_bounds_may_be_fractions_and_a_free_first_tier_avoids_the_fee_at_zero() -> None:
    small = {
        "tiers": [
            {"up_to": "0.1", "unit_amount": "10"},
            {"up_to": "1", "unit_amount": "5"},
            {"up_to": None, "unit_amount": "2"},
        ]
    }
    assert rate(_price("graduated", small), Decimal("0.05")).amount == Fraction("0.5")
    free = {"tiers": [{"up_to": "0.01", "unit_amount": "0"}, {"up_to": None, "unit_amount": "5", "flat_amount": "3"}]}
    assert rate(_price("graduated", free), Decimal(0)).amount == 0
    # 3 + (8 - 0.01) x 5 = 42.95
    assert rate(_price("graduated", free), Decimal(8)).amount == Fraction("42.95")


def test_graduated_says_which_tiers_it_walked() -> None:
    assert rate(_price("graduated", _TIERS), Decimal(12)).derivation == {
        "model": "graduated",
        "quantity": "12",
        "tiers": [
            {"above": "0", "up_to": "10", "units": "10", "unit_amount": "10", "flat_amount": "2", "amount": "102"},
            {"above": "10", "up_to": "20", "units": "2", "unit_amount": "5", "flat_amount": "3", "amount": "13"},
        ],
        "subtotal": "115",
    }
    last = rate(_price("graduated", _TIERS), Decimal(21)).derivation["tiers"][2]
    assert last["up_to"] == "open"


def test_per_unit_keeps_the_part_below_a_cent_to_the_end() -> None:
    price = _price("per_unit", {"unit_amount": "0.0003"})
    assert rate(price, Decimal(1)).amount == Fraction("0.0003")
    # 1,000,000 x 0.0003 = 300.00
    assert to_minor(rate(price, Decimal(1_000_000)).amount, "USD") == 300_00
    # 10 x 5.12345 = 51.2345
    assert rate(_price("per_unit", {"unit_amount": "5.12345"}), Decimal(10)).amount == Fraction("51.2345")


def test_per_unit_takes_the_included_units_off_first() -> None:
    price = _price("per_unit", {"unit_amount": "0.5", "included_units": "100"})
    assert [rate(price, Decimal(units)).amount for units in (-3, 0, 100)] == [0, 0, 0]
    assert rate(price, Decimal("100.5")).derivation == {
        "model": "per_unit",
        "quantity": "100.5",
        "included_units": "100",
        "included_units_used": "100",
        "billed_quantity": "0.5",
        "unit_amount": "0.5",
        "subtotal": "0.25",
    }


def test_per_unit_rates_a_share_that_no_decimal_can_write() -> None:
    charge = rate(_price("per_unit", {"unit_amount": "10"}), Fraction(14, 31))
    assert charge.amount == Fraction(140, 31)
    assert charge.derivation["quantity"] == "14/31"
    assert charge.derivation["subtotal"] == "140/31"


def test_flat_is_due_whatever_the_quantity() -> None:
    charge = rate(_price("flat", {"amount": "29.00"}), Decimal(1))
    assert charge.amount == 29
    assert charge.derivation == {"model": "flat", "quantity": "1", "amount": "29.00", "subtotal": "29"}
    assert rate(_price("flat", {"amount": "29.00"}), Decimal(0)).amount == 29


def test_dynamic_multiplies_the_cost_kept_on_the_events() -> None:
    # 0.101 + 9.019 = 9.12, at list price and with a markup of a third: 10 x 1.33333 = 13.3333
    assert rate(_price("dynamic", {"multiplier": "1.00"}), Decimal(2), Decimal("9.12")).amount == Fraction("9.12")
    charge = rate(_price("dynamic", {"multiplier": "1.33333"}), Decimal(10), Decimal(10))
    assert to_minor(charge.amount, "USD") == 13_33
    assert charge.derivation == {
        "model": "dynamic",
        "quantity": "10",
        "cost": "10",
        "multiplier": "1.33333",
        "subtotal": "13.3333",
    }
    assert rate(_price("dynamic", {"multiplier": "0"}), Decimal(5), Decimal("9.12")).amount == 0
    assert rate(_price("dynamic", {"multiplier": "1"}), Decimal(0), Decimal("-0.5")).amount == 0


def _tiers(*tiers: Any) -> dict[str, Any]:
    return {"tiers": list(tiers)}


_OPEN = {"up_to": None, "unit_amount": "1"}


@pytest.mark.parametrize(
    ("model", "definition", "path"),
    [
        ("flat", {}, "p.amount"),
        ("flat", {"amount": 29}, "p.amount"),
        ("flat", {"amount": "-1"}, "p.amount"),
        ("flat", {"amount": "1e3"}, "p.amount"),
        ("flat", {"amount": "1", "tiers": []}, "p.tiers"),
        ("per_unit", {"unit_amount": "0.0000000000000000001"}, "p.unit_amount"),
        ("per_unit", {"unit_amount": "1", "included_units": "x"}, "p.included_units"),
        ("dynamic", {"multiplier": "NaN"}, "p.multiplier"),
        ("graduated", {"tiers": []}, "p.tiers"),
        ("graduated", _tiers("first"), "p.tiers[0]"),
        ("graduated", _tiers({"up_to": "5", "unit_amount": "1"}), "p.tiers[0].up_to"),
        ("graduated", _tiers({"unit_amount": "1"}), "p.tiers[0].up_to"),
        ("graduated", _tiers(_OPEN, _OPEN), "p.tiers[0].up_to"),
        ("graduated", _tiers({"up_to": "0", "unit_amount": "1"}, _OPEN), "p.tiers[0].up_to"),
        (
            "graduated",
            _tiers({"up_to": "5", "unit_amount": "1"}, {"up_to": "5", "unit_amount": "1"}, _OPEN),
            "p.tiers[1].up_to",
        ),
        ("graduated", _tiers({"up_to": None}), "p.tiers[0].unit_amount"),
        ("graduated", _tiers({**_OPEN, "flat_amount": ""}), "p.tiers[0].flat_amount"),
        ("graduated", _tiers({**_OPEN, "flat": "1"}), "p.tiers[0].flat"),
    ],
)
def test_a_definition_that_could_bill_wrongly_is_refused_with_its_path(
    model: str, definition: dict[str, Any], path: str
) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        check_definition(model, definition, "p")
    assert refused.value.path == path


def test_definitions_that_bill_every_unit_are_accepted() -> None:
    check_definition("graduated", _TIERS, "p")
    check_definition("graduated", _tiers(_OPEN), "p")
    check_definition("per_unit", {"unit_amount": "0", "included_units": "0.5"}, "p")
    check_definition("dynamic", {"multiplier": "0"}, "p")
