"""What an endpoint may be called, and when it is given up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, EndpointId
from domain.webhooks.endpoint import (
    DisabledBy,
    Endpoint,
    EndpointRefused,
    EndpointState,
    Secret,
    check_name,
    check_overlap,
    disabled,
    enabled,
    gives_up,
)
from domain.webhooks.lane import LIVE, Lane
from tests import make

_AT = make.at("2026-03-04T12:00")
_ENDPOINT = Endpoint(
    id=EndpointId(make.new_id()),
    environment=Environment.TEST,
    name="CRM",
    url="https://hooks.example.com/",
    events=("invoice.*",),
    schema_version="2026-11-01",
    state=EndpointState.ENABLED,
    disabled_by=None,
    disabled_at=None,
    last_success_at=None,
    last_failure_at=None,
    created_at=make.at("2026-03-01"),
)
_HELD = Lane(
    CustomerId(make.new_id()),
    _ENDPOINT.id,
    LIVE,
    4,
    9,
    None,
    18,
    failing_since=make.at("2026-03-01T12:00"),
    held_at=_AT,
)


def test_it_hears_what_it_asked_for() -> None:
    assert (_ENDPOINT.wants("invoice.paid"), _ENDPOINT.wants("payment.failed")) == (True, False)


def test_it_is_given_up_where_nothing_arrived_for_as_long_as_a_lane_fails() -> None:
    assert gives_up(_ENDPOINT, _HELD)
    assert gives_up(replace(_ENDPOINT, last_success_at=make.at("2026-03-01T11:59")), _HELD)


def test_it_goes_on_where_other_customers_events_arrive() -> None:
    assert not gives_up(replace(_ENDPOINT, last_success_at=make.at("2026-03-02")), _HELD)


def test_it_goes_on_while_a_lane_is_tried_and_whatever_becomes_of_a_replay() -> None:
    assert not gives_up(_ENDPOINT, replace(_HELD, held_at=None))
    assert not gives_up(_ENDPOINT, replace(_HELD, replay_id=make.new_id()))


def test_the_first_reason_stands_until_it_is_enabled() -> None:
    off = disabled(_ENDPOINT, DisabledBy.GONE, _AT)
    assert (off.state, off.disabled_by, off.disabled_at) == (EndpointState.DISABLED, DisabledBy.GONE, _AT)
    assert disabled(off, DisabledBy.STAFF, _AT + timedelta(days=1)) == off
    assert enabled(off) == _ENDPOINT


def test_a_secret_ends_at_its_instant() -> None:
    secret = Secret("whsec_x", make.at("2026-03-01"), _AT)
    assert secret.is_valid(_AT - timedelta(microseconds=1))
    assert not secret.is_valid(_AT)
    assert Secret("whsec_x", _AT, None).is_valid(_AT)
    assert "whsec" not in repr(secret)


def test_names_and_overlaps_are_bounded() -> None:
    assert check_name("  CRM ") == "CRM"
    assert check_overlap(168) == timedelta(days=7)
    for name in ("", " ", "a\nb", "x" * 101):
        with pytest.raises(EndpointRefused):
            check_name(name)
    for hours in (-1, 169):
        with pytest.raises(EndpointRefused):
            check_overlap(hours)
