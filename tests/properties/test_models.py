"""What holds for every charge model there is, those that look at events, combinations or kept costs included."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import MeterId, PlanVersionId, PriceId
from domain.kernel.money import exact_text
from domain.plans.charge import Charge
from domain.plans.plan import Price, PriceModel
from domain.plans.price import MODELS, check_definition, rate
from tests import make

_SCALE = 10**4
_IDS = PriceId(make.new_id()), PlanVersionId(make.new_id()), MeterId(make.new_id())
_AMOUNT = st.integers(0, 50 * _SCALE).map(lambda number: exact_text(Fraction(number, _SCALE)))
_UNITS = st.integers(0, 2_000 * _SCALE).map(lambda number: Fraction(number, _SCALE))
_RATE = st.integers(0, 100).map(str)
_REGIONS = ("eu", "us", "as")


@dataclass(frozen=True)
class _Bought:
    """A price, and what is rated with it."""

    price: Price
    values: tuple[Fraction, ...]

    def rated(self) -> Charge:
        """Rate the values: each is an event, and the quantity of one region."""
        quantity = sum(self.values, Fraction(0))
        combinations = [({"region": name}, value) for name, value in zip(_REGIONS, self.values, strict=False)]
        return rate(self.price, quantity, quantity, combinations=combinations, events=self.values)


def _tiers(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    amounts = st.fixed_dictionaries(dict.fromkeys(fields, _AMOUNT) | {"flat_amount": _AMOUNT})
    bounds = st.sets(st.integers(1, 1_500), max_size=3).map(lambda found: [*map(str, sorted(found)), None])
    return st.builds(
        lambda upto, priced: {"tiers": [{"up_to": each, **part} for each, part in zip(upto, priced, strict=False)]},
        bounds,
        st.lists(amounts, min_size=4, max_size=4),
    )


_DEFINITIONS: Mapping[PriceModel, st.SearchStrategy[dict[str, Any]]] = {
    "flat": st.fixed_dictionaries({"amount": _AMOUNT}),
    "per_unit": st.fixed_dictionaries({"unit_amount": _AMOUNT}),
    "graduated": _tiers("unit_amount"),
    "volume": _tiers("unit_amount"),
    "package": st.fixed_dictionaries({"package_size": st.integers(1, 300).map(str), "package_amount": _AMOUNT}),
    "percentage": st.fixed_dictionaries(
        {"rate_percent": _RATE, "fixed_amount": _AMOUNT},
        optional={"free_units": _AMOUNT, "free_events": st.integers(0, 3).map(str)},
    ),
    "graduated_percentage": _tiers("rate_percent"),
    "matrix": st.builds(
        lambda amounts, default: {
            "cells": [
                {"when": {"region": name}, "unit_amount": each} for name, each in zip(_REGIONS, amounts, strict=False)
            ],
            "default_unit_amount": default,
        },
        st.lists(_AMOUNT, min_size=1, max_size=2),
        _AMOUNT,
    ),
    "dynamic": st.fixed_dictionaries({"multiplier": _AMOUNT}),
}


def _bought(model: PriceModel) -> st.SearchStrategy[_Bought]:
    def price(definition: dict[str, Any]) -> Price:
        check_definition(model, definition, "p")
        return Price(_IDS[0], _IDS[1], "p", "usage", "USD", None, _IDS[2], model, definition, "")

    values = st.lists(_UNITS, min_size=3, max_size=3).map(tuple)
    return st.builds(_Bought, _DEFINITIONS[model].map(price), values)


_EVERY = st.one_of(*(_bought(model) for model in _DEFINITIONS))


def test_there_is_a_price_of_every_model() -> None:
    assert set(_DEFINITIONS) == set(MODELS)


@given(_EVERY)
def test_rating_is_a_pure_function_of_price_and_usage(bought: _Bought) -> None:
    before = copy.deepcopy(bought)
    first = bought.rated()
    # What a caller does to a derivation is no part of the price.
    bought.rated().derivation.clear()
    assert bought.rated() == first
    assert bought == before


@given(_EVERY)
def test_a_derivation_is_text_and_ends_in_the_amount(bought: _Bought) -> None:
    charge = bought.rated()
    assert json.loads(json.dumps(charge.derivation)) == charge.derivation
    assert Fraction(charge.derivation.get("total", charge.derivation["subtotal"])) == charge.amount
    assert charge.amount >= 0
