"""Requests against a limit."""

from fractions import Fraction

import pytest

from domain.limits.decision import AskedBelowZero, LimitReached, decide, need_room
from domain.limits.policy import Limit
from domain.limits.status import LimitState
from tests import make

_NOW = make.at("2026-03-10T12:00")
_PASSED = make.at("2026-03-08T12:00:01")
_SOFT = Limit("soft", Fraction(10_000), 110, 48)
_HARD = Limit("hard", Fraction(5_000))


@pytest.mark.parametrize(
    ("limit", "used", "asked", "state", "after"),
    [
        (_HARD, 4_998, 1, LimitState.OK, 4_999),
        # Landing on the bound is allowed.
        (_HARD, 4_999, 1, LimitState.AT_LIMIT, 5_000),
        (_HARD, 5_000, 0, LimitState.AT_LIMIT, 5_000),
        (_SOFT, 9_999, 1, LimitState.AT_LIMIT, 10_000),
        (_SOFT, 10_000, 1, LimitState.OVER_SOFT_LIMIT, 10_001),
        # 10,000 x 110 % = 11,000.
        (_SOFT, 10_999, 1, LimitState.OVER_SOFT_LIMIT, 11_000),
        (Limit("observe", Fraction(10)), 10, 90, LimitState.OVER_SOFT_LIMIT, 100),
        (Limit("hard", None), 10**12, 10**12, LimitState.OK, 2 * 10**12),
        (Limit("hard", Fraction(0)), 0, 0, LimitState.AT_LIMIT, 0),
    ],
)
def test_what_fits_under_the_bound_is_allowed(
    limit: Limit, used: int, asked: int, state: LimitState, after: int
) -> None:
    answer = decide(limit, Fraction(used), Fraction(asked), passed_at=None, at=_NOW)
    assert (answer.is_allowed, answer.state, answer.used_after) == (True, state, Fraction(after))


@pytest.mark.parametrize(
    ("limit", "used", "asked"),
    [
        (_HARD, "5000", "1"),
        # Half a unit would fit, but a request is refused as a whole.
        (_HARD, "4999.5", "1"),
        (_SOFT, "10999", "2"),
        (_SOFT, "11000", "0.000000000000000001"),
        # 3 x 110 % = 3.3: the fourth module does not fit.
        (Limit("soft", Fraction(3), 110, 48), "3", "1"),
        (Limit("hard", Fraction(0)), "0", "1"),
        (Limit("soft", Fraction(0), 110, 48), "0", "1"),
        # What was measured above the bound blocks even a request for nothing.
        (_HARD, "5001", "0"),
    ],
)
def test_what_would_pass_the_bound_is_refused_whole_and_takes_nothing(limit: Limit, used: str, asked: str) -> None:
    answer = decide(limit, Fraction(used), Fraction(asked), passed_at=None, at=_NOW)
    assert (answer.is_allowed, answer.state, answer.used_after) == (False, LimitState.BLOCKED, Fraction(used))


def test_after_48_hours_above_a_soft_limit_the_limit_itself_is_the_bound() -> None:
    # Passed at 12:00:01 two days ago: one second of grace is left at noon, none a second later.
    one, used = Fraction(1), Fraction(10_500)
    assert decide(_SOFT, used, one, passed_at=_PASSED, at=_NOW).is_allowed
    later = make.at("2026-03-10T12:00:01")
    assert decide(_SOFT, used, one, passed_at=_PASSED, at=later).bound == 10_000
    assert not decide(_SOFT, used, one, passed_at=_PASSED, at=later).is_allowed
    # Usage that fell back does not begin the hours anew; up to the limit it goes on.
    assert not decide(_SOFT, Fraction(10_000), one, passed_at=_PASSED, at=later).is_allowed
    assert decide(_SOFT, Fraction(9_999), one, passed_at=_PASSED, at=later).state is LimitState.AT_LIMIT


def test_a_refusal_names_the_limit_and_its_numbers() -> None:
    with pytest.raises(LimitReached) as refused:
        need_room(_SOFT, Fraction("10999.5"), Fraction(1), passed_at=None, at=_NOW, what="Requests a month")
    assert refused.value.facts == {
        "what": "Requests a month",
        "asked": "1",
        "used": "10999.5",
        "limit": "10000",
        "bound": "11000",
    }
    assert refused.value.message.startswith("Requests a month: 1 more would pass 11000; 10999.5 of 10000 are used.")
    assert need_room(_SOFT, Fraction(1), Fraction(1), passed_at=None, at=_NOW, what="Requests a month").used_after == 2


def test_less_than_nothing_cannot_be_asked_for() -> None:
    with pytest.raises(AskedBelowZero):
        decide(_HARD, Fraction(10), Fraction("-0.5"), passed_at=None, at=_NOW)
