"""A dunning case from the first failure to its end."""

from datetime import timedelta

import pytest

from domain.dunning.case import (
    Case,
    CaseState,
    Step,
    due_at,
    failed_again,
    failed_beside,
    given_up,
    last_day,
    noticed,
    opened,
    ordered,
    paid,
    paused,
    put_off,
    reopened,
    resumed,
    run,
    written_off,
)
from domain.dunning.policy import Policy
from domain.invoices.invoice import State as InvoiceState
from domain.payments.declines import Decline, DeclineClass
from domain.subscriptions.subscription import Status
from tests import make

_POLICY = Policy()
_BEGAN = make.at("2026-05-31T10:00")
_SOFT, _HARD = Decline(DeclineClass.SOFT), Decline(DeclineClass.HARD)


def _open(decline: Decline = _SOFT) -> Case:
    return opened(_POLICY, _BEGAN, decline, method_kind="card", zone="UTC")[0]


def _run(case: Case, at: str, invoice: InvoiceState = InvoiceState.OPEN, status: Status = Status.PAST_DUE) -> Step:
    return run(case, make.at(at), invoice=invoice, subscription=status)[1]


def test_a_case_is_charged_on_its_three_days_and_then_given_up() -> None:
    case, first = opened(_POLICY, _BEGAN, _SOFT, method_kind="card", zone="UTC")
    assert (first.status, case.counted) == (Status.PAST_DUE, 1)
    for day in ("2026-06-02T10:00", "2026-06-07T10:00", "2026-06-14T10:00"):
        assert case.next_attempt_at == make.at(day)
        assert _run(case, f"{day[:8]}{int(day[8:10]) - 1:02}T23:59") is Step.NOTHING
        assert _run(case, day) is Step.CHARGE
        # Until the attempt is settled it stays due.
        assert _run(case, day) is Step.CHARGE
        case, last = failed_again(_POLICY, case, make.at(day), _SOFT, method_kind="card", zone="UTC")
    assert last.status is Status.UNPAID
    assert case == Case(CaseState.GIVEN_UP, _BEGAN, 4, None, None, make.at("2026-06-14T10:00"))
    assert _run(case, "2026-07-01") is Step.NOTHING


def test_after_a_hard_decline_nothing_is_charged_and_the_last_day_ends_it() -> None:
    case = _open(_HARD)
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-06-14T10:00"))
    assert _run(case, "2026-06-14T09:59:59") is Step.NOTHING
    after, step = run(case, make.at("2026-06-14T10:00"), invoice=InvoiceState.OPEN, subscription=Status.PAST_DUE)
    assert (after.state, step, after.waits_until) == (CaseState.GIVEN_UP, Step.GIVE_UP, None)


@pytest.mark.parametrize(
    ("invoice", "status"),
    [
        (InvoiceState.VOID, Status.PAST_DUE),
        (InvoiceState.UNCOLLECTIBLE, Status.PAST_DUE),
        (InvoiceState.OPEN, Status.CANCELED),
    ],
)
def test_what_has_ended_or_is_void_is_never_charged(invoice: InvoiceState, status: Status) -> None:
    after, step = run(_open(), make.at("2026-06-02T10:00"), invoice=invoice, subscription=status)
    assert (after.state, after.next_attempt_at, step) == (CaseState.DROPPED, None, Step.NOTHING)


def test_success_clears_everything_and_is_safe_to_repeat() -> None:
    at = make.at("2026-06-01")
    after = paid(_open(), at)
    assert after == Case(CaseState.RECOVERED, _BEGAN, 1, None, None, at)
    assert paid(after, make.at("2026-06-03")) is after
    assert _run(after, "2026-06-02T10:00") is Step.NOTHING


def test_a_run_that_finds_the_invoice_paid_recovers_the_case() -> None:
    after, step = run(_open(), make.at("2026-06-02T10:00"), invoice=InvoiceState.PAID, subscription=Status.ACTIVE)
    assert (after.state, step) == (CaseState.RECOVERED, Step.NOTHING)


def test_money_that_comes_after_all_recovers_what_was_given_up() -> None:
    given_up = Case(CaseState.GIVEN_UP, _BEGAN, 4, None, None, make.at("2026-06-14T10:00"))
    assert paid(given_up, make.at("2026-06-20")).state is CaseState.RECOVERED


_DAY_14 = make.at("2026-06-14T10:00")


def _beside(case: Case, at: str, decline: Decline = _SOFT) -> Case:
    return failed_beside(_POLICY, case, make.at(at), decline, method_kind="card", zone="UTC")


def test_an_attempt_of_a_person_uses_no_retry_and_what_was_planned_stays() -> None:
    case = ordered(_open(), make.at("2026-06-01"))
    after = _beside(case, "2026-06-01")
    assert (after.counted, after.next_attempt_at, after.charging_since) == (1, make.at("2026-06-02T10:00"), None)


