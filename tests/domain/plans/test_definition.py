"""What a catalogue file may say, and the figures of the two that are delivered."""

import copy
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from domain.plans.definition import EntitlementDefinition, ProductDefinition, plan_digest, read_product
from domain.plans.exact import DefinitionRefused


def _delivered(name: str) -> ProductDefinition:
    return read_product(resources.files("domain.plans.catalogue").joinpath(f"{name}.json").read_bytes())


def _fees(product: ProductDefinition) -> dict[str, dict[str | None, str]]:
    return {
        plan.key: {price.interval: price.definition["amount"] for price in plan.prices if price.kind == "fee"}
        for plan in product.plans
    }


def _limits(product: ProductDefinition, plan_key: str) -> dict[str, EntitlementDefinition]:
    [plan] = [plan for plan in product.plans if plan.key == plan_key]
    return {entitlement.key: entitlement for entitlement in plan.entitlements}


def test_the_edge_product_costs_what_is_required_and_a_year_is_ten_percent_less() -> None:
    # 12 x 29 x 0.9 = 313.20; 12 x 99 x 0.9 = 1069.20; 12 x 500 x 0.9 = 5400.00
    assert _fees(_delivered("edge")) == {
        "free": {"month": "0.00"},
        "starter": {"month": "29.00", "year": "313.20"},
        "professional": {"month": "99.00", "year": "1069.20"},
        "enterprise": {"month": "500.00", "year": "5400.00"},
    }


def test_the_llm_product_costs_what_is_required_and_a_year_is_twelve_months() -> None:
    # 12 x 29 = 348; 12 x 79 = 948; 12 x 199 = 2388
    assert _fees(_delivered("llm")) == {
        "free": {"month": "0.00"},
        "basic": {"month": "29.00", "year": "348.00"},
        "pro": {"month": "79.00", "year": "948.00"},
        "enterprise": {"month": "199.00", "year": "2388.00"},
    }


@pytest.mark.parametrize(
    ("plan", "amounts"),
    [
        ("free", ["3", "2", "10000", "1000000000", "100", "1"]),
        ("starter", ["25", "10", "100000", "10000000000", "500", "3"]),
        ("professional", ["100", "50", "1000000", "100000000000", "2000", "10"]),
        ("enterprise", [None, None, None, None, None, None]),
    ],
)
def test_edge_limits_are_those_required_soft_at_110_percent_for_48_hours(plan: str, amounts: list[str | None]) -> None:
    limits = _limits(_delivered("edge"), plan)
    keys = ["modules", "deployments", "requests", "bandwidth", "build_minutes", "collaborators"]
    assert [limits[key].amount for key in keys] == amounts
    assert {(limits[key].policy, limits[key].soft_percent, limits[key].grace_hours) for key in keys} == {
        ("soft", 110, 48)
    }
    assert (limits["storage"].policy, limits["storage"].amount) == ("observe", None)


def test_pro_has_5000_gemini_calls_and_a_cost_cap_of_150_usd() -> None:
    limits = _limits(_delivered("llm"), "pro")
    calls, cap = limits["gemini_calls"], limits["monthly_cost"]
    assert (calls.amount, calls.meter, calls.dimension_filter, calls.policy, calls.source) == (
        "5000",
        "calls",
        {"provider": "gemini"},
        "hard",
        "requirements",
    )
    assert (cap.amount, cap.currency, cap.money, cap.on_failure, cap.source) == (
        "150.00",
        "USD",
        True,
        "closed",
        "requirements",
    )


def test_every_llm_plan_caps_its_cost_and_free_usage_is_an_explicit_price_of_zero() -> None:
    product = _delivered("llm")
    caps = {plan.key: _limits(product, plan.key)["monthly_cost"].amount for plan in product.plans}
    assert caps == {"free": "1.00", "basic": "50.00", "pro": "150.00", "enterprise": "1000.00"}
    multipliers = {
        plan.key: [price.definition for price in plan.prices if price.kind == "usage"] for plan in product.plans
    }
    paid = [{"multiplier": "1.00"}]
    assert multipliers == {"free": [{"multiplier": "0"}], "basic": paid, "pro": paid, "enterprise": paid}


def test_what_requirements_do_not_state_is_marked_as_ours() -> None:
    ours = {key for key, limit in _limits(_delivered("llm"), "pro").items() if limit.source == "ours"}
    assert ours >= {"openai_calls", "tokens"}
    assert _limits(_delivered("edge"), "enterprise")["requests"].source == "ours"


