"""Whether what an invoice asks for has ended. It is issued on 1 March; its lines are for March, or February."""

from dataclasses import replace
from datetime import datetime

import pytest

from domain.payments.attempt import Attempt, AttemptState, lost
from domain.payments.ending import Share, have_ended, is_over
from tests import make
from tests.domain.payments.examples import attempt, invoice

_FEBRUARY, _MARCH, _FIFTH = make.at("2026-02-01"), make.at("2026-03-01"), make.at("2026-03-05")
_FAILED = attempt(AttemptState.FAILED)


def _over(
    ended_at: datetime | None, starts_at: datetime, *attempts: Attempt, due: datetime = _MARCH, had_method: bool = False
) -> bool:
    asked = replace(invoice(), issued_at=_MARCH, due_at=due)
    return is_over(asked, [Share(ended_at, starts_at)], attempts, had_method=had_method)


@pytest.mark.parametrize("tried", [(), (_FAILED,)])
def test_nothing_is_over_while_a_subscription_lives(tried: tuple[Attempt, ...]) -> None:
    assert not _over(None, _MARCH, *tried)
    shares = [Share(_MARCH, _MARCH), Share(None, _MARCH)]
    assert not is_over(replace(invoice(), issued_at=_MARCH), shares, tried)


@pytest.mark.parametrize("tried", [(), (_FAILED,)])
def test_an_invoice_without_subscriptions_is_owed_whatever_ends(tried: tuple[Attempt, ...]) -> None:
    assert not is_over(invoice(), [], tried)
    assert not have_ended([])


def test_the_fee_of_a_period_that_was_taken_back_is_over_also_before_any_try() -> None:
    assert _over(_MARCH, _MARCH)
    assert _over(_MARCH, _MARCH, _FAILED)


def test_what_was_due_before_the_end_and_had_nothing_to_be_charged_to_is_over() -> None:
    assert _over(_FIFTH, _MARCH)
    assert is_over(replace(invoice(), issued_at=_MARCH, due_at=None), [Share(_FIFTH, _MARCH)], [])


def test_a_method_that_was_there_in_time_is_charged_once() -> None:
    assert not _over(_FIFTH, _MARCH, had_method=True)
    assert _over(_FIFTH, _MARCH, _FAILED, had_method=True)
    # But never for time after the end.
    assert _over(_MARCH, _MARCH, had_method=True)


def test_with_net_terms_nobody_escapes_by_leaving_before_the_invoice_is_due() -> None:
    assert not _over(_FIFTH, _FEBRUARY, due=make.at("2026-03-15"))
    assert _over(_FIFTH, _FEBRUARY, _FAILED, due=make.at("2026-03-15"))


def test_the_last_invoice_is_charged_until_it_was_tried() -> None:
    assert not _over(_MARCH, _FEBRUARY)
    without_a_trace = attempt(AttemptState.FAILED, decline=lost().decline)
    assert not _over(_MARCH, _FEBRUARY, without_a_trace)
    assert _over(_MARCH, _FEBRUARY, _FAILED, without_a_trace)
    # Issued and due after the end, as drafts wait for their grace.
    assert not _over(_MARCH, _FEBRUARY, due=make.at("2026-03-01T01:00"))


def test_of_several_the_last_end_counts() -> None:
    shares = [Share(_MARCH, _FEBRUARY), Share(_FIFTH, _FEBRUARY)]
    assert is_over(replace(invoice(), due_at=_MARCH), shares, [])
    assert not is_over(replace(invoice(), due_at=_FIFTH), shares, [])
    assert have_ended(shares)
