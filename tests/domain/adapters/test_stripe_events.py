"""Stripe's webhook signatures."""

import hmac
import json
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from domain.adapters.stripe_events import SignatureRejected, verify
from domain.kernel.call import Environment
from tests import make

_AT = make.at("2026-01-15T12:00")
_SECRET = "whsec_present"
_EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "created": 1_768_478_400,
    "data": {"object": {"id": "in_1", "object": "invoice"}},
    "livemode": False,
    "type": "invoice.paid",
}


def _signed(body: bytes, at: datetime = _AT, secret: str = _SECRET) -> str:
    timestamp = int(at.timestamp())
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
    return f"t={timestamp},v1={signature}"


def _body(**changed: Any) -> bytes:
    return json.dumps(_EVENT | changed).encode()


def test_a_signed_event_is_read() -> None:
    body = _body()
    event = verify(body, _signed(body), (_SECRET,), _AT)
    assert (event.id, event.type, event.object_kind, event.object_id) == ("evt_1", "invoice.paid", "invoice", "in_1")
    assert event.environment is Environment.TEST
    # 1,768,478,400 s is 2026-01-15 12:00 UTC.
    assert event.created_at == _AT
    assert event.payload == body
    assert "in_1" in event.payload.decode()
    assert "payload" not in repr(event)


def test_the_signature_of_stripes_own_package_is_accepted() -> None:
    from stripe import WebhookSignature  # noqa: PLC0415 -- only this test needs it

    body = _body()
    header = WebhookSignature.generate_signature_header(body.decode(), _SECRET, int(_AT.timestamp()))
    assert verify(body, header, (_SECRET,), _AT).id == "evt_1"


def test_while_a_secret_rolls_both_are_accepted() -> None:
    body = _body()
    secrets = ("whsec_next", _SECRET)
    assert verify(body, _signed(body), secrets, _AT).id == "evt_1"
    assert verify(body, _signed(body, secret="whsec_next"), secrets, _AT).id == "evt_1"
    with pytest.raises(SignatureRejected):
        verify(body, _signed(body, secret="whsec_before"), secrets, _AT)


def test_several_signatures_may_be_given_and_one_has_to_fit() -> None:
    body = _body()
    header = _signed(body)
    timestamp, right = header.split(",")
    assert verify(body, f"{timestamp},v1={'0' * 64},{right},v0=abc", (_SECRET,), _AT).id == "evt_1"
    with pytest.raises(SignatureRejected):
        verify(body, f"{timestamp},v0={right.removeprefix('v1=')}", (_SECRET,), _AT)


@pytest.mark.parametrize("sign", [-1, 1])
def test_five_minutes_either_way_are_near_enough_and_more_is_not(sign: int) -> None:
    body = _body()
    edge = _AT + sign * timedelta(minutes=5)
    assert verify(body, _signed(body, edge), (_SECRET,), _AT).id == "evt_1"
    with pytest.raises(SignatureRejected):
        verify(body, _signed(body, edge + sign * timedelta(seconds=1)), (_SECRET,), _AT)


def test_the_signature_covers_every_byte() -> None:
    body = _body()
    with pytest.raises(SignatureRejected):
        verify(body + b" ", _signed(body), (_SECRET,), _AT)
    with pytest.raises(SignatureRejected):
        verify(json.dumps(_EVENT, indent=1).encode(), _signed(body), (_SECRET,), _AT)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=",
        "v1=abc",
        "t=1768478400",
        "t=now,v1=abc",
        "t=-1,v1=abc",
        "t=\u0661\u0667,v1=abc",
        f"t={'9' * 400},v1=abc",
        "t=1768478400,t=1768478400,v1=abc",
        "t=1768478400,v1=é",
        "x" * 5_000,
    ],
)
def test_a_header_that_is_none_is_rejected(header: str | None) -> None:
    with pytest.raises(SignatureRejected):
        verify(_body(), header, (_SECRET,), _AT)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_is_accepted(secrets: tuple[str, ...]) -> None:
    body = _body()
    with pytest.raises(SignatureRejected):
        verify(body, _signed(body, secret=""), secrets, _AT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"event"',
        b"[" * 100_000,
        json.dumps({"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error"}).encode(),
        json.dumps({"id": "evt_1", "object": "event"}).encode(),
        _body(id=7),
        _body(id=""),
        _body(id="e" * 256),
        _body(id="evt_\u0000"),
        _body(type=None),
        _body(created="today"),
        _body(created=10**30),
        _body(data={}),
        _body(data={"object": None}),
        _body(data={"object": {"object": "invoice", "id": 7}}),
    ],
)
def test_a_signed_body_that_is_no_event_is_rejected(body: bytes) -> None:
    with pytest.raises(SignatureRejected):
        verify(body, _signed(body), (_SECRET,), _AT)


def test_an_object_without_an_id_is_read_as_such() -> None:
    body = _body(type="balance.available", data={"object": {"object": "balance"}})
    event = verify(body, _signed(body), (_SECRET,), _AT)
    assert (event.object_kind, event.object_id) == ("balance", "")
