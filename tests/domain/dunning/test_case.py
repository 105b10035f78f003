"""A dunning case from the first failure to its end."""

import pytest

from domain.dunning.case import Case, CaseState, Step, failed_again, opened, paid, run
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
