"""What may be asked of the start of a subscription."""

from datetime import datetime

import pytest

from domain.contracts.starting.wish import StartRefused, TrialNeedsMethod, Wish, opening_of
from domain.plans.start import AT_ONCE, Start, Trial
from domain.subscriptions.opening import Opening
from domain.subscriptions.subscription import TrialEnd
from tests.make import at

_NOW = at("2026-01-31T10:00")
_TRIAL = Start(Trial(14, without_method="pause"))


def _open(start: Start, wish: Wish | None = None, *, has_method: bool = False, has_tried: bool = False) -> Opening:
    return opening_of(start, wish or Wish(), _NOW, has_method=has_method, has_tried=has_tried)


def test_without_a_wish_it_starts_as_its_version_says() -> None:
    assert _open(AT_ONCE) == Opening(_NOW)
    assert _open(_TRIAL) == Opening(_NOW, trial_days=14, trial_end=TrialEnd.PAUSE)
    assert _open(Start(when_paid=True)) == Opening(_NOW, when_paid=True)


def test_a_second_trial_is_given_by_staff_alone() -> None:
    assert _open(_TRIAL, has_tried=True).trial_days == 0
    assert _open(_TRIAL, Wish(trial_days=7), has_tried=True).trial_days == 7
    assert (Wish(trial_days=7).is_of_staff, Wish(starts_at=_NOW).is_of_staff) == (True, True)
    assert not Wish(trial_days=0, bill_day=1).is_of_staff
    assert _open(_TRIAL, Wish(trial_days=0)).trial_days == 0


def test_a_trial_that_needs_a_payment_method_is_refused_without_one_unless_another_start_is_wished_for() -> None:
    start = Start(Trial(14, needs_method=True))
    with pytest.raises(TrialNeedsMethod):
        _open(start)
    assert _open(start, has_method=True).trial_days == 14
    assert _open(start, Wish(trial_days=30)).trial_days == 30
    assert _open(start, Wish(trial_days=0)).trial_days == 0
    assert _open(start, has_tried=True).trial_days == 0


@pytest.mark.parametrize("back", [_NOW, at("2025-01-30T10:00")])
def test_a_start_lies_back_by_at_most_366_days(back: datetime) -> None:
    assert _open(AT_ONCE, Wish(starts_at=back)).at == back


@pytest.mark.parametrize(
    "wish",
    [
        # 366 days before 31 January 2026, 10:00 are 30 January 2025, 10:00.
        Wish(starts_at=at("2025-01-30T09:59:59")),
        Wish(starts_at=at("2026-01-31T10:00:01")),
        Wish(bill_day=0),
        Wish(bill_day=32),
        Wish(bill_day=1, calendar=True),
        Wish(trial_days=731),
        Wish(trial_days=-1),
    ],
)
def test_what_makes_no_sense_is_refused(wish: Wish) -> None:
    with pytest.raises(StartRefused):
        _open(AT_ONCE, wish)
