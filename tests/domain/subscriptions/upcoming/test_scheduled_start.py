"""How a scheduled start moves from state to state."""

import pytest

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, StartId, SubscriptionId
from domain.subscriptions.schedule import Interval
from domain.subscriptions.upcoming.scheduled_start import (
    ScheduledStart,
    StartOver,
    StartState,
    Terms,
    begun,
    called_off,
    check_waiting,
    refused,
)
from tests import make
from tests.make import at

_AT = at("2026-03-01")
_BEFORE = at("2026-02-28T23:59:59")
_WAITING = ScheduledStart(
    CustomerId(make.new_id()),
    StartId(make.new_id()),
    ProductId(make.new_id()),
    Environment.TEST,
    StartState.SCHEDULED,
    Terms(PlanVersionId(make.new_id()), Interval.MONTH, "USD", _AT),
    at("2026-01-31"),
)


def test_it_is_due_at_its_instant_while_it_waits() -> None:
    assert (_WAITING.is_due(_BEFORE), _WAITING.is_due(_AT)) == (False, True)
    assert not refused(_WAITING, "already_subscribed").is_due(_AT)


def test_it_is_called_off_before_its_instant_and_stays_so() -> None:
    over = called_off(_WAITING, _BEFORE)
    assert over.state is StartState.CANCELED
    assert called_off(over, _AT) == over


def test_what_is_being_carried_out_or_over_is_not_changed_any_more() -> None:
    check_waiting(_WAITING, _BEFORE)
    for over, now, state in (
        (_WAITING, _AT, "under way"),
        (begun(_WAITING, SubscriptionId(make.new_id())), _BEFORE, "started"),
        (refused(_WAITING, "already_subscribed"), _BEFORE, "refused"),
    ):
        for change in (check_waiting, called_off):
            with pytest.raises(StartOver) as told:
                change(over, now)
            assert told.value.state == state
    with pytest.raises(StartOver):
        check_waiting(called_off(_WAITING, _BEFORE), _BEFORE)
