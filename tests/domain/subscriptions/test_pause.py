"""Pausing where what is paid ends, and resuming with a period of its own."""

from dataclasses import replace
from datetime import datetime

import pytest

from domain.kernel.ids import InvoiceId
from domain.kernel.period import Period
from domain.subscriptions import lifecycle, pause
from domain.subscriptions.lifecycle import Step
from domain.subscriptions.schedule import Interval
from domain.subscriptions.segments import first_stretch, following, is_complete
from domain.subscriptions.subscription import Source, Status, Subscription, TrialEnd
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.subscriptions import examples
from tests.make import at

_NOW = at("2026-02-10T12:00")
_END = at("2026-02-28T10:00")


def _paused(before: Subscription | None = None) -> Subscription:
    return pause.pause(pause.ask_pause(before or examples.value(), _NOW))


def test_a_pause_begins_where_what_is_paid_ends_and_credits_nothing() -> None:
    before = examples.value(on="2026-01-31T10:00")
    asked = pause.ask_pause(before, _NOW, resumes_at=at("2026-06-01"))
    assert (asked.status, asked.pause_at, asked.resumes_at, asked.due_at) == (
        Status.ACTIVE,
        _END,
        at("2026-06-01"),
        _END,
    )
    assert lifecycle.next_step(asked) is Step.PAUSE
    paused = pause.pause(asked)
    assert (paused.status, paused.due_at) == (Status.PAUSED, at("2026-06-01"))
    assert lifecycle.next_step(paused) is Step.RESUME
    assert pause.undo_pause(asked) == before
    yearly = examples.value(on="2026-01-31T10:00", interval=Interval.YEAR)
    assert pause.ask_pause(yearly, _NOW).pause_at == at("2027-01-31T10:00")


def test_asking_again_moves_where_a_pause_ends_and_not_where_it_begins() -> None:
    paused = _paused()
    again = pause.ask_pause(paused, at("2026-05-01"), resumes_at=at("2026-07-01"))
    assert (again.status, again.pause_at, again.resumes_at) == (Status.PAUSED, _END, at("2026-07-01"))


@pytest.mark.parametrize("resumes_at", [_END, at("2026-02-28T09:59"), at("2028-02-12T12:00:01")])
def test_a_pause_ends_after_it_begins_and_within_two_years(resumes_at: datetime) -> None:
    with pytest.raises(TransitionRefused):
        pause.ask_pause(examples.value(), _NOW, resumes_at=resumes_at)


@pytest.mark.parametrize(
    "before",
    [
        examples.value(status=Status.PAST_DUE),
        examples.value(status=Status.TRIALING),
        examples.value(status=Status.UNPAID),
        examples.value(status=Status.CANCELED),
        examples.value(source=Source.STRIPE),
        replace(examples.value(), cancel_at=_END),
    ],
    ids=["past due", "trialing", "unpaid", "canceled", "stripe", "end pending"],
)
def test_only_an_active_one_whose_end_is_not_pending_can_pause(before: Subscription) -> None:
    with pytest.raises(TransitionRefused):
        pause.ask_pause(before, _NOW)


def test_a_pause_does_not_begin_while_an_invoice_is_overdue() -> None:
    owing = lifecycle.payment_failed(pause.ask_pause(examples.value(), _NOW), InvoiceId(make.new_id()))
    after = pause.pause(owing)
    assert (after.status, after.pause_at, after.resumes_at) == (Status.PAST_DUE, None, None)


def test_resuming_opens_a_full_period_at_its_instant() -> None:
    resumed = pause.resume(_paused(), at("2026-07-11T08:00"))
    whole = Period(at("2026-07-11T08:00"), at("2026-08-11T08:00"))
    assert (resumed.status, resumed.period, resumed.fee_period) == (Status.ACTIVE, whole, whole)
    assert (resumed.anchor_at, resumed.running_since, resumed.pause_at) == (whole.start, whole.start, None)
    for wrong in (examples.value(), examples.value(status=Status.CANCELED)):
        with pytest.raises(TransitionRefused):
            pause.resume(wrong, _NOW)
    with pytest.raises(TransitionRefused):
        pause.undo_pause(_paused())


