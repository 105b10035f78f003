"""The next step of collecting an invoice."""

from datetime import timedelta

import pytest

from domain.invoices.invoice import State
from domain.kernel.money import Money
from domain.payments.attempt import AttemptState, Trigger, lost
from domain.payments.collection import Step, external, is_news_of_money, next_step
from domain.payments.push import Push, PushState
from tests.domain.payments.examples import NOON, attempt, invoice, method, push, seen

_DEFAULT = method(is_default=True)
_NEWER = method(NOON + timedelta(hours=1))
_PUSHED = push(PushState.PUSHED)


@pytest.mark.parametrize("record", [None, push(PushState.WAITING), push(PushState.PUSHING)])
def test_the_copy_comes_before_the_charge(record: object) -> None:
    assert next_step(is_open=True, push=record, last=None, methods=[_DEFAULT]) == (Step.PUSH, _DEFAULT)  # type: ignore[arg-type]
    assert next_step(is_open=True, push=_PUSHED, last=None, methods=[_DEFAULT]) == (Step.PAY, _DEFAULT)


@pytest.mark.parametrize("record", [None, push(PushState.WAITING), push(PushState.PUSHING)])
def test_without_a_method_only_the_copy_is_made(record: object) -> None:
    assert next_step(is_open=True, push=record, last=None, methods=[]) == (Step.NO_METHOD, None)  # type: ignore[arg-type]


def test_a_method_that_is_gone_before_any_charge_of_the_copy_is_asked_for_and_so_after_one_without_a_trace() -> None:
    assert next_step(is_open=True, push=_PUSHED, last=None, methods=[]) == (Step.NO_METHOD, None)
    without_a_trace = attempt(AttemptState.FAILED, _DEFAULT.id, decline=lost().decline)
    assert next_step(is_open=True, push=_PUSHED, last=without_a_trace, methods=[]) == (Step.NO_METHOD, None)
    assert next_step(is_open=True, push=_PUSHED, last=None, methods=[], is_due=False) == (Step.NOTHING, None)


def test_a_method_that_is_removed_after_a_try_asks_for_no_second_copy() -> None:
    last = attempt(AttemptState.FAILED, _DEFAULT.id)
    assert next_step(is_open=True, push=_PUSHED, last=last, methods=[]) == (Step.NOTHING, None)


@pytest.mark.parametrize("record", [push(PushState.WAITING), push(PushState.PUSHING)])
def test_what_is_asked_for_again_has_a_copy_on_which_it_can_be_paid(record: Push) -> None:
    returned = attempt(AttemptState.RETURNED, _DEFAULT.id)
    assert next_step(is_open=True, push=record, last=returned, methods=[_DEFAULT]) == (Step.NO_METHOD, None)
    assert next_step(is_open=True, push=_PUSHED, last=returned, methods=[_DEFAULT]) == (Step.NOTHING, None)


def test_a_new_method_charges_nothing_of_what_has_ended() -> None:
    failed, waiting = attempt(AttemptState.FAILED, _DEFAULT.id), attempt(AttemptState.ACTION_REQUIRED, _DEFAULT.id)
    found = [
        next_step(is_open=True, push=_PUSHED, last=last, methods=[_DEFAULT, _NEWER], is_over=True)[0]
        for last in (failed, waiting, None)
    ]
    assert found == [Step.NOTHING, Step.WAIT, Step.NO_METHOD]
    # What a person orders is carried out.
    ordered = attempt(AttemptState.PLANNED, _NEWER.id)
    step = next_step(is_open=True, push=_PUSHED, last=ordered, methods=[_NEWER], is_over=True)
    assert step == (Step.PAY, _NEWER)


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (AttemptState.SENT, Step.RECOVER),
        (AttemptState.UNKNOWN, Step.RECOVER),
        (AttemptState.PROCESSING, Step.WAIT),
        (AttemptState.ACTION_REQUIRED, Step.WAIT),
        (AttemptState.FAILED, Step.NOTHING),
        # It was paid and is asked for again: nothing was tried since.
        (AttemptState.SUCCEEDED, Step.NO_METHOD),
    ],
)
def test_an_attempt_decides_what_follows_it(state: AttemptState, step: Step) -> None:
    last = attempt(state, _DEFAULT.id)
    assert next_step(is_open=True, push=_PUSHED, last=last, methods=[_DEFAULT])[0] is step


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (AttemptState.UNKNOWN, Step.RECOVER),
        (AttemptState.PROCESSING, Step.WAIT),
        (AttemptState.ACTION_REQUIRED, Step.SUPERSEDE),
        (AttemptState.FAILED, Step.PAY),
        (AttemptState.SUPERSEDED, Step.PAY),
    ],
)
def test_a_new_method_waits_for_money_on_its_way_and_for_nothing_else(state: AttemptState, step: Step) -> None:
    last = attempt(state, _DEFAULT.id)
    assert next_step(is_open=True, push=_PUSHED, last=last, methods=[_DEFAULT, _NEWER])[0] is step


