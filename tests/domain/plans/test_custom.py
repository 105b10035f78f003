"""What a customer's version holds: the base's parts, others in their place, and nothing that could not be billed."""

import json
from typing import Any

import msgspec
import pytest

from domain.plans.custom import Terms, derived, read_terms
from domain.plans.definition import PlanDefinition
from domain.plans.exact import DefinitionRefused
from tests.domain.invoices import examples

_FEE = {
    "key": "fee",
    "kind": "fee",
    "currency": "USD",
    "interval": "month",
    "model": "flat",
    "definition": {"amount": "500.00"},
    "description": "Negotiated fee",
}


def _derive(**terms: Any) -> PlanDefinition:
    catalogue = examples.catalogue()
    return derived(catalogue, catalogue.version(examples.VERSION), read_terms(json.dumps(terms).encode()))


def test_without_terms_it_is_the_base() -> None:
    found = _derive()
    base = examples.catalogue().version(examples.VERSION)
    assert [each.key for each in found.prices] == [each.key for each in base.prices]
    assert [each.key for each in found.entitlements] == [each.key for each in base.entitlements]
    assert (found.support, found.features, found.existing) == (base.support, base.features, "stay")


def test_a_price_of_the_same_key_takes_the_place_of_the_base_s_and_another_one_is_added() -> None:
    base = _derive()
    first = base.prices[0]
    instead = msgspec.to_builtins(first) | {"description": "Negotiated"}
    found = _derive(prices=[instead, _FEE | {"key": "fee_eur_negotiated", "interval": None, "currency": "USD"}][:1])
    assert [each.key for each in found.prices] == [each.key for each in base.prices]
    assert found.prices[0].description == "Negotiated"


def test_settings_of_the_base_are_replaced_and_parts_left_out() -> None:
    limit = {"key": "vip", "kind": "feature", "description": "By a person", "source": "ours"}
    found = _derive(
        entitlements=[limit],
        support="24/7",
        features=["sso"],
        invoice_grace_s=60,
        proration="day",
        existing="move_at_renewal",
        start={"when_paid": True},
        cancel_credit="prorate",
        net_days=0,
    )
    assert (found.support, found.features, found.invoice_grace_s) == ("24/7", ("sso",), 60)
    assert (found.proration, found.existing, found.start.when_paid) == ("day", "move_at_renewal", True)
    assert (found.cancel_credit, found.net_days) == ("prorate", 0)
    assert found.entitlements[-1].key == "vip"
    last = _derive().prices[-1].key
    assert last not in [each.key for each in _derive(without=[last]).prices]


@pytest.mark.parametrize(
    ("terms", "path"),
    [
        ({"without": ["nothing"]}, "$.without[0]"),
        ({"prices": [_FEE | {"model": "package"}]}, "$.prices"),
        ({"invoice_grace_s": -1}, "$.invoice_grace_s"),
        ({"start": {"trial": {"days": 3, "without_method": "fall_back", "fall_back": "free"}}}, "$.start"),
        ({"entitlements": [{"key": "x", "description": "", "source": "ours"}]}, "$.entitlements"),
        (
            {"entitlements": [{"key": "x", "description": "", "source": "ours", "meter": "atoms", "policy": "hard"}]},
            "$",
        ),
        ({"net_days": 366}, "$.net_days"),
        ({"net_days": -1}, "$.net_days"),
        ({"net_days": 14, "start": {"when_paid": True}}, "$.start.when_paid"),
        ({"unknown": 1}, "$"),
    ],
)
def test_terms_that_could_not_be_billed_are_refused_with_the_path_to_the_fault(
    terms: dict[str, Any], path: str
) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        _derive(**terms)
    assert refused.value.path.startswith(path)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[]", b'{"support": "' + b"x" * 1_000_001 + b'"}'])
def test_what_is_no_json_of_terms_is_refused(text: bytes) -> None:
    with pytest.raises(DefinitionRefused):
        read_terms(text)


def test_terms_are_empty_by_themselves() -> None:
    assert read_terms(b"{}") == Terms()