def test_what_failed_to_be_paid_during_a_pause_is_owed_after_it() -> None:
    owing = lifecycle.payment_failed(_paused(), InvoiceId(make.new_id()))
    assert (owing.status, pause.resume(owing, at("2026-07-11")).status) == (Status.PAUSED, Status.PAST_DUE)


def test_no_segment_lies_in_a_pause_and_the_next_one_begins_where_it_ends() -> None:
    paused = _paused()
    stretches = [during for during, _ in following(paused, None, at("2026-06-01"))]
    assert stretches == [Period(at("2026-01-31T10:00"), _END)]
    last = examples.segment_of(paused, stretches[0], stretches[0])
    assert not list(following(paused, last, at("2026-06-01")))
    assert is_complete(paused, last, _END)
    resumed = pause.resume(paused, at("2026-07-11"))
    assert [during for during, _ in following(resumed, last, at("2026-07-12"))] == [
        Period(at("2026-07-11"), at("2026-08-11"))
    ]
    assert is_complete(resumed, last, at("2026-07-11"))


def test_a_segment_ends_where_a_trial_does() -> None:
    # The trial ends on the 14th, the usage period, by a bill day, on the 1st.
    tried = replace(
        examples.value(on="2026-02-01"),
        status=Status.TRIALING,
        trial_ends_at=at("2026-02-14"),
        trial_end=TrialEnd.CANCEL,
    )
    whole = Period(at("2026-02-01"), at("2026-03-01"))
    assert first_stretch(tried, whole.start) == (Period(whole.start, at("2026-02-14")), whole)
    assert first_stretch(tried, at("2026-02-14")) == (Period(at("2026-02-14"), whole.end), whole)


def test_a_trial_that_nobody_can_be_charged_for_pauses_at_its_end() -> None:
    tried = replace(examples.value(), status=Status.TRIALING, trial_ends_at=_END, trial_end=TrialEnd.PAUSE)
    assert lifecycle.next_step(tried) is Step.LEAVE_TRIAL
    paused = pause.pause_unpaid_trial(tried)
    assert (paused.status, paused.pause_at, paused.due_at) == (Status.PAUSED, _END, None)


def test_a_trial_becomes_the_first_paid_period() -> None:
    tried = replace(
        examples.value(on="2026-02-14"), status=Status.TRIALING, trial_ends_at=at("2026-02-14"), trial_end=TrialEnd.BILL
    )
    paid = lifecycle.trial_over(tried)
    assert (paid.status, paid.fee_period) == (Status.ACTIVE, Period(at("2026-02-14"), at("2026-03-14")))
    owing = lifecycle.trial_over(replace(tried, failed_invoice_ids=(InvoiceId(make.new_id()),)))
    assert owing.status is Status.PAST_DUE
    with pytest.raises(TransitionRefused):
        lifecycle.trial_over(paid)


def test_a_first_payment_starts_what_waits_for_it_and_without_one_it_never_ran() -> None:
    waiting = replace(examples.value(status=Status.INCOMPLETE), expires_at=at("2026-02-01T09:00"))
    assert lifecycle.next_step(waiting) is Step.LAPSE
    paid = lifecycle.payment_cleared(waiting, InvoiceId(make.new_id()))
    assert (paid.status, paid.expires_at) == (Status.ACTIVE, None)
    lapsed = lifecycle.lapse(waiting)
    assert (lapsed.status, lapsed.ended_at, lapsed.expires_at) == (Status.CANCELED, waiting.started_at, None)
    with pytest.raises(TransitionRefused):
        lifecycle.lapse(paid)


def test_an_end_goes_before_a_pause_and_before_the_end_of_a_trial_and_stripes_own_only_renew() -> None:
    ending = replace(examples.value(), cancel_at=_END, pause_at=_END)
    assert lifecycle.next_step(ending) is Step.END
    assert lifecycle.next_step(replace(ending, cancel_at=None)) is Step.PAUSE
    assert lifecycle.next_step(examples.value()) is Step.RENEW
    assert lifecycle.next_step(replace(examples.value(source=Source.STRIPE), cancel_at=_END)) is Step.RENEW
