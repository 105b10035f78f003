"""How a subscription moves from state to state."""

from dataclasses import replace

import pytest

from domain.kernel.ids import InvoiceId
from domain.kernel.period import Period
from domain.subscriptions import lifecycle
from domain.subscriptions.lifecycle import CancelReason, FeedbackMalformed
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import LIVE, Source, Status, Subscription
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.subscriptions import examples

_NOW = make.at("2026-02-10T12:00")
_FIRST, _SECOND = InvoiceId(make.new_id()), InvoiceId(make.new_id())


def test_a_cancel_at_period_end_of_a_yearly_subscription_waits_for_the_end_of_its_year() -> None:
    before = examples.value(on="2026-01-31T10:00", interval=Interval.YEAR)
    after = lifecycle.cancel(before, _NOW, at_period_end=True, reason=CancelReason.UNUSED)
    assert (after.status, after.cancel_at, after.canceled_at) == (Status.ACTIVE, make.at("2027-01-31T10:00"), _NOW)
    assert (after.ended_at, after.cancel_reason) == (None, "unused")


def test_a_cancel_now_ends_at_once_and_is_looked_at_once_more_after_36_days() -> None:
    after = lifecycle.cancel(examples.value(), _NOW, at_period_end=False)
    assert (after.status, after.cancel_at, after.ended_at) == (Status.CANCELED, _NOW, _NOW)
    # 10 February + 36 days: 18 days to the 28th, 18 more to 18 March.
    assert after.settles_at == make.at("2026-03-18T12:00")
    assert lifecycle.settle(after).settles_at is None


def test_a_pending_cancel_is_not_changed_by_a_second_one_but_can_be_brought_forward() -> None:
    pending = lifecycle.cancel(examples.value(), _NOW, at_period_end=True, reason=CancelReason.UNUSED)
    later = make.at("2026-02-11T00:00")
    assert lifecycle.cancel(pending, later, at_period_end=True, reason=CancelReason.OTHER) == pending
    ended = lifecycle.cancel(pending, later, at_period_end=False)
    assert (ended.ended_at, ended.canceled_at, ended.cancel_reason) == (later, _NOW, "unused")
    assert lifecycle.cancel(ended, later, at_period_end=False) == ended


def test_a_cancel_at_a_date_ends_there_and_another_date_replaces_it() -> None:
    before = examples.value(on="2026-01-31T10:00")
    dated = lifecycle.cancel(before, _NOW, at_period_end=True, at=make.at("2026-06-15T00:00"))
    assert (dated.status, dated.cancel_at, dated.ended_at) == (Status.ACTIVE, make.at("2026-06-15T00:00"), None)
    sooner = lifecycle.cancel(dated, _NOW, at_period_end=True, at=make.at("2026-05-01T00:00"))
    assert (sooner.cancel_at, sooner.canceled_at) == (make.at("2026-05-01T00:00"), _NOW)
    assert lifecycle.cancel(sooner, _NOW, at_period_end=True) == sooner
    assert lifecycle.undo_cancel(sooner, _NOW) == before


def test_an_end_brought_forward_into_a_period_that_is_billed_keeps_how_far_it_was_billed() -> None:
    before = replace(examples.value(on="2026-01-31T10:00"), quantity=2)
    dated = lifecycle.cancel(before, _NOW, at_period_end=True, at=make.at("2026-03-20T00:00"))
    # In the period in which the end was asked for, all of it had been billed before, and any end leaves that alone.
    assert lifecycle.cancel(dated, _NOW, at_period_end=False).paid_until is None
    later = lifecycle.advance(dated)
    assert later.fee_period == Period(make.at("2026-02-28T10:00"), make.at("2026-03-31T10:00"))
    ended = lifecycle.cancel(later, make.at("2026-03-10T00:00"), at_period_end=False)
    assert (ended.ended_at, ended.paid_until) == (make.at("2026-03-10T00:00"), make.at("2026-03-20T00:00"))
    sooner = lifecycle.cancel(later, make.at("2026-03-10T00:00"), at_period_end=True, at=make.at("2026-03-15T00:00"))
    assert sooner.paid_until == make.at("2026-03-20T00:00")
    # Sooner still, it was billed as far as before; an end that lay beyond the period had it billed whole.
    assert lifecycle.end(sooner, make.at("2026-03-12T00:00")).paid_until == make.at("2026-03-20T00:00")
    assert lifecycle.end(replace(later, cancel_at=make.at("2026-06-01")), _NOW).paid_until is None
    whole = lifecycle.cancel(
        replace(later, cancel_at=make.at("2026-06-01")), make.at("2026-03-10"), at_period_end=False
    )
    assert whole.paid_until == make.at("2026-03-31T10:00")
    assert lifecycle.undo_cancel(sooner, make.at("2026-03-11T00:00")) == replace(
        before, period=later.period, fee_period=later.fee_period
    )
    assert lifecycle.end(later, make.at("2026-03-20T00:00")).paid_until is None


