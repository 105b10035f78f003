"""A plan may carry prices of every charge model, with the parts around them, and keeps them as they were written."""

import json
from decimal import Decimal
from typing import Any, get_args

import pytest

from domain.db import Database
from domain.plans import service
from domain.plans.definition import read_product
from domain.plans.exact import DefinitionRefused
from domain.plans.plan import PriceModel
from domain.plans.price import MODELS, rate
from tests import make

_TIERS = [{"up_to": "10", "unit_amount": "1"}, {"up_to": None, "unit_amount": "0.5"}]
_RATES = [{"up_to": "10", "rate_percent": "1"}, {"up_to": None, "rate_percent": "0.5"}]
_DEFINITIONS: dict[str, dict[str, Any]] = {
    "per_unit": {"unit_amount": "1", "included_units": "5", "minimum": "3", "maximum": "9"},
    "graduated": {"tiers": _TIERS, "discount_percent": "10"},
    "volume": {"tiers": _TIERS, "conversion": {"operation": "divide", "factor": "10", "rounding": "up"}},
    "package": {"package_size": "10", "package_amount": "2"},
    "percentage": {"rate_percent": "2.9", "fixed_amount": "0.3"},
    "graduated_percentage": {"tiers": _RATES},
    "matrix": {"cells": [{"when": {"region": "eu"}, "unit_amount": "1"}], "default_unit_amount": "2"},
}


def _meter(key: str, aggregation: str = "count") -> dict[str, Any]:
    values = {"key": key, "name": key, "event_type": "e", "aggregation": aggregation, "unit": "unit"}
    return {**values, "dimensions": ["region"]}


def _usage(model: str, definition: dict[str, Any]) -> dict[str, Any]:
    values = {"key": model, "kind": "usage", "currency": "USD", "model": model, "description": model}
    return {**values, "definition": definition, "meter": model}


def product_of_every_model(**changes: dict[str, Any]) -> bytes:
    fee = {
        "key": "fee",
        "kind": "fee",
        "currency": "USD",
        "interval": "month",
        "model": "flat",
        "definition": {"amount": "9.00", "discount_percent": "5"},
        "description": "Fee",
    }
    definitions = {**_DEFINITIONS, **changes}
    prices = [fee, *(_usage(model, definition) for model, definition in definitions.items())]
    prices.append(_usage("dynamic", {"multiplier": "1.25"}))
    plan = {
        "key": "all",
        "name": "All",
        "rank": 0,
        "support": "",
        "features": [],
        "invoice_grace_s": 0,
        "prices": prices,
        "entitlements": [],
    }
    meters = [*(_meter(model) for model in _DEFINITIONS), _meter("dynamic", "cost")]
    return json.dumps({"key": "models", "name": "Models", "meters": meters, "plans": [plan]}).encode()


async def test_prices_of_every_model_are_published_and_rated_as_they_were_written(db: Database) -> None:
    assert set(get_args(PriceModel)) == MODELS.keys() == {*_DEFINITIONS, "flat", "dynamic"}
    async with db.transaction() as tx:
        await service.publish(tx, make.call(), read_product(product_of_every_model()))
    async with db.transaction() as tx:
        catalogue = await service.load_catalogue(tx)
    version = catalogue.current_version("models", "all")
    prices = {str(price.model): price for price in version.prices}
    assert {model: prices[model].definition for model in _DEFINITIONS} == _DEFINITIONS
    # 12 less 5 included: 7 at 1
    assert rate(prices["per_unit"], Decimal(12)).amount == 7
    # (10 x 1 + 2 x 0.5) less 10 %
    assert rate(prices["graduated"], Decimal(12)).amount == Decimal("9.9")
    # 100 / 10 = 10 x 1
    assert rate(prices["volume"], Decimal(100)).amount == 10
    # 9.00 less 5 %
    assert rate(prices["flat"], Decimal(1)).amount == Decimal("8.55")


@pytest.mark.parametrize(
    ("model", "definition", "path"),
    [
        (
            "matrix",
            {"cells": [{"when": {"zone": "a"}, "unit_amount": "1"}], "default_unit_amount": "2"},
            "cells[0].when.zone",
        ),
        ("per_unit", {"unit_amount": "1", "minimum": "2", "maximum": "1"}, "maximum"),
        ("volume", {"tiers": _TIERS, "conversion": {"operation": "divide", "factor": "0"}}, "conversion.factor"),
    ],
)
def test_a_fault_in_a_price_is_named_with_its_path(model: str, definition: dict[str, Any], path: str) -> None:
    place = 1 + list(_DEFINITIONS).index(model)
    with pytest.raises(DefinitionRefused) as refused:
        read_product(product_of_every_model(**{model: definition}))
    assert refused.value.path == f"$.plans[0].prices[{place}].definition.{path}"