def test_a_new_method_that_fails_softly_goes_on_with_the_next_day_of_the_calendar() -> None:
    waiting = _open(_HARD)
    after = _beside(waiting, "2026-06-03")
    assert (after.next_attempt_at, after.waits_until, after.skipped) == (make.at("2026-06-07T10:00"), None, 1)
    # The retry of day 7 is the second of three: one more follows, seven days later.
    next_case, next_ = failed_again(_POLICY, after, make.at("2026-06-07T10:00"), _SOFT, method_kind="card", zone="UTC")
    assert next_.next_attempt_at == _DAY_14
    assert last_day(_POLICY, after) == _DAY_14
    assert last_day(_POLICY, next_case) == _DAY_14
    # After the last day, and for a hard decline, it goes on waiting.
    assert _beside(waiting, "2026-06-14T10:00").waits_until == _DAY_14
    assert _beside(waiting, "2026-06-03", _HARD).waits_until == _DAY_14


def test_a_retry_is_put_off_by_a_day_at_most_and_waits_for_the_customer_otherwise() -> None:
    day = timedelta(days=1)
    tomorrow = put_off(_POLICY, _open(), make.at("2026-06-03T10:00"), longest=day, zone="UTC")
    assert (tomorrow.next_attempt_at, tomorrow.waits_until) == (make.at("2026-06-03T10:00"), None)
    later = put_off(_POLICY, _open(), make.at("2026-06-03T10:01"), longest=day, zone="UTC")
    assert (later.next_attempt_at, later.waits_until) == (None, _DAY_14)


def test_a_pause_moves_everything_by_as_long_as_it_stood() -> None:
    case = _open()
    stopped = paused(case, make.at("2026-06-01"))
    assert paused(stopped, make.at("2026-06-02")) is stopped
    assert due_at(stopped, [make.at("2026-06-07")]) is None
    assert _run(stopped, "2026-06-20") is Step.NOTHING
    after, stood = resumed(stopped, make.at("2026-06-04"))
    assert stood == timedelta(days=3)
    assert (after.next_attempt_at, after.notice_at) == (make.at("2026-06-05T10:00"), make.at("2026-06-15T10:00"))
    assert resumed(after, make.at("2026-06-05")) == (after, timedelta(0))
    closed = paid(case, make.at("2026-06-01"))
    assert paused(closed, make.at("2026-06-02")) is closed


def test_it_is_due_at_the_first_of_its_retry_its_notice_and_the_end_of_a_grace() -> None:
    case = _open()
    assert due_at(case, []) == make.at("2026-06-02T10:00")
    assert due_at(case, [make.at("2026-06-01")]) == make.at("2026-06-01")
    waiting = noticed(_open(_HARD))
    assert due_at(waiting, []) == _DAY_14
    assert due_at(_open(_HARD), []) == make.at("2026-06-12T10:00")
    assert due_at(ordered(case, make.at("2026-06-02T10:00")), []) is None
    assert due_at(written_off(case, _BEGAN), [make.at("2026-06-07")]) is None


def test_a_case_that_was_given_up_is_over_for_good_once_its_invoice_is_void() -> None:
    lost = given_up(_open(), _DAY_14)
    after, _ = run(lost, make.at("2026-06-20"), invoice=InvoiceState.VOID, subscription=Status.UNPAID)
    assert after.state is CaseState.DROPPED
    assert run(lost, make.at("2026-06-20"), invoice=InvoiceState.OPEN, subscription=Status.CANCELED)[0] is lost


def test_a_policy_without_retries_sends_no_last_notice() -> None:
    case, next_ = opened(Policy(retry_days=()), _BEGAN, _SOFT, method_kind="card", zone="UTC")
    assert (next_.gives_up, case.notice_at, case.state) == (True, None, CaseState.GIVEN_UP)
    silent, _ = opened(Policy(last_notice_days=None), _BEGAN, _SOFT, method_kind="card", zone="UTC")
    assert silent.notice_at is None
    # A notice that would come before the failure is none.
    short, _ = opened(Policy(retry_days=(1,)), _BEGAN, _SOFT, method_kind="card", zone="UTC")
    assert short.notice_at is None


def test_a_payment_that_was_returned_begins_the_calendar_anew() -> None:
    returned_at = make.at("2026-07-01T10:00")
    funds = Decline(DeclineClass.SOFT, "insufficient_funds")
    debit = {"method_kind": "us_bank_account", "zone": "UTC"}
    case, next_ = reopened(_POLICY, returned_at, funds, **debit, on_method=2)
    assert (case.state, case.first_failed_at, case.counted, case.next_attempt_at) == (
        CaseState.OPEN,
        returned_at,
        1,
        make.at("2026-07-03T10:00"),
    )
    # Two days before the 14th day.
    assert (case.notice_at, next_.status) == (make.at("2026-07-13T10:00"), Status.PAST_DUE)
    # A debit that was sent three times is not sent again.
    case, _ = reopened(_POLICY, returned_at, funds, **debit, on_method=3)
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-07-15T10:00"))
    case, _ = reopened(_POLICY, returned_at, _HARD, **debit, on_method=1)
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-07-15T10:00"))


def test_without_retries_a_returned_payment_is_given_up_at_once() -> None:
    case, next_ = reopened(Policy(retry_days=()), _BEGAN, _SOFT, method_kind="card", zone="UTC", on_method=1)
    assert (case.state, case.notice_at, next_.gives_up) == (CaseState.GIVEN_UP, None, True)
