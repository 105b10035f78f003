"""Charge models beside flat, per unit, graduated and dynamic: worked figures, and how they came about."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.kernel.ids import MeterId, PlanVersionId, PriceId
from domain.plans.exact import DefinitionRefused
from domain.plans.models.matrix import check_dimensions
from domain.plans.plan import Price, PriceKind, PriceModel
from domain.plans.price import QuantityRefused, check_definition, rate
from tests import make


def _price(model: PriceModel, definition: dict[str, Any], kind: PriceKind = "usage") -> Price:
    check_definition(model, definition, "p")
    ids = PriceId(make.new_id()), PlanVersionId(make.new_id()), MeterId(make.new_id())
    return Price(ids[0], ids[1], "usage", kind, "USD", None, ids[2], model, definition, "Usage")


_VOLUME = {
    "tiers": [
        {"up_to": "100", "unit_amount": "2", "flat_amount": "10"},
        {"up_to": "200", "unit_amount": "1"},
        {"up_to": None, "unit_amount": "0.5", "flat_amount": "50"},
    ]
}


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("-1", "10"),
        ("0", "10"),  # Only the flat fee of the tier that holds nothing.
        ("100", "210"),  # 10 + 100 x 2: the bound belongs to the lower tier.
        ("100.5", "100.5"),  # 100.5 x 1: more units may cost less.
        ("300", "200"),  # 50 + 300 x 0.5
    ],
)
def test_volume_prices_all_units_by_the_tier_that_holds_them(quantity: str, amount: str) -> None:
    assert rate(_price("volume", _VOLUME), Decimal(quantity)).amount == Fraction(amount)


def test_volume_says_which_tier_it_chose() -> None:
    assert rate(_price("volume", _VOLUME), Decimal(300)).derivation == {
        "model": "volume",
        "quantity": "300",
        "tiers": [
            {
                "above": "200",
                "up_to": "open",
                "units": "300",
                "unit_amount": "0.5",
                "flat_amount": "50",
                "amount": "200",
            }
        ],
        "subtotal": "200",
    }


_PACKAGE = {"package_size": "10", "package_amount": "100", "free_units": "10"}


@pytest.mark.parametrize(
    ("quantity", "packages"), [("-5", 0), ("0", 0), ("10", 0), ("10.01", 1), ("20", 1), ("20.01", 2), ("121", 12)]
)
def test_every_package_that_was_started_after_the_free_units_is_due(quantity: str, packages: int) -> None:
    charge = rate(_price("package", _PACKAGE), Decimal(quantity))
    assert charge.amount == packages * 100
    assert charge.derivation["packages"] == str(packages)


def _percentage(events: Sequence[str], **definition: str) -> tuple[Fraction, dict[str, Any]]:
    values = [Decimal(value) for value in events]
    charge = rate(_price("percentage", definition), sum(values, Decimal(0)), events=values)
    return charge.amount, charge.derivation


_FOUR = ["50", "100", "250", "400"]


@pytest.mark.parametrize(
    ("allowances", "amount"),
    [
        ({}, "18.4"),  # 800 x 1.3 % + 4 x 2
        ({"free_events": "0", "free_units": "0"}, "18.4"),  # An allowance of 0 is none.
        ({"free_events": "3"}, "7.2"),  # 400 x 1.3 % + 2
        ({"free_units": "250"}, "11.15"),  # Ends inside the third: (150 + 400) x 1.3 % + 2 x 2
        ({"free_events": "3", "free_units": "250"}, "11.15"),  # The units end first, and with them the free events.
        ({"free_events": "1", "free_units": "999"}, "15.75"),  # The event ends first: 750 x 1.3 % + 3 x 2
    ],
)
def test_of_two_allowances_the_one_used_up_first_ends_both(allowances: dict[str, str], amount: str) -> None:
    found, _ = _percentage(_FOUR, rate_percent="1.3", fixed_amount="2", **allowances)
    assert found == Fraction(amount)


def test_an_event_of_no_value_pays_the_fixed_amount_once_the_allowance_is_used_up() -> None:
    # 100 free units are used up by the first event; the second, of value 0, lies outside: 0 x 1 % + 5.
    amount, derivation = _percentage(["100", "0"], rate_percent="1", fixed_amount="5", free_units="100")
    assert amount == 5
    assert (derivation["paid_events"], derivation["free_units_used"], derivation["paid_units"]) == ("1", "100", "0")
    # With one unit left it lies inside.
    assert _percentage(["99", "0"], rate_percent="1", fixed_amount="5", free_units="100")[0] == 0


def test_floor_and_cap_are_taken_per_event_after_the_fixed_amount_and_not_on_free_ones() -> None:
    # max(0.1 + 1, 1.75) + (10 + 1) + min(100 + 1, 12) = 1.75 + 11 + 12
    terms = {"rate_percent": "1", "fixed_amount": "1", "min_per_event": "1.75", "max_per_event": "12"}
    assert _percentage(["10", "1000", "10000"], **terms)[0] == Fraction("24.75")
    assert _percentage(["10", "1000", "10000"], **terms, free_events="2")[0] == 12


def test_percentage_says_what_was_free_and_what_was_paid() -> None:
    _, derivation = _percentage(_FOUR, rate_percent="1.3", fixed_amount="2", free_units="250")
    assert derivation == {
        "model": "percentage",
        "quantity": "800",
        "rate_percent": "1.3",
        "fixed_amount": "2",
        "free_units": "250",
        "counted_events": "4",
        "paid_events": "2",
        "free_units_used": "250",
        "paid_units": "550",
        "subtotal": "11.15",
    }


def test_graduated_percentage_takes_each_tiers_rate_on_its_part() -> None:
    tiers = [{"up_to": "100", "rate_percent": "5"}, {"up_to": None, "rate_percent": "2", "flat_amount": "10"}]
    charge = rate(_price("graduated_percentage", {"tiers": tiers}), Decimal(150))
    # 100 x 5 % + 50 x 2 % + 10 = 16
    assert charge.amount == 16
    assert [tier["amount"] for tier in charge.derivation["tiers"]] == ["5", "11"]


_MATRIX = {
    "cells": [
        {"when": {"provider": "gemini", "model": "gemini-2.5-pro"}, "unit_amount": "0.08"},
        {"when": {"provider": "gemini"}, "unit_amount": "0.10"},
    ],
    "default_unit_amount": "0.12",
}


def test_a_matrix_prices_each_combination_by_the_first_cell_that_matches() -> None:
    combinations = [
        ({"provider": "gemini", "model": "gemini-2.5-pro"}, Decimal(100)),  # 8
        ({"provider": "gemini", "model": "gemini-2.5-flash"}, Decimal(200)),  # 20
        ({"provider": "openai", "model": "gpt-5"}, Decimal(50)),  # 6, by the default
        ({"provider": "exa", "model": ""}, Decimal(-3)),  # Below zero bills zero.
    ]
    charge = rate(_price("matrix", _MATRIX), Decimal(347), combinations=combinations)
    assert charge.amount == 34
    assert [cell["amount"] for cell in charge.derivation["cells"]] == ["8", "20", "6", "0"]
    assert charge.derivation["cells"][2] == {
        "values": {"provider": "openai", "model": "gpt-5"},
        "quantity": "50",
        "unit_amount": "0.12",
        "amount": "6",
    }


def test_a_matrix_may_only_look_at_dimensions_of_its_meter() -> None:
    check_dimensions(_MATRIX, ("model", "provider"), "p")
    with pytest.raises(DefinitionRefused) as refused:
        check_dimensions(_MATRIX, ("provider",), "p")
    assert refused.value.path == "p.cells[0].when.model"


def test_a_quantity_below_zero_cannot_be_bought() -> None:
    seats = _price("per_unit", {"unit_amount": "10"}, "fee")
    assert rate(seats, Decimal(3)).amount == 30
    with pytest.raises(QuantityRefused):
        rate(seats, Decimal(-1))


_CELL = {"when": {"region": "eu"}, "unit_amount": "1"}


@pytest.mark.parametrize(
    ("model", "definition", "path"),
    [
        ("volume", {"tiers": [{"up_to": "5", "unit_amount": "1"}]}, "p.tiers[0].up_to"),
        ("graduated_percentage", {"tiers": [{"up_to": None, "unit_amount": "1"}]}, "p.tiers[0].unit_amount"),
        ("package", {"package_size": "0", "package_amount": "1"}, "p.package_size"),
        ("package", {"package_size": "1"}, "p.package_amount"),
        ("package", {**_PACKAGE, "included_units": "5"}, "p.included_units"),
        ("package", {**_PACKAGE, "free_units": "-1"}, "p.free_units"),
        ("percentage", {}, "p.rate_percent"),
        ("percentage", {"rate_percent": "1", "free_events": "1.5"}, "p.free_events"),
        ("percentage", {"rate_percent": "1", "min_per_event": "2", "max_per_event": "1"}, "p.max_per_event"),
        ("percentage", {"rate_percent": "1", "floor": "2"}, "p.floor"),
        ("matrix", {"cells": [_CELL]}, "p.default_unit_amount"),
        ("matrix", {"cells": [], "default_unit_amount": "1"}, "p.cells"),
        ("matrix", {"cells": ["x"], "default_unit_amount": "1"}, "p.cells[0]"),
        ("matrix", {"cells": [{**_CELL, "when": {}}], "default_unit_amount": "1"}, "p.cells[0].when"),
        ("matrix", {"cells": [{**_CELL, "when": {"a": 1}}], "default_unit_amount": "1"}, "p.cells[0].when"),
        ("matrix", {"cells": [{"when": {"a": "b"}}], "default_unit_amount": "1"}, "p.cells[0].unit_amount"),
        ("matrix", {"cells": [_CELL, _CELL], "default_unit_amount": "1"}, "p.cells[1].when"),
        ("dynamic", {"multiplier": "1", "maximum": "5"}, "p.maximum"),
        ("flat", {"amount": "1", "minimum": "5"}, "p.minimum"),
    ],
)
def test_a_definition_that_could_bill_wrongly_is_refused_with_its_path(
    model: str, definition: dict[str, Any], path: str
) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        check_definition(model, definition, "p")
    assert refused.value.path == path