# 1,830 days after 10 February 2026 is the last day that is not too far: 2031-02-14.
@pytest.mark.parametrize("date", ["2026-02-10T12:00", "2026-01-01T00:00", "2031-02-14T12:00:01"])
def test_a_date_of_an_end_lies_ahead_and_not_too_far(date: str) -> None:
    with pytest.raises(TransitionRefused):
        lifecycle.cancel(examples.value(), _NOW, at_period_end=True, at=make.at(date))


def test_a_pending_cancel_can_be_undone_until_it_takes_effect() -> None:
    before = examples.value()
    pending = lifecycle.cancel(before, _NOW, at_period_end=True, reason=CancelReason.UNUSED, feedback=b"sealed")
    assert lifecycle.undo_cancel(pending, _NOW) == before
    assert lifecycle.undo_cancel(before, _NOW) == before
    assert pending.cancel_at is not None
    with pytest.raises(TransitionRefused):
        lifecycle.undo_cancel(pending, pending.cancel_at)
    with pytest.raises(TransitionRefused):
        lifecycle.undo_cancel(lifecycle.end(before, _NOW), _NOW)


@pytest.mark.parametrize(
    "before", [examples.value(source=Source.STRIPE), examples.value(status=Status.INCOMPLETE)], ids=["stripe", "unpaid"]
)
def test_what_stripe_bills_and_what_has_not_begun_can_not_be_canceled_here(before: Subscription) -> None:
    with pytest.raises(TransitionRefused):
        lifecycle.cancel(before, _NOW, at_period_end=True)
    with pytest.raises(TransitionRefused):
        lifecycle.undo_cancel(before, _NOW)


def test_the_usage_period_advances_each_month_and_the_fee_period_each_year() -> None:
    subscription = examples.value(on="2025-02-28T10:00", interval=Interval.YEAR)
    ends = []
    for _ in range(12):
        assert subscription.fee_period.start == make.at("2025-02-28T10:00")
        ends.append(subscription.period.end.date().isoformat())
        subscription = lifecycle.advance(subscription)
    assert ends[:3] == ["2025-03-28", "2025-04-28", "2025-05-28"]
    assert subscription.period == Period(make.at("2026-02-28T10:00"), make.at("2026-03-28T10:00"))
    assert subscription.fee_period == Period(make.at("2026-02-28T10:00"), make.at("2027-02-28T10:00"))


def test_the_fee_period_of_what_stripe_bills_waits_for_news_of_stripe() -> None:
    before = examples.value(source=Source.STRIPE)
    after = lifecycle.advance(before)
    assert after.period.start == before.period.end
    assert after.fee_period == before.fee_period


def test_a_failed_payment_makes_it_past_due_until_no_failed_invoice_is_left() -> None:
    active = examples.value()
    past_due = lifecycle.payment_failed(lifecycle.payment_failed(active, _FIRST), _SECOND)
    assert past_due.status is Status.PAST_DUE
    assert lifecycle.payment_failed(past_due, _FIRST) == past_due
    still = lifecycle.payment_cleared(past_due, _FIRST)
    assert (still.status, still.failed_invoice_ids) == (Status.PAST_DUE, (_SECOND,))
    assert lifecycle.payment_cleared(still, _FIRST) == still
    assert lifecycle.payment_cleared(still, _SECOND) == active


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.ACTIVE, Status.CANCELED}))
def test_a_failure_leaves_every_other_status_as_it_is(status: Status) -> None:
    assert lifecycle.payment_failed(examples.value(status=status), _FIRST).status is status


def test_what_has_ended_absorbs_late_news_of_payments() -> None:
    ended = replace(lifecycle.end(examples.value(), _NOW), failed_invoice_ids=(_FIRST,))
    assert lifecycle.payment_failed(ended, _SECOND) == ended
    assert lifecycle.payment_cleared(ended, _FIRST) == ended
    assert lifecycle.end(ended, make.at("2026-03-01")) == ended


def test_live_is_everything_but_incomplete_and_canceled() -> None:
    assert {each.value for each in LIVE} == {"trialing", "active", "past_due", "paused", "unpaid"}


@pytest.mark.parametrize("text", ["", "   ", "x" * 2_001, "a\0b", "a\ud800b"])
def test_feedback_that_can_not_be_kept_is_refused(text: str) -> None:
    with pytest.raises(FeedbackMalformed):
        lifecycle.check_feedback(text)
    assert lifecycle.check_feedback(" too dear\nfor us ") == "too dear\nfor us"
