"""What may be written into the provider price list."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.kernel.ids import ProviderPriceId
from domain.plans.exact import DefinitionRefused
from domain.plans.price_list import Change, PriceInForce, check_set, decide, read_price_list
from domain.plans.provider_price import PriceSet, ProviderPrice
from tests import make

_NOW = make.at("2026-01-15T12:00")


def _file(change: Callable[[dict[str, Any]], object] = lambda _: None) -> bytes:
    value: dict[str, Any] = {
        "source": "test",
        "valid_from": "2020-01-01T00:00:00Z",
        "providers": [{"key": "gemini", "name": "Gemini"}],
        "models": [
            {
                "provider": "gemini",
                "model": "g-1",
                "aliases": ["g-one"],
                "prices": [{"pool": "input", "amount": "1.25", "per": "1000000"}],
            }
        ],
    }
    change(value)
    return json.dumps(value).encode()


def _tier(amount: str, above: int, pool: str = "input") -> dict[str, Any]:
    return {"pool": pool, "amount": amount, "per": "1000000", "above": above}


def test_a_file_states_the_prices_of_long_calls() -> None:
    [only] = read_price_list(_file(lambda file: file["models"][0]["prices"].append(_tier("2.5", 200_000)))).sets
    assert only.prices == (("input", Decimal("1.25"), Decimal(1_000_000)),)
    assert only.tiers == (("input", 200_000, Decimal("2.5"), Decimal(1_000_000)),)


def test_a_price_list_file_is_read_into_sets_and_names() -> None:
    found = read_price_list(_file())
    [only] = found.sets
    assert (only.provider, only.model, only.valid_from, only.valid_to) == ("gemini", "g-1", make.at("2020-01-01"), None)
    assert only.prices == (("input", Decimal("1.25"), Decimal(1_000_000)),)
    assert [(alias.alias, alias.model) for alias in found.aliases] == [("g-one", "g-1")]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda file: file.update(valid_from="2020-01-01T00:30:00Z"), "$.models[0].valid_from"),
        (lambda file: file.update(valid_from="soon"), "$.valid_from"),
        (lambda file: file.update(currency="EUR"), "$"),
        (lambda file: file["models"][0].update(provider="gemeni"), "$.models[0].provider"),
        (lambda file: file["models"][0].update(model="G-1"), "$.models[0].model"),
        (lambda file: file["models"][0].update(prices=[]), "$.models[0].prices"),
        (lambda file: file["models"][0]["prices"][0].update(pool="inputs"), "$.models[0].prices[0].pool"),
        (lambda file: file["models"][0]["prices"][0].update(amount="-1"), "$.models[0].prices[0].amount"),
        (lambda file: file["models"][0]["prices"][0].update(amount=1.25), "$.models[0].prices[0].amount"),
        (lambda file: file["models"][0]["prices"][0].update(per="0"), "$.models[0].prices[0].per"),
        (lambda file: file["models"][0]["prices"][0].update(per="3"), "$.models[0].prices[0].per"),
        (lambda file: file["models"][0]["prices"].append(file["models"][0]["prices"][0]), "$.models[0].prices[1].pool"),
        (lambda file: file["models"][0]["prices"][0].update(above=200_000), "$.models[0].prices"),
        (lambda file: file["models"][0]["prices"].append(_tier("1.24", 200_000)), "$.models[0].prices"),
        (lambda file: file["models"][0]["prices"].append(_tier("2", -1)), "$.models[0].prices"),
        (lambda file: file["models"][0]["prices"].append(_tier("2", 1_000_000_001)), "$.models[0].prices"),
        (lambda file: file["models"][0]["prices"].extend([_tier("2", 9), _tier("3", 9)]), "$.models[0].prices[2].pool"),
        (lambda file: file["models"][0]["prices"].extend([_tier("2", 9, "output")]), "$.models[0].prices"),
        (
            lambda file: file["models"][0]["prices"].extend([_tier("2", 9), _tier("3", 0, "x")]),
            "$.models[0].prices[2].pool",
        ),
    ],
)
def test_a_file_with_a_fault_is_refused_with_its_path(change: Callable[[dict[str, Any]], object], path: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        read_price_list(_file(change))
    assert refused.value.path == path


def _set(start: datetime, end: datetime | None, amount: str = "2") -> PriceSet:
    return PriceSet("gemini", "g-1", start, end, "test", (("input", Decimal(amount), Decimal(1)),))


def _row(start: datetime, end: datetime | None) -> ProviderPrice:
    price_id = ProviderPriceId(make.new_id())
    return ProviderPrice(price_id, "gemini", "g-1", "input", Decimal(1), Decimal(1), "USD", start, end, "test")


def test_a_new_price_takes_over_from_now_on_and_not_before() -> None:
    row = _row(make.at("2020-01-01"), None)
    assert decide(_set(_NOW, None), [row], _NOW) == Change((row.id,), insert=True)
    with pytest.raises(PriceInForce):
        decide(_set(make.at("2026-01-15T11:00"), None), [row], _NOW)
    with pytest.raises(PriceInForce):
        decide(_set(make.at("2019-01-01"), None), [row], _NOW)


def test_an_interval_without_a_price_may_be_filled_later() -> None:
    row = _row(make.at("2026-01-01"), None)
    past = _set(make.at("2025-01-01"), make.at("2026-01-01"))
    assert decide(past, [row], _NOW) == Change((), insert=True)


def test_the_same_set_again_changes_nothing() -> None:
    row = _row(make.at("2020-01-01"), None)
    assert decide(_set(make.at("2020-01-01"), None, "1"), [row], _NOW) == Change((), insert=False)


def test_a_set_that_differs_in_a_tier_takes_over() -> None:
    row, start = _row(make.at("2020-01-01"), None), make.at("2026-01-16")
    new = replace(_set(start, None, "1"), tiers=(("input", 200_000, Decimal(2), Decimal(1)),))
    assert decide(new, [row], _NOW) == Change((row.id,), insert=True)
    rows = [replace(row, valid_from=start), replace(row, valid_from=start, amount=Decimal(2), above=200_000)]
    assert decide(new, rows, _NOW) == Change((), insert=False)


def test_a_price_that_has_its_successor_is_not_replaced() -> None:
    rows = [_row(make.at("2020-01-01"), make.at("2026-03-01")), _row(make.at("2026-03-01"), None)]
    with pytest.raises(PriceInForce):
        decide(_set(make.at("2026-02-01"), None), rows, _NOW)


def test_an_interval_ends_after_it_begins() -> None:
    with pytest.raises(DefinitionRefused) as refused:
        check_set(_set(_NOW, _NOW), frozenset({"gemini"}), "$")
    assert refused.value.path == "$.valid_to"
