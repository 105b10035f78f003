"""Which method is charged, and what a method is called."""

import dataclasses
from datetime import timedelta

from domain.payments.attempt import AttemptState
from domain.payments.declines import OUTCOME_LOST, Decline, DeclineClass
from domain.payments.method import label, method_to_charge, method_to_retry
from tests.domain.payments.examples import NOON, attempt, method

_LATER = NOON + timedelta(hours=1)


def test_the_default_method_is_charged_first() -> None:
    default, other = method(is_default=True), method()
    assert method_to_charge([other, default], None) == default
    assert method_to_charge([other], None) is None
    assert method_to_charge([], None) is None


def test_a_method_that_failed_is_not_tried_again_by_itself_and_no_older_one_is() -> None:
    default, older = method(is_default=True), method(NOON - timedelta(days=1))
    last = attempt(AttemptState.FAILED, default.id)
    assert method_to_charge([default, older], last) is None


def test_the_newest_method_attached_since_is_tried() -> None:
    default = method(is_default=True)
    first, second = method(_LATER), method(_LATER + timedelta(minutes=1))
    last = attempt(AttemptState.FAILED, default.id)
    assert method_to_charge([default, first, second], last) == second


def test_a_default_that_is_new_goes_first() -> None:
    failed = method()
    default = method(_LATER, is_default=True)
    last = attempt(AttemptState.FAILED, failed.id)
    assert method_to_charge([failed, default, method(_LATER + timedelta(minutes=1))], last) == default


def test_an_attempt_that_left_no_trace_counts_for_none() -> None:
    default = method(is_default=True)
    lost = attempt(AttemptState.FAILED, default.id, decline=Decline(DeclineClass.SOFT, OUTCOME_LOST))
    assert method_to_charge([default], lost) == default


def test_a_method_is_named_by_brand_and_last_digits() -> None:
    card = method()
    assert label(card) == "Visa ending in 4242"
    bank = dataclasses.replace(card, kind="us_bank_account", brand=None, last4="6789")
    assert label(bank) == "US bank account ending in 6789"
    assert label(dataclasses.replace(bank, last4=None)) == "US bank account"
    brands = ("mastercard", "amex", "unknown", "cartes_bancaires", "JPMorgan Chase")
    named = [label(dataclasses.replace(card, brand=each, last4=None)) for each in brands]
    assert named == ["Mastercard", "American Express", "Card", "Cartes bancaires", "JPMorgan Chase"]


_SOFT, _HARD = Decline(DeclineClass.SOFT, "insufficient_funds"), Decline(DeclineClass.HARD, "stolen_card")


def test_a_retry_charges_what_was_tried_last_unless_it_was_refused_for_good() -> None:
    default, other = method(is_default=True), method()
    first = attempt(AttemptState.FAILED, default.id, decline=_SOFT)
    assert method_to_retry([default, other], [first]) == default
    soft = attempt(AttemptState.FAILED, other.id, decline=_SOFT, number=2)
    assert method_to_retry([default, other], [soft, first]) == other
    hard = attempt(AttemptState.FAILED, other.id, decline=_HARD, number=2)
    assert method_to_retry([default, other], [hard, first]) == default


def test_a_retry_charges_nothing_where_every_method_was_refused_or_is_gone() -> None:
    default = method(is_default=True)
    hard = attempt(AttemptState.FAILED, default.id, decline=_HARD)
    assert method_to_retry([default], [hard]) is None
    assert method_to_retry([], [hard]) is None
    untried = method()
    assert method_to_retry([default, untried], [hard]) == untried
