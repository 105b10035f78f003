"""The states of an attempt."""

from datetime import timedelta

import pytest

from domain.payments.attempt import (
    ENDED,
    LIVE,
    AttemptState,
    give_back,
    is_untried,
    key_expired,
    lost,
    news_of,
    send,
    settle,
    supersede,
)
from domain.payments.declines import Decline, DeclineClass
from domain.payments.port import PayOutcome, PayState
from tests.domain.payments.examples import NOON, attempt

_DECLINED = PayOutcome(PayState.DECLINED, Decline(DeclineClass.SOFT, "card_declined"), "pi_1")
_OUTCOMES = {
    PayState.PAID: PayOutcome(PayState.PAID, gateway_payment_id="pi_1"),
    PayState.PROCESSING: PayOutcome(PayState.PROCESSING),
    PayState.ACTION_REQUIRED: PayOutcome(PayState.ACTION_REQUIRED),
    PayState.DECLINED: _DECLINED,
    PayState.UNKNOWN: PayOutcome(PayState.UNKNOWN),
}
_LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "outcome", "after"),
    [
        ("planned", "paid", "succeeded"),
        ("sent", "paid", "succeeded"),
        ("sent", "processing", "processing"),
        ("sent", "action_required", "action_required"),
        ("sent", "declined", "failed"),
        ("sent", "unknown", "unknown"),
        ("unknown", "unknown", "unknown"),
        ("unknown", "paid", "succeeded"),
        ("unknown", "declined", "failed"),
        ("processing", "unknown", "processing"),
        ("processing", "paid", "succeeded"),
        ("processing", "declined", "failed"),
        ("action_required", "unknown", "action_required"),
        ("action_required", "paid", "succeeded"),
    ],
)
def test_an_outcome_moves_a_live_attempt(state: str, outcome: str, after: str) -> None:
    settled = settle(attempt(AttemptState(state)), _OUTCOMES[PayState(outcome)], _LATER, _LATER)
    assert settled.state == after
    assert settled.settled_at == (_LATER if settled.state in ENDED else None)


@pytest.mark.parametrize("state", sorted(ENDED))
@pytest.mark.parametrize("outcome", list(PayState))
def test_an_ended_attempt_absorbs_all_news(state: AttemptState, outcome: PayState) -> None:
    before = attempt(state)
    assert settle(before, _OUTCOMES[outcome], _LATER, _LATER) == before


@pytest.mark.parametrize("state", sorted(LIVE))
@pytest.mark.parametrize("outcome", list(PayState))
def test_settling_twice_is_settling_once(state: AttemptState, outcome: PayState) -> None:
    once = settle(attempt(state), _OUTCOMES[outcome], NOON, NOON)
    assert settle(once, _OUTCOMES[outcome], _LATER, _LATER) == once


def test_a_planned_attempt_is_sent_once() -> None:
    sent = send(attempt(AttemptState.PLANNED, sent_at=None), _LATER)
    assert (sent.state, sent.sent_at) == (AttemptState.SENT, _LATER)
    with pytest.raises(AssertionError):
        send(sent, _LATER)


def test_only_what_waits_for_the_customer_is_superseded() -> None:
    waiting = supersede(attempt(AttemptState.ACTION_REQUIRED), _LATER, _LATER)
    assert (waiting.state, waiting.settled_at) == (AttemptState.SUPERSEDED, _LATER)
    processing = attempt(AttemptState.PROCESSING)
    assert supersede(processing, _LATER, _LATER) == processing


def test_a_key_is_too_old_after_twenty_three_hours() -> None:
    assert not key_expired(NOON, NOON + timedelta(hours=23) - timedelta(microseconds=1))
    assert key_expired(NOON, NOON + timedelta(hours=23))


@pytest.mark.parametrize(
    ("state", "seen", "is_news"),
    [
        ("sent", "paid", True),
        ("unknown", "processing", True),
        ("sent", "declined", False),
        ("unknown", "declined", False),
        ("processing", "declined", True),
        ("action_required", "declined", False),
        ("sent", "action_required", False),
    ],
)
def test_a_copy_proves_what_can_only_be_this_attempts_doing(state: str, seen: str, *, is_news: bool) -> None:
    outcome = _OUTCOMES[PayState(seen)]
    assert news_of(attempt(AttemptState(state)), outcome) == (outcome if is_news else None)
    assert news_of(attempt(AttemptState(state)), None) is None


def test_an_attempt_without_a_trace_ends_as_a_soft_decline() -> None:
    ended = settle(attempt(AttemptState.UNKNOWN), lost(), _LATER, _LATER)
    assert ended.state is AttemptState.FAILED
    assert ended.decline == Decline(DeclineClass.SOFT, "outcome_lost")


def test_a_decline_says_why() -> None:
    with pytest.raises(AssertionError):
        PayOutcome(PayState.DECLINED)


def test_what_was_ordered_and_never_sent_can_be_withdrawn() -> None:
    withdrawn = supersede(attempt(AttemptState.PLANNED, sent_at=None), _LATER, _LATER)
    assert (withdrawn.state, withdrawn.ended_at) == (AttemptState.SUPERSEDED, _LATER)
    sent = attempt(AttemptState.SENT)
    assert supersede(sent, _LATER, _LATER) == sent


@pytest.mark.parametrize("state", list(AttemptState))
def test_only_what_succeeded_is_returned(state: AttemptState) -> None:
    why = Decline(DeclineClass.SOFT, "insufficient_funds")
    before = attempt(state)
    after = give_back(before, why, _LATER, _LATER)
    if state is AttemptState.SUCCEEDED:
        assert (after.state, after.decline, after.settled_at, after.ended_at) == ("returned", why, _LATER, _LATER)
        assert give_back(after, why, NOON, NOON) == after
    else:
        assert after == before


@pytest.mark.parametrize(
    ("newest_first", "untried"),
    [
        ([], True),
        ([AttemptState.SUCCEEDED, AttemptState.FAILED], True),
        ([AttemptState.FAILED, AttemptState.SUCCEEDED], False),
        ([AttemptState.ACTION_REQUIRED], False),
        ([AttemptState.RETURNED], False),
    ],
)
def test_nothing_was_tried_since_an_invoice_was_opened_or_paid(
    newest_first: list[AttemptState], *, untried: bool
) -> None:
    attempts = [attempt(each) for each in newest_first]
    assert is_untried(attempts) is untried
    # What left no trace changes nothing.
    without_a_trace = attempt(AttemptState.FAILED, decline=lost().decline)
    assert is_untried([without_a_trace, *attempts]) is untried
