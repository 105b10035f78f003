"""What a subscription is when it starts."""

from dataclasses import replace

import pytest

from domain.customers.customer import Customer
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, SubscriptionId
from domain.kernel.period import Period
from domain.subscriptions.opening import Opening, Sale, opened
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription, TrialEnd
from tests import make
from tests.make import at

_ADA = Customer(
    id=CustomerId(make.new_id()),
    environment=Environment.TEST,
    external_id=None,
    name="Ada",
    email="ada@example.com",
    zone="UTC",
    locale="en",
    country=None,
    clock_id=None,
    created_at=at("2026-01-01"),
    version=1,
)


def _opened(opening: Opening, now: str | None = None, *, interval: Interval = Interval.MONTH) -> Subscription:
    sale = Sale(_ADA, ProductId(make.new_id()), PlanVersionId(make.new_id()), interval, "USD")
    return opened(sale, opening, SubscriptionId(make.new_id()), at(now) if now else opening.at)


def test_it_is_anchored_where_it_starts() -> None:
    found = _opened(Opening(at("2026-01-31T10:00")))
    whole = Period(at("2026-01-31T10:00"), at("2026-02-28T10:00"))
    assert (found.status, found.period, found.fee_period) == (Status.ACTIVE, whole, whole)
    assert (found.anchor_at, found.running_since, found.due_at) == (whole.start, whole.start, whole.end)
    assert (found.trial_ends_at, found.trial_end, found.expires_at) == (None, None, None)


def test_a_trial_is_a_fee_period_of_its_own_and_anchors_what_follows() -> None:
    found = _opened(Opening(at("2026-01-31T10:00"), trial_days=14, trial_end=TrialEnd.PAUSE))
    assert (found.status, found.trial_ends_at, found.trial_end) == (Status.TRIALING, at("2026-02-14"), TrialEnd.PAUSE)
    assert (found.anchor_at, found.due_at) == (at("2026-02-14"), at("2026-02-14"))
    assert found.fee_period == Period(at("2026-01-31T10:00"), at("2026-02-14"))
    # The usage period ends where the trial does: both grids are counted from there.
    assert found.period == Period(at("2026-01-14"), at("2026-02-14"))


def test_a_bill_day_opens_a_short_first_period() -> None:
    found = _opened(Opening(at("2026-01-31T10:00"), bill_day=15))
    assert found.period == Period(at("2026-01-15"), at("2026-02-15"))
    assert found.fee_period == Period(at("2026-01-31T10:00"), at("2026-02-15"))


def test_the_calendars_year_begins_in_january() -> None:
    found = _opened(Opening(at("2026-03-10T10:00"), calendar=True), interval=Interval.YEAR)
    assert found.period == Period(at("2026-03-01"), at("2026-04-01"))
    assert found.fee_period == Period(at("2026-03-10T10:00"), at("2027-01-01"))


def test_a_start_that_lies_back_is_in_its_present_periods() -> None:
    found = _opened(Opening(at("2025-11-30T10:00")), "2026-01-31T10:00")
    assert (found.started_at, found.running_since) == (at("2025-11-30T10:00"), at("2025-11-30T10:00"))
    assert found.period == found.fee_period == Period(at("2026-01-30T10:00"), at("2026-02-28T10:00"))
    over = _opened(Opening(at("2025-11-30T10:00"), trial_days=10), "2026-01-31T10:00")
    assert (over.status, over.trial_ends_at) == (Status.ACTIVE, at("2025-12-10"))
    assert over.fee_period == Period(at("2026-01-10"), at("2026-02-10"))


def test_one_that_waits_for_its_payment_waits_23_hours_and_not_in_a_trial() -> None:
    found = _opened(Opening(at("2026-01-31T10:00"), when_paid=True))
    assert (found.status, found.expires_at, found.due_at) == (
        Status.INCOMPLETE,
        at("2026-02-01T09:00"),
        at("2026-02-01T09:00"),
    )
    tried = _opened(Opening(at("2026-01-31T10:00"), when_paid=True, trial_days=1))
    assert (tried.status, tried.expires_at) == (Status.TRIALING, None)


@pytest.mark.parametrize(("pause_at", "resumes_at"), [(None, None), ("2026-02-28T10:00", "2026-04-01")])
def test_what_is_due_next_is_the_earliest_of_all_that_waits(pause_at: str | None, resumes_at: str | None) -> None:
    running = replace(
        _opened(Opening(at("2026-01-31T10:00"))),
        pause_at=at(pause_at) if pause_at else None,
        resumes_at=at(resumes_at) if resumes_at else None,
    )
    assert running.due_at == at("2026-02-28T10:00")
    assert replace(running, cancel_at=at("2026-02-10")).due_at == at("2026-02-10")
    assert replace(running, status=Status.PAUSED).due_at == running.resumes_at
    assert replace(running, status=Status.CANCELED, ended_at=at("2026-02-10")).due_at is None
