"""Messages are signed as the verifiers that merchants install expect it."""

import base64
import json
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from domain.adapters.clock import now
from domain.webhooks.signature import MessageRejected, Received, key_of, new_secret, sign, verify
from tests import make

# The worked example of the specification: this secret, id, time and body give this signature.
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_ID, _AT = "msg_p5jXN8AQM9LWM0D4loKWxJek", make.at("2021-02-25T15:02:10")  # 1614265330
_BODY = b'{"test": 2432232314}'
_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
_OTHER = "whsec_" + base64.b64encode(b"\x07" * 32).decode()


def test_the_worked_example_of_the_specification_is_signed_alike() -> None:
    assert sign([_SECRET], _ID, _AT, _BODY) == {
        "webhook-id": _ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": _SIGNATURE,
    }


def test_while_two_secrets_overlap_either_verifies() -> None:
    headers = sign([_OTHER, _SECRET], _ID, _AT, _BODY)
    assert headers["webhook-signature"].split(" ")[1] == _SIGNATURE
    for secret in (_SECRET, _OTHER):
        assert verify([secret], headers, _BODY, _AT) == Received(_ID, _AT)


def test_the_merchants_own_library_accepts_what_is_sent() -> None:
    secret = new_secret(b"\x05" * 32)
    # The library reads the clock of this machine, so the message is of this moment too.
    body = json.dumps({"type": "invoice.paid"}).encode()
    assert Webhook(secret).verify(body, sign([_OTHER, secret], "bev_1", now(), body)) == {"type": "invoice.paid"}


@pytest.mark.parametrize("minutes", [-5, 5])
def test_five_minutes_either_way_are_tolerated(minutes: int) -> None:
    headers = sign([_SECRET], _ID, _AT, _BODY)
    assert verify([_SECRET], headers, _BODY, _AT + timedelta(minutes=minutes)).id == _ID
    with pytest.raises(MessageRejected):
        verify([_SECRET], headers, _BODY, _AT + timedelta(minutes=minutes, seconds=minutes // 5))


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-id": "x" * 256},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "now"},
        # Twelve digits reach the year 33,658, which is no instant.
        {"webhook-timestamp": "9" * 12},
        {"webhook-timestamp": "9" * 10},
        {"webhook-signature": ""},
        {"webhook-signature": "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "v1,é"},
        # A signature behind more others than anybody can have is not looked for.
        {"webhook-signature": "v1,x " * 8 + _SIGNATURE},
    ],
)
def test_a_message_that_was_not_signed_so_is_rejected(change: dict[str, str]) -> None:
    with pytest.raises(MessageRejected):
        verify([_SECRET], sign([_SECRET], _ID, _AT, _BODY) | change, _BODY, _AT)


def test_another_body_and_another_secret_are_rejected() -> None:
    headers = sign([_SECRET], _ID, _AT, _BODY)
    for secrets, body in (([_SECRET], _BODY + b" "), ([_OTHER], _BODY), ([], _BODY)):
        with pytest.raises(MessageRejected):
            verify(secrets, headers, body, _AT)


def test_a_secret_has_its_form() -> None:
    assert new_secret(bytes(32)) == "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert key_of(new_secret(bytes(32))) == bytes(32)
    # 16 bytes are too few, and without its beginning or in another alphabet it is none.
    for text in (
        "whsec_AAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "whsec_%%%",
        "whsec_é",
    ):
        assert key_of(text) is None
