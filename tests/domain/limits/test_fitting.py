"""The cheapest plan that fits."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest

from domain.db import Database
from domain.limits.fitting import Excess, Fit, Offer, cheapest_fit, excesses, offers_of, upgrade_for, with_kept
from tests import make
from tests.domain.usage.world import open_world


def _offer(plan: str, fee: int, modules: int | None, requests: int | None) -> Offer:
    limits = {"modules": modules, "requests": requests}
    return Offer(
        plan,
        plan.title(),
        Fraction(fee),
        {key: None if each is None else Fraction(each) for key, each in limits.items()},
    )


_OFFERS = [
    _offer("enterprise", 500, None, None),
    _offer("free", 0, 3, 10_000),
    _offer("starter", 29, 25, 100_000),
    _offer("professional", 99, 100, 1_000_000),
]


def _needs(**needs: int) -> Mapping[str, Fraction]:
    return {key: Fraction(needed) for key, needed in needs.items()}


@pytest.mark.parametrize(
    ("modules", "requests", "plan", "blocking"),
    [
        (3, 10_000, "free", []),
        (4, 10_000, "starter", ["modules"]),
        (25, 100_000, "starter", ["modules", "requests"]),
        # 26 modules are 104 % of 25: a soft limit would tolerate them for two days, the plan does not hold them.
        (26, 9_000, "professional", ["modules"]),
        (1, 1_000_001, "enterprise", ["requests"]),
    ],
)
def test_one_need_above_a_limit_rules_a_plan_out(modules: int, requests: int, plan: str, blocking: list[str]) -> None:
    fit = cheapest_fit(_OFFERS, _needs(modules=modules, requests=requests))
    assert (fit.plan, [each.key for each in fit.blocking]) == (plan, blocking)


def test_where_no_plan_fits_the_dearest_says_why() -> None:
    fit = cheapest_fit(_OFFERS[1:], _needs(modules=101, requests=1))
    assert fit == Fit(None, (Excess("modules", Fraction(101), Fraction(100)),))
    assert cheapest_fit([], _needs(modules=1)) == Fit(None, ())


def test_of_two_plans_for_one_fee_the_first_is_taken_and_what_has_no_limit_is_held() -> None:
    twin = replace(_OFFERS[2], plan="twin")
    assert cheapest_fit([_OFFERS[2], twin], _needs(modules=20)).plan == "starter"
    assert excesses(_OFFERS[1], _needs(storage=10**15)) == ()


async def test_the_delivered_plans_are_offered_by_the_month_with_their_fees_and_limits(db: Database) -> None:
    async with open_world(db) as world:
        catalogue = world.catalogue
    offers = offers_of(catalogue, catalogue.product("edge").id, "USD")
    assert {each.plan: each.fee for each in offers} == {"free": 0, "starter": 29, "professional": 99, "enterprise": 500}
    assert offers[1].limits["modules"] == 25
    assert offers[3].limits["modules"] is None
    # Pro has 5,000 Gemini calls, Basic 1,000.
    llm = offers_of(catalogue, catalogue.product("llm").id, "USD")
    assert cheapest_fit(llm, _needs(gemini_calls=1_001)).plan == "pro"
    # Nothing is sold in euros.
    assert offers_of(catalogue, catalogue.product("edge").id, "EUR") == []
    # What is not sold any more is offered to nobody but who has it, for comparison.
    gone = make.at("2026-01-01")
    plans = tuple(replace(each, archived_at=gone if each.key == "pro" else None) for each in catalogue.plans)
    later = replace(catalogue, plans=plans)
    llm_id = catalogue.product("llm").id
    assert [each.plan for each in llm] == ["free", "basic", "pro", "enterprise"]
    assert [each.plan for each in offers_of(later, llm_id, "USD")] == ["free", "basic", "enterprise"]
    assert offers_of(later, llm_id, "USD", present="pro") == llm


def _calls(plan: str, fee: int, calls: int | None) -> Offer:
    return Offer(plan, plan.title(), Fraction(fee), {"calls": None if calls is None else Fraction(calls)})


@pytest.mark.parametrize(
    ("limit", "used", "plan"),
    [
        (100, 100, "basic"),
        # Basic allows 1,000, which are used up already: it would not help.
        (100, 1_000, "large"),
        (1_000, 900, "large"),
    ],
)
def test_the_cheapest_plan_that_allows_more_than_was_used_is_proposed(limit: int, used: int, plan: str) -> None:
    odd = Offer("odd", "Odd", Fraction(5), {"tokens": Fraction(1)})
    offers = [_calls("large", 79, None), _calls("free", 0, 100), odd, _calls("basic", 29, 1_000)]
    found = upgrade_for(offers, "calls", limit=Fraction(limit), used=Fraction(used))
    assert found is not None
    assert found.plan == plan


def test_no_plan_is_proposed_where_none_allows_more_or_an_override_holds_under_each() -> None:
    offers = [_calls("free", 0, 100), _calls("basic", 29, 1_000)]
    assert upgrade_for(offers, "calls", limit=Fraction(1_000), used=Fraction(0)) is None
    kept = with_kept(offers, {"calls": Fraction(10)})
    assert upgrade_for(kept, "calls", limit=Fraction(10), used=Fraction(10)) is None
    assert cheapest_fit(kept, {"calls": Fraction(11)}).plan is None
    assert cheapest_fit(with_kept(offers, {"calls": None}), {"calls": Fraction(5_000)}).plan == "free"
