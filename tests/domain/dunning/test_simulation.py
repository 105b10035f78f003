"""What a policy would do."""

import pytest

from domain.customers.customer import ZoneUnknown
from domain.dunning.policy import AfterLast, Policy
from domain.dunning.simulation import Failed, OutcomesMalformed, SimulationOutOfBounds, days_after, simulate
from tests import make

_BEGAN = make.at("2026-03-01T10:00")


def _told(policy: Policy, *outcomes: str, kind: str = "card", zone: str = "UTC") -> list[str]:
    found = simulate(policy, Failed(_BEGAN, outcomes, kind, zone))
    return [f"{days_after(_BEGAN, each.at)}: {each.what} {each.about}" for each in found]


def test_three_failures_then_the_free_plan() -> None:
    assert _told(Policy(after_last=AfterLast.FALL_BACK), "insufficient_funds") == [
        "0 d: attempt insufficient_funds",
        "0 d: mail payment_failed",
        "2 d: attempt insufficient_funds",
        "2 d: mail retry_failed",
        "7 d: attempt insufficient_funds",
        "7 d: mail retry_failed",
        "7 d: access restricted",
        "12 d: mail last_notice",
        "14 d: attempt insufficient_funds",
        "14 d: access suspended",
        "14 d: end fall_back",
        "14 d: mail ended",
    ]


def test_a_payment_that_succeeds_in_the_middle_ends_it() -> None:
    assert _told(Policy(), "insufficient_funds", "paid") == [
        "0 d: attempt insufficient_funds",
        "0 d: mail payment_failed",
        "2 d: attempt paid",
        "2 d: end paid",
    ]


def test_a_hard_decline_is_not_tried_again() -> None:
    assert _told(Policy(), "stolen_card") == [
        "0 d: attempt stolen_card",
        "0 d: mail payment_failed",
        "7 d: mail access_restricted",
        "7 d: access restricted",
        "12 d: mail last_notice",
        "14 d: access suspended",
        "14 d: end unpaid",
        "14 d: mail ended",
    ]


def test_a_policy_without_retries_or_mails_ends_at_once() -> None:
    silent = Policy(retry_days=(), mails=frozenset())
    assert _told(silent, "insufficient_funds") == [
        "0 d: attempt insufficient_funds",
        "0 d: access suspended",
        "0 d: end unpaid",
    ]


def test_a_retry_at_nine_in_the_morning_of_the_customer() -> None:
    # 10:00 UTC is 11:00 in Berlin; 09:00 there two days later is 08:00 UTC: 46 hours.
    told = _told(Policy(retry_days=(2,), local_hour=9), "insufficient_funds", "paid", zone="Europe/Berlin")
    assert told[2] == "1 d 22 h: attempt paid"


def test_outcomes_begin_with_a_failure_and_are_bounded() -> None:
    for outcomes in ((), ("paid",), ("insufficient_funds",) * 21):
        with pytest.raises(OutcomesMalformed):
            simulate(Policy(), Failed(_BEGAN, outcomes))


@pytest.mark.parametrize("at", ["1999-12-31T23:59", "3000-01-01T00:00", "9999-12-31T23:00"])
def test_a_failure_lies_in_a_time_that_has_a_calendar(at: str) -> None:
    with pytest.raises(SimulationOutOfBounds):
        simulate(Policy(), Failed(make.at(at), ["insufficient_funds"]))


def test_what_is_charged_and_where_must_be_known() -> None:
    with pytest.raises(SimulationOutOfBounds, match="card, us_bank_account"):
        _told(Policy(), "insufficient_funds", kind="cheque")
    with pytest.raises(ZoneUnknown):
        _told(Policy(), "insufficient_funds", zone="Mars/Olympus")
