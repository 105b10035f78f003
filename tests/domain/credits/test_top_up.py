"""When a wallet is topped up, by how much, and what is refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.credits.top_up import (
    TOP_UP_MINOR_MAX,
    WINDOW,
    AutomaticTopUp,
    AutomaticTopUpMalformed,
    PauseReason,
    TopUp,
    TopUpMalformed,
    TopUpState,
    TopUpTrigger,
    amount_due,
    check_amount,
    check_automatic,
)
from domain.kernel.ids import InvoiceId, TopUpId, WalletId
from domain.kernel.money import Money
from tests.domain.credits.wallet_examples import OWNER, day

_LEAST = Money(50, "USD")
_NOW = day(10)


def _rule(**changed: Any) -> AutomaticTopUp:
    values: dict[str, Any] = {"threshold_minor": 1_000, "amount_minor": 5_000, "target_minor": None, "count_max": 3}
    return AutomaticTopUp(OWNER, WalletId(UUID(int=1)), **{**values, **changed})


def _made(
    *, hours_ago: int, state: TopUpState = TopUpState.PAID, trigger: TopUpTrigger = TopUpTrigger.AUTOMATIC
) -> TopUp:
    at = _NOW - timedelta(hours=hours_ago)
    ended_at = None if state is TopUpState.OPEN else at
    own = (OWNER, TopUpId(UUID(int=1)), WalletId(UUID(int=1)), InvoiceId(UUID(int=1)))
    return TopUp(*own, Money(5_000, "USD"), trigger, state, at, ended_at)


def test_it_is_due_once_what_is_left_has_fallen_to_the_threshold() -> None:
    assert amount_due(_rule(), 1_001, [], _NOW) is None
    assert amount_due(_rule(), 1_000, [], _NOW) == 5_000
    assert amount_due(_rule(), -3_000, [], _NOW) == 5_000


def test_a_target_fills_up_what_unbilled_usage_takes_too() -> None:
    rule = _rule(amount_minor=None, target_minor=10_000)
    assert amount_due(rule, 400, [], _NOW) == 9_600
    assert amount_due(rule, -400, [], _NOW) == 10_400
    assert amount_due(rule, -TOP_UP_MINOR_MAX, [], _NOW) == TOP_UP_MINOR_MAX


def test_one_is_under_way_at_a_time() -> None:
    assert amount_due(_rule(), 0, [_made(hours_ago=99, state=TopUpState.OPEN)], _NOW) is None
    by_hand = _made(hours_ago=1, state=TopUpState.OPEN, trigger=TopUpTrigger.CUSTOMER)
    assert amount_due(_rule(), 0, [by_hand], _NOW) == 5_000


def test_a_burst_is_held_by_the_number_within_a_day_whatever_became_of_them() -> None:
    three = [_made(hours_ago=1), _made(hours_ago=2, state=TopUpState.CANCELED), _made(hours_ago=23)]
    assert amount_due(_rule(), 0, three, _NOW) is None
    assert amount_due(_rule(), 0, [*three[:2], _made(hours_ago=24)], _NOW) == 5_000  # a day ago is not within it
    assert amount_due(_rule(), 0, three[:2], _NOW) == 5_000
    assert timedelta(hours=24) == WINDOW


def test_a_paused_rule_makes_none() -> None:
    assert amount_due(_rule(paused=PauseReason.PAYMENT_FAILED), 0, [], _NOW) is None


@pytest.mark.parametrize("minor", [-1, 0, 49, TOP_UP_MINOR_MAX + 1])
def test_an_amount_that_could_not_be_collected_is_refused(minor: int) -> None:
    with pytest.raises(TopUpMalformed):
        check_amount(Money(minor, "USD"), _LEAST)
    check_amount(_LEAST, _LEAST)


def test_usual_rules_are_taken() -> None:
    check_automatic(_rule(threshold_minor=0, amount_minor=50, count_max=100), _LEAST)
    check_automatic(_rule(amount_minor=None, target_minor=1_050), _LEAST)


@pytest.mark.parametrize(
    "changed",
    [
        {"amount_minor": None},
        {"target_minor": 10_000},
        {"threshold_minor": -1},
        {"amount_minor": 49},
        {"amount_minor": TOP_UP_MINOR_MAX + 1},
        {"amount_minor": None, "target_minor": 1_049},
        {"count_max": 0},
        {"count_max": 101},
    ],
)
def test_a_rule_that_could_not_work_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(AutomaticTopUpMalformed):
        check_automatic(_rule(**changed), _LEAST)