def test_edge_features_and_support_are_those_required() -> None:
    plans = {plan.key: plan for plan in _delivered("edge").plans}
    assert plans["free"].support == "Community support"
    assert plans["free"].features == ("Basic monitoring", "Public modules only")
    assert plans["starter"].features == ("Private modules", "Advanced monitoring", "Custom domains")
    assert "99.9 % SLA" in plans["professional"].features
    assert plans["enterprise"].support == "24/7 phone support and account manager"


_SMALL: dict[str, Any] = {
    "key": "small",
    "name": "Small",
    "meters": [
        {
            "key": "calls",
            "name": "Calls",
            "event_type": "c",
            "aggregation": "count",
            "unit": "call",
            "dimensions": ["region"],
        },
        {"key": "cost", "name": "Cost", "event_type": "c", "aggregation": "cost", "unit": "USD"},
    ],
    "plans": [
        {
            "key": "one",
            "name": "One",
            "rank": 1,
            "support": "",
            "features": [],
            "invoice_grace_s": 0,
            "prices": [
                {
                    "key": "fee",
                    "kind": "fee",
                    "currency": "USD",
                    "interval": "month",
                    "model": "flat",
                    "definition": {"amount": "9.00"},
                    "description": "Fee",
                },
                {
                    "key": "use",
                    "kind": "usage",
                    "currency": "USD",
                    "meter": "calls",
                    "model": "per_unit",
                    "definition": {"unit_amount": "0.01"},
                    "description": "Calls",
                },
                {
                    "key": "cost",
                    "kind": "usage",
                    "currency": "USD",
                    "meter": "cost",
                    "model": "dynamic",
                    "definition": {"multiplier": "1"},
                    "description": "Cost",
                },
            ],
            "entitlements": [
                {
                    "key": "calls",
                    "meter": "calls",
                    "amount": "5",
                    "policy": "hard",
                    "source": "ours",
                    "description": "Calls",
                },
                {
                    "key": "cap",
                    "meter": "cost",
                    "money": True,
                    "currency": "USD",
                    "amount": "5",
                    "policy": "hard",
                    "source": "ours",
                    "description": "Cap",
                },
            ],
        }
    ],
}


def _edited(*steps: Any, **values: Any) -> bytes:
    """Return the small catalogue with some values changed in the part that the steps lead to."""
    whole = copy.deepcopy(_SMALL)
    part: Any = whole
    for step in steps:
        part = part[step]
    part.update(values)
    return json.dumps(whole).encode()


_PLAN = ("plans", 0)
_FEE, _USE, _COST = (*_PLAN, "prices", 0), (*_PLAN, "prices", 1), (*_PLAN, "prices", 2)
_LIMIT, _CAP = (*_PLAN, "entitlements", 0), (*_PLAN, "entitlements", 1)
_VALUES = "$.meters[0].value_properties"
# Meters of other kinds that lack nothing but what a case is about.
_OF_KIND: dict[str, dict[str, Any]] = {
    kind: {"aggregation": kind, "value_properties": ["n"]}
    for kind in ("sum", "max", "unique_count", "percentile", "average")
}


def _fall_back(plan: str | None) -> dict[str, Any]:
    return {"trial": {"days": 14, "without_method": "fall_back", "fall_back": plan}}


_FALL_BACK = "$.plans[0].start.trial.fall_back"