@pytest.mark.parametrize("state", [None, AttemptState.FAILED, AttemptState.ACTION_REQUIRED, AttemptState.PROCESSING])
def test_a_closed_invoice_is_never_charged(state: AttemptState | None) -> None:
    last = attempt(state, _DEFAULT.id) if state else None
    assert next_step(is_open=False, push=_PUSHED, last=last, methods=[_DEFAULT, _NEWER])[0] is Step.NOTHING


def test_an_unknown_attempt_of_a_closed_invoice_is_still_found_out() -> None:
    last = attempt(AttemptState.UNKNOWN, _DEFAULT.id)
    assert next_step(is_open=False, push=_PUSHED, last=last, methods=[_DEFAULT])[0] is Step.RECOVER


@pytest.mark.parametrize(("record", "step"), [(None, Step.PUSH), (_PUSHED, Step.PAY)])
def test_an_ordered_attempt_is_carried_out_on_the_method_that_it_names(record: object, step: Step) -> None:
    ordered = attempt(AttemptState.PLANNED, _NEWER.id)
    found = next_step(is_open=True, push=record, last=ordered, methods=[_DEFAULT, _NEWER])  # type: ignore[arg-type]
    assert found == (step, _NEWER)


def test_an_ordered_attempt_is_withdrawn_once_nothing_is_owed_or_its_method_is_gone() -> None:
    ordered = attempt(AttemptState.PLANNED, _NEWER.id)
    paid = next_step(is_open=False, push=_PUSHED, last=ordered, methods=[_DEFAULT, _NEWER])
    assert paid == (Step.WITHDRAW, None)
    assert next_step(is_open=True, push=_PUSHED, last=ordered, methods=[_DEFAULT]) == (Step.WITHDRAW, None)


def test_before_it_is_due_nobody_is_charged_who_has_not_ordered_it() -> None:
    methods = [_DEFAULT]
    assert next_step(is_open=True, push=None, last=None, methods=methods, is_due=False) == (Step.NOTHING, None)
    ordered = attempt(AttemptState.PLANNED, _DEFAULT.id)
    assert next_step(is_open=True, push=None, last=ordered, methods=methods, is_due=False)[0] is Step.PUSH


@pytest.mark.parametrize(("record", "step"), [(_PUSHED, Step.CLOSE), (push(PushState.PUSHING), Step.CLOSE)])
def test_the_copy_of_what_was_paid_another_way_is_closed_once(record: object, step: Step) -> None:
    last = attempt(AttemptState.SUCCEEDED, trigger=Trigger.STAFF)
    found = next_step(is_open=False, push=record, last=last, methods=[_DEFAULT], is_given_up=True)  # type: ignore[arg-type]
    assert found == (step, None)
    closed = next_step(is_open=False, push=push(PushState.CLOSED), last=last, methods=[], is_given_up=True)
    assert closed == (Step.NOTHING, None)


