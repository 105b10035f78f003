"""The two calendars of a failed payment."""

import dataclasses
from datetime import datetime

import pytest

from domain.dunning.policy import (
    BANK_DEBIT,
    AfterLast,
    Failure,
    Next,
    Policy,
    Try,
    access,
    after_failure,
    asks_for_method,
    counted_failures,
    last_retry_at,
    may_retry,
    retries_of,
)
from domain.payments.attempt import Trigger
from domain.payments.declines import Decline, DeclineClass
from domain.subscriptions.subscription import AccessState, Status
from tests import make

_DEFAULT = Policy()
_BEGAN = make.at("2026-05-31T10:00")
_FUNDS = Decline(DeclineClass.SOFT, "card_declined", "insufficient_funds")
_STOLEN = Decline(DeclineClass.HARD, "card_declined", "stolen_card")


def _failure(at: str | datetime, counted: int, decline: Decline = _FUNDS, kind: str = "card") -> Failure:
    return Failure(make.at(at) if isinstance(at, str) else at, _BEGAN, counted, decline, kind)


@pytest.mark.parametrize(
    ("failed_at", "counted", "retry"),
    [
        # +2, +5 and +7 days, each from the attempt before: days 2, 7 and 14.
        ("2026-05-31T10:00", 1, "2026-06-02T10:00"),
        ("2026-06-02T10:00", 2, "2026-06-07T10:00"),
        ("2026-06-07T10:00", 3, "2026-06-14T10:00"),
        # A retry that came 3 hours late moves the next one.
        ("2026-06-02T13:00", 2, "2026-06-07T13:00"),
    ],
)
def test_a_soft_decline_is_retried_so_many_days_after_the_attempt_before(
    failed_at: str, counted: int, retry: str
) -> None:
    found = after_failure(_DEFAULT, _failure(failed_at, counted), "UTC")
    assert found == Next(Status.PAST_DUE, next_attempt_at=make.at(retry))
    assert not found.gives_up


@pytest.mark.parametrize(
    ("after_last", "status"),
    [
        (AfterLast.UNPAID, Status.UNPAID),
        (AfterLast.CANCEL, Status.CANCELED),
        (AfterLast.FALL_BACK, Status.CANCELED),
    ],
)
def test_after_the_last_retry_it_is_over_as_configured(after_last: AfterLast, status: Status) -> None:
    policy = dataclasses.replace(_DEFAULT, after_last=after_last)
    found = after_failure(policy, _failure("2026-06-14T10:00", 4), "UTC")
    assert (found.status, found.next_attempt_at, found.waits_until, found.gives_up) == (status, None, None, True)


@pytest.mark.parametrize(
    "decline", [_STOLEN, Decline(DeclineClass.CUSTOMER, "authentication_required"), Decline(DeclineClass.DATA)]
)
def test_any_other_decline_waits_for_the_customer_until_the_last_day_of_the_calendar(decline: Decline) -> None:
    assert after_failure(_DEFAULT, _failure(_BEGAN, 1, decline), "UTC") == Next(
        Status.PAST_DUE, waits_until=make.at("2026-06-14T10:00")
    )
    # A hard decline of the second retry still waits for the day of the third one.
    assert after_failure(_DEFAULT, _failure("2026-06-07T10:00", 3, decline), "UTC") == Next(
        Status.PAST_DUE, waits_until=make.at("2026-06-14T10:00")
    )
    # With that day over there is nothing to wait for.
    assert after_failure(_DEFAULT, _failure("2026-06-14T10:00", 2, decline), "UTC") == Next(Status.UNPAID)


def test_a_bank_debit_is_retried_twice_and_only_for_insufficient_funds() -> None:
    assert may_retry(_DEFAULT, _failure(_BEGAN, 1, kind=BANK_DEBIT))
    assert may_retry(_DEFAULT, _failure("2026-06-02T10:00", 2, kind=BANK_DEBIT))
    assert not may_retry(_DEFAULT, _failure("2026-06-07T10:00", 3, kind=BANK_DEBIT))
    assert not may_retry(_DEFAULT, _failure(_BEGAN, 1, Decline(DeclineClass.SOFT, "account_closed"), BANK_DEBIT))
    assert may_retry(_DEFAULT, _failure(_BEGAN, 1, Decline(DeclineClass.SOFT, "insufficient_funds"), BANK_DEBIT))
    # A card is charged again for any soft decline.
    assert may_retry(_DEFAULT, _failure("2026-06-07T10:00", 3, Decline(DeclineClass.SOFT, "do_not_honor")))
    # The third failure of a debit waits for another method until day 14.
    assert after_failure(_DEFAULT, _failure("2026-06-07T10:00", 3, kind=BANK_DEBIT), "UTC") == Next(
        Status.PAST_DUE, waits_until=make.at("2026-06-14T10:00")
    )