def test_the_small_catalogue_itself_is_accepted() -> None:
    assert read_product(_edited()).plans[0].key == "one"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"{", "$"),
        (b"\xff", "$"),
        (b'{"plans": [{"prices": [{"definition": ' + b'{"a":' * 100_000, "$"),
        (b"[]", "$"),
        (b" " * 1_000_001, "$"),
        (_edited(plans=_SMALL["plans"] * 101), "$.plans"),
        (_edited(key="Small"), "$.key"),
        (_edited(color="red"), "$"),
        (_edited(*_PLAN, rank="first"), "$.plans[0].rank"),
        (_edited(*_PLAN, invoice_grace_s=-1), "$.plans[0].invoice_grace_s"),
        (_edited("meters", 0, key="cost"), "$.meters[1].key"),
        (_edited("meters", 0, aggregation="sum"), "$.meters[0].value_properties"),
        (_edited("meters", 0, value_properties=["n"]), "$.meters[0].value_properties"),
        (_edited("meters", 0, dimensions=list("abcdef")), "$.meters[0].dimensions"),
        (_edited("meters", 0, dimensions=["a", "a"]), "$.meters[0].dimensions[1]"),
        (_edited("meters", 0, dimension_combinations_max=0), "$.meters[0].dimension_combinations_max"),
        (_edited("meters", 0, unit=""), "$.meters[0].unit"),
        (_edited("meters", 0, name="x" * 101), "$.meters[0].name"),
        (_edited("meters", 0, name="a\0b"), "$.meters[0].name"),
        (_edited("meters", 0, event_type="void"), "$.meters[0].event_type"),
        (_edited("meters", 0, event_filter={"kind": []}), "$.meters[0].event_filter.kind"),
        (_edited("meters", 0, event_filter={"kind": ["x"] * 101}), "$.meters[0].event_filter.kind"),
        (_edited("meters", 0, operation_property="op"), "$.meters[0].operation_property"),
        (_edited("meters", 0, carries_over=True), "$.meters[0].carries_over"),
        (_edited("meters", 0, by_days=True), "$.meters[0].by_days"),
        (_edited("meters", 0, percent="95"), "$.meters[0].percent"),
        (_edited("meters", 0, aggregation="sum", value_properties=list("abcdefghijklmnopqrstuvwxyzABCDEFG")), _VALUES),
        (_edited("meters", 0, aggregation="unique_count", value_properties=["who", "where"]), _VALUES),
        (_edited("meters", 0, **_OF_KIND["unique_count"], when_missing="one"), "$.meters[0].when_missing"),
        (_edited("meters", 0, **_OF_KIND["unique_count"], operation_property="n"), "$.meters[0].operation_property"),
        (
            _edited("meters", 0, **_OF_KIND["unique_count"], operation_property="region"),
            "$.meters[0].operation_property",
        ),
        (_edited("meters", 0, **_OF_KIND["unique_count"], by_days=True), "$.meters[0].by_days"),
        (_edited("meters", 0, **_OF_KIND["percentile"]), "$.meters[0].percent"),
        (_edited("meters", 0, **_OF_KIND["percentile"], percent="0"), "$.meters[0].percent"),
        (_edited("meters", 0, **_OF_KIND["percentile"], percent="100.1"), "$.meters[0].percent"),
        # A mean may fall without anything being given back, so it cannot be held back.
        (_edited("meters", 0, **_OF_KIND["average"]), "$.plans[0].entitlements[0].meter"),
        (_edited(*_PLAN, tax_code="SaaS"), "$.plans[0].tax_code"),
        (_edited(*_PLAN, start={"trial": {"days": 0}}), "$.plans[0].start.trial.days"),
        (_edited(*_PLAN, start={"trial": {"days": 731}}), "$.plans[0].start.trial.days"),
        (_edited(*_PLAN, start=_fall_back(None)), _FALL_BACK),
        (_edited(*_PLAN, start={"trial": {"days": 14, "fall_back": "free"}}), _FALL_BACK),
        (_edited(*_PLAN, start=_fall_back("none")), _FALL_BACK),
        (_edited(*_PLAN, start=_fall_back("one")), _FALL_BACK),
        (_edited(*_FEE, currency="US"), "$.plans[0].prices[0].currency"),
        (_edited(*_FEE, interval=None), "$.plans[0].prices[0].interval"),
        (_edited(*_FEE, meter="calls"), "$.plans[0].prices[0].meter"),
        (_edited(*_FEE, model="dynamic"), "$.plans[0].prices[0].model"),
        (_edited(*_FEE, model="matrix"), "$.plans[0].prices[0].model"),
        (_edited(*_FEE, definition={"amount": "9.005"}), "$.plans[0].prices[0].definition.amount"),
        (_edited(*_FEE, definition={"amount": 9}), "$.plans[0].prices[0].definition.amount"),
        (_edited(*_USE, meter="words"), "$.plans[0].prices[1].meter"),
        (_edited(*_USE, interval="month"), "$.plans[0].prices[1].interval"),
        (_edited(*_USE, model="flat"), "$.plans[0].prices[1].model"),
        (_edited(*_USE, currency="EUR"), "$.plans[0].prices"),
        (_edited(*_USE, key="fee"), "$.plans[0].prices[1].key"),
        (
            _edited(*_USE, model="graduated", definition={"tiers": [{"up_to": "5", "unit_amount": "1"}]}),
            "$.plans[0].prices[1].definition.tiers[0].up_to",
        ),
        (_edited(*_COST, currency="EUR"), "$.plans[0].prices[2].currency"),
        (_edited(*_COST, meter="calls"), "$.plans[0].prices[2].model"),
        (_edited(*_COST, model="per_unit", definition={"unit_amount": "1"}), "$.plans[0].prices[2].model"),
        (_edited(*_LIMIT, meter=None), "$.plans[0].entitlements[0]"),
        (_edited(*_LIMIT, kind="feature"), "$.plans[0].entitlements[0]"),
        (_edited(*_LIMIT, policy="soft"), "$.plans[0].entitlements[0].soft_percent"),
        (_edited(*_LIMIT, policy="soft", soft_percent=90, grace_hours=1), "$.plans[0].entitlements[0].soft_percent"),
        (_edited(*_LIMIT, policy="soft", soft_percent=110), "$.plans[0].entitlements[0].grace_hours"),
        (_edited(*_LIMIT, grace_hours=1), "$.plans[0].entitlements[0].grace_hours"),
        (_edited(*_LIMIT, amount="-1"), "$.plans[0].entitlements[0].amount"),
        (_edited(*_LIMIT, dimension_filter={"model": "x"}), "$.plans[0].entitlements[0].dimension_filter.model"),
        (_edited(*_LIMIT, money=True), "$.plans[0].entitlements[0].money"),
        (_edited(*_CAP, currency=None), "$.plans[0].entitlements[1].currency"),
        (_edited(*_CAP, currency="EUR"), "$.plans[0].entitlements[1].currency"),
    ],
)
def test_a_catalogue_with_a_fault_is_refused_with_the_path_to_it(text: bytes, path: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        read_product(text)
    assert refused.value.path == path


def test_a_feature_needs_no_meter() -> None:
    feature = {"key": "sso", "kind": "feature", "source": "ours", "description": "Single sign-on"}
    [plan] = read_product(_edited(*_PLAN, entitlements=[feature])).plans
    assert plan.entitlements[0].policy is None


def test_two_prices_for_the_same_interval_are_refused() -> None:
    def twice(whole: dict[str, Any]) -> None:
        prices = whole["plans"][0]["prices"]
        prices.append({**prices[0], "key": "again"})

    with pytest.raises(DefinitionRefused) as refused:
        read_product(_changed(twice))
    assert refused.value.path == "$.plans[0].prices[3]"


def test_a_trial_falls_back_to_a_plan_that_is_free_in_each_way_in_which_its_own_is_sold() -> None:
    def free(currency: str) -> Callable[[dict[str, Any]], None]:
        def change(whole: dict[str, Any]) -> None:
            own = whole["plans"][0]
            fee = {**own["prices"][0], "currency": currency, "definition": {"amount": "0"}}
            whole["plans"].append({**own, "key": "free", "rank": 0, "prices": [fee], "entitlements": []})
            own["start"] = _fall_back("free")

        return change

    assert read_product(_changed(free("USD"))).plans[0].start.trial is not None
    with pytest.raises(DefinitionRefused) as refused:
        read_product(_changed(free("EUR")))
    assert (refused.value.path, refused.value.fault) == (_FALL_BACK, "is not free by the month in USD")


def test_a_price_by_the_event_needs_a_meter_that_adds_events_up() -> None:
    def by_event(whole: dict[str, Any]) -> None:
        whole["meters"][0] |= _OF_KIND["max"]
        definition = {"percent": "1", "fixed_amount": "0", "free_events": 0}
        whole["plans"][0]["prices"][1] |= {"model": "percentage", "definition": definition}

    with pytest.raises(DefinitionRefused) as refused:
        read_product(_changed(by_event))
    assert refused.value.path == "$.plans[0].prices[1].model"


def _changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    whole = copy.deepcopy(_SMALL)
    change(whole)
    return json.dumps(whole).encode()


def test_the_digest_of_a_version_leaves_out_what_belongs_to_the_plan() -> None:
    [plan] = read_product(_edited()).plans
    [renamed] = read_product(_edited(*_PLAN, name="Uno", rank=7)).plans
    [dearer] = read_product(_edited(*_FEE, definition={"amount": "9.01"})).plans
    assert plan_digest(plan) == plan_digest(renamed)
    assert plan_digest(plan) != plan_digest(dearer)
