"""Answers about several limits at once, worked out by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest
from msgspec import structs

from domain.kernel.period import Period
from domain.limits.account import Account, passed_now
from domain.limits.judging import Answer, permit, refusing, standing_of
from domain.plans.plan import Policy
from tests import make
from tests.domain.limits.examples import LEVEL, NOON, account, line, one


def test_the_first_limit_that_does_not_fit_refuses_the_whole() -> None:
    own = account(line("small", 10, 9), line("large", 100, 9))
    asks = own.asks_of(one(2))
    assert asks == {"small": 2, "large": 2}
    refused = refusing(own, asks, {}, NOON)
    assert refused is not None
    assert refused.key == "small"
    assert refusing(own, own.asks_of(one(1)), {}, NOON) is None


def test_what_is_held_here_and_elsewhere_counts() -> None:
    own = account(line("calls", 10, 4, leased=3))
    # 4 used, 3 leased by others, 2 held here: 1 is left.
    asks, held = {"calls": Fraction(2)}, {"calls": Fraction(2)}
    assert refusing(own, asks, held, NOON) is not None
    assert refusing(own, {"calls": Fraction(1)}, held, NOON) is None
    assert refusing(own, asks, held, NOON, alone=True) is None


@pytest.mark.parametrize(("amount", "policy"), [(None, "hard"), (5, "observe")])
def test_without_a_bound_nothing_is_refused(amount: int | None, policy: Policy) -> None:
    own = account(line("calls", amount, 1_000_000, policy=policy))
    assert refusing(own, own.asks_of(one(10**9)), {}, NOON) is None


def test_a_limit_of_zero_allows_nothing_but_nothing() -> None:
    own = account(line("calls", 0, 0))
    assert refusing(own, own.asks_of(one(1)), {}, NOON) is not None
    assert refusing(own, own.asks_of(one(0)), {}, NOON) is None


def test_setting_a_level_asks_for_what_lies_above_it() -> None:
    own = account(line("modules", 3, 2, meter=LEVEL))
    assert own.asks_of(one(3, LEVEL, sets=True)) == {"modules": 1}
    assert own.asks_of(one(1, LEVEL, sets=True)) == {"modules": 0}
    assert own.asks_of(one(-2, LEVEL)) == {"modules": 0}
    assert own.asks_of(one(1)) == {}


def test_a_level_above_its_limit_stays_and_only_what_adds_to_it_is_refused() -> None:
    # A plan of 3 modules after one of 5, and calls that were counted late above their limit.
    own = account(line("modules", 3, 5, meter=LEVEL), line("calls", 3, 5))
    assert refusing(own, {"modules": Fraction(0)}, {}, NOON) is None
    assert refusing(own, {"modules": Fraction(1)}, {}, NOON) is not None
    assert refusing(own, {"calls": Fraction(0)}, {}, NOON) is not None


@pytest.mark.parametrize(
    ("amount", "policy", "paid", "refuses"),
    [(5, "hard", True, True), (5, "hard", False, False), (5, "soft", True, False), (None, "hard", True, False)],
)
def test_what_has_no_price_is_refused_by_a_hard_limit_of_money_on_a_paid_plan_alone(
    amount: int | None, policy: Policy, *, paid: bool, refuses: bool
) -> None:
    own = account(line("calls", 5, 0), line("cap", amount, 0, policy=policy, money=True), paid=paid)
    found = own.unpriceable(structs.replace(one(1), priceless=True))
    assert (found is own.lines["cap"]) is refuses
    assert own.unpriceable(one(1)) is None


@pytest.mark.parametrize(
    ("used", "state"), [(78, "active"), (79, "warning"), (99, "at_limit"), (100, "over_soft_limit")]
)
def test_the_state_is_the_one_after_what_is_allowed(used: int, state: str) -> None:
    own = account(line("calls", 100, used, policy="soft"))
    [standing] = permit(own, {"calls": Fraction(1)}, {}, NOON).standings
    assert standing.state == state


def test_a_soft_limit_is_passed_by_more_than_it_and_only_once() -> None:
    passed = line("passed", 100, 101, policy="soft")
    known = line("known", 100, 101, policy="soft", passed_at=NOON)
    others = (line("at", 100, 100, policy="soft"), line("hard", 100, 101), line("none", None, 101, policy="soft"))
    assert passed_now([passed, known, *others]) == ["passed"]


def refused_by(own: Account, key: str, asked: int, held: int = 0) -> Answer:
    """Make the answer that a limit gives when it refuses."""
    stands = standing_of(own, own.lines[key], Fraction(asked), Fraction(held), NOON, allowed=False)
    return Answer((stands,), NOON, None, stands)


def test_one_comes_again_at_the_reset_or_sooner_where_only_holds_are_in_the_way() -> None:
    own = account(line("calls", 10, 5), line("modules", 3, 3, meter=LEVEL))
    # 16.5 days from noon of 15 January to February.
    assert refused_by(own, "calls", 6).retry_after_s == 1_425_600
    assert refused_by(own, "calls", 5, held=1).retry_after_s == 60
    assert refused_by(own, "modules", 1).retry_after_s == 60


def test_a_refusal_is_told_in_numbers_that_people_read() -> None:
    own = account(line("calls", 25_000, 24_999))
    # February begins at a full minute.
    assert refused_by(own, "calls", 1_500, held=1_000).message == (
        "Calls: 1,500 more would pass 25,000; 24,999 of 25,000 are used and 1,000 held for requests under way. "
        "The limit starts anew on 2026-02-01 at 00:00 UTC."
    )


def test_a_refusal_names_the_currency_of_money_and_no_instant_that_is_too_early() -> None:
    cap = line("monthly_cost", 150, 149)
    cap = replace(cap, allowance=replace(cap.allowance, unit="USD"), used=Fraction(299, 2))
    own = account(cap)
    own = replace(own, period=Period(own.period.start, make.at("2026-02-01T00:00:00.000001")))
    assert refused_by(own, "monthly_cost", 1_250).message == (
        "Monthly_Cost: 1,250 USD more would pass 150 USD; 149.5 USD of 150 USD are used. "
        "The limit starts anew on 2026-02-01 at 00:01 UTC."
    )
    third = replace(own, lines={"monthly_cost": replace(cap, used=Fraction(1_000, 3))})
    assert "1000/3 USD of 150 USD are used" in refused_by(third, "monthly_cost", 1).message