def test_a_new_method_is_asked_for_where_the_old_one_cannot_help() -> None:
    asked = {kind: asks_for_method(Decline(kind)) for kind in DeclineClass}
    assert asked == {
        DeclineClass.HARD: True,
        DeclineClass.DATA: True,
        DeclineClass.CUSTOMER: False,
        DeclineClass.SOFT: False,
    }


def test_the_calendar_of_a_payment_that_keeps_failing() -> None:
    assert retries_of(_DEFAULT, _BEGAN, "UTC") == (
        make.at("2026-06-02T10:00"),
        make.at("2026-06-07T10:00"),
        make.at("2026-06-14T10:00"),
    )
    assert last_retry_at(_DEFAULT, _BEGAN, "UTC") == make.at("2026-06-14T10:00")
    never = Policy(retry_days=())
    assert last_retry_at(never, _BEGAN, "UTC") == _BEGAN
    assert after_failure(never, _failure(_BEGAN, 1), "UTC").gives_up


def test_a_retry_may_move_to_the_morning_of_its_own_date() -> None:
    morning = Policy(retry_days=(2, 5), local_hour=9)
    # 23:30 on 26 March in Berlin is 22:30 UTC. Two days later, on 28 March, 09:00 there is 08:00 UTC; from there five
    # days of elapsed time lead over the clock change to 10:00 on 2 April, whose 09:00 is 07:00 UTC.
    assert retries_of(morning, make.at("2026-03-26T22:30"), "Europe/Berlin") == (
        make.at("2026-03-28T08:00"),
        make.at("2026-04-02T07:00"),
    )
    # On 29 March 2026 there is no 02:00 in Berlin: the retry moves forward to 03:00, 01:00 UTC.
    night = Policy(retry_days=(1,), local_hour=2)
    assert retries_of(night, make.at("2026-03-28T12:00"), "Europe/Berlin") == (make.at("2026-03-29T01:00"),)


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2026-05-31T10:00", AccessState.FULL),
        ("2026-06-07T09:59:59.999999", AccessState.FULL),
        # Seven days are over at their last instant.
        ("2026-06-07T10:00", AccessState.RESTRICTED),
        ("2026-06-14T10:00:04", AccessState.RESTRICTED),
        ("2026-06-14T10:00:05", AccessState.SUSPENDED),
    ],
)
def test_access_is_full_in_the_grace_then_restricted_and_suspended_once_given_up(at: str, state: AccessState) -> None:
    given_up_at = make.at("2026-06-14T10:00:05")
    assert access(_DEFAULT, _BEGAN, make.at(at), given_up_at=given_up_at) is state


def test_access_is_not_suspended_while_a_retry_is_still_to_come() -> None:
    assert access(_DEFAULT, _BEGAN, make.at("2026-07-31"), given_up_at=None) is AccessState.RESTRICTED


@pytest.mark.parametrize(
    ("tries", "counted"),
    [
        ([], 0),
        ([(Trigger.BILLING, False), (Trigger.RETRY, False)], 2),
        # What the customer started, or a new method did, uses up no retry.
        ([(Trigger.BILLING, False), (Trigger.CUSTOMER, False), (Trigger.NEW_METHOD, False)], 1),
        ([(Trigger.BILLING, False), (Trigger.RETRY, False), (Trigger.CUSTOMER, True), (Trigger.BILLING, False)], 1),
    ],
)
def test_failures_of_the_calendar_are_counted_since_the_last_success(
    tries: list[tuple[Trigger, bool]], counted: int
) -> None:
    assert counted_failures(Try(trigger, is_paid) for trigger, is_paid in tries) == counted