def test_money_of_the_gateway_beside_recorded_money_is_news_too() -> None:
    paid = invoice(state=State.PAID)
    recorded = attempt(AttemptState.SUCCEEDED, trigger=Trigger.STAFF)
    assert is_news_of_money(paid, recorded, seen(paid_minor=2_900))
    # The copy that is closed as paid out of band shows none.
    assert not is_news_of_money(paid, recorded, seen(paid_minor=0))
    charged = attempt(AttemptState.SUCCEEDED, _DEFAULT.id, trigger=Trigger.STAFF)
    assert not is_news_of_money(paid, charged, seen(paid_minor=2_900))


def test_money_that_staff_took_back_does_not_make_a_tried_method_untried() -> None:
    failed = attempt(AttemptState.FAILED, _DEFAULT.id)
    taken_back = attempt(AttemptState.RETURNED, trigger=Trigger.STAFF)
    again = next_step(is_open=True, push=_PUSHED, last=taken_back, methods=[_DEFAULT], charged=failed)
    assert again == (Step.NOTHING, None)
    newer = next_step(is_open=True, push=_PUSHED, last=taken_back, methods=[_DEFAULT, _NEWER], charged=failed)
    assert newer == (Step.PAY, _NEWER)
    # One that was never charged is, once it is due.
    assert next_step(is_open=True, push=_PUSHED, last=taken_back, methods=[_DEFAULT]) == (Step.PAY, _DEFAULT)


@pytest.mark.parametrize(
    ("state", "minor"),
    [
        # 34.51 are due here; the copy shows 40.00.
        (State.OPEN, 3_451),
        (State.UNCOLLECTIBLE, 3_451),
        # Here nothing is: what came counts.
        (State.VOID, 4_000),
        (State.PAID, 4_000),
    ],
)
def test_money_for_an_invoice_that_cannot_take_it_counts_as_it_came(state: State, minor: int) -> None:
    planned = attempt(AttemptState.PLANNED, amount=Money(3_451, "USD"))
    assert external(planned, invoice(state=state), seen(paid_minor=4_000)).amount.minor == minor
    assert external(planned, invoice(state=state), seen(paid_minor=0)).amount.minor == 3_451


@pytest.mark.parametrize(
    ("record", "last", "step"),
    [
        (None, None, Step.PUSH),
        (push(PushState.WAITING), None, Step.PUSH),
        (push(PushState.PUSHING), None, Step.PUSH),
        (_PUSHED, None, Step.NOTHING),
        (_PUSHED, attempt(AttemptState.FAILED, _DEFAULT.id), Step.NOTHING),
        (_PUSHED, attempt(AttemptState.PROCESSING, _DEFAULT.id), Step.WAIT),
        (_PUSHED, attempt(AttemptState.UNKNOWN, _DEFAULT.id), Step.RECOVER),
        (_PUSHED, attempt(AttemptState.PLANNED, _DEFAULT.id), Step.PAY),
    ],
)
def test_of_what_is_sent_the_copy_is_made_and_nothing_is_charged_without_an_order(
    record: object, last: object, step: Step
) -> None:
    methods = [_DEFAULT, _NEWER]
    found = next_step(is_open=True, push=record, last=last, methods=methods, is_due=False, is_sent=True)  # type: ignore[arg-type]
    assert found[0] is step
    no_method = next_step(is_open=True, push=None, last=None, methods=[], is_sent=True)
    assert no_method == (Step.PUSH, None)


@pytest.mark.parametrize(
    ("state", "last", "is_news"),
    [
        (State.OPEN, None, True),
        (State.OPEN, AttemptState.FAILED, True),
        (State.OPEN, AttemptState.RETURNED, True),
        # It is open again: what that attempt brought is gone, and this is another copy.
        (State.OPEN, AttemptState.SUCCEEDED, True),
        (State.PAID, AttemptState.SUCCEEDED, False),
        (State.CHARGED_BACK, AttemptState.SUCCEEDED, False),
    ],
)
def test_money_on_a_copy_is_news_unless_an_attempt_has_brought_it(
    state: State, last: AttemptState | None, *, is_news: bool
) -> None:
    owed = invoice(state=state, tax=Money(0, "USD"))
    paid = seen(paid_minor=2_900)
    assert is_news_of_money(owed, attempt(last) if last is not None else None, paid) is is_news
