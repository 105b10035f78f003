"""Standard Webhooks: how a message is signed and verified (https://www.standardwebhooks.com, HMAC-SHA256, `v1`).

The signed text is `id.timestamp.body`. A message carries one signature for each secret that is valid, so that a
receiver may change to the new secret at any moment of a rotation.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

SECRET_PREFIX = "whsec_"  # noqa: S105 -- what a secret begins with
SECRET_BYTES = 32
SECRET_BYTES_MIN = 24
TOLERANCE = timedelta(minutes=5)
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
ID_LENGTH_MAX = 255
# A header with more signatures than a sender can have secrets is not looked through.
SIGNATURES_MAX = 8
_SCHEME = "v1"
# Seconds up to the year 2286; with more digits they are no instant.
_DIGITS_MAX = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MessageRejected(DomainError):
    """The signature of this message is missing, wrong, or too old. Sign it with the secret, at the time of sending."""

    code = "message_rejected"
    kind = Kind.UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class Received:
    """What a message says about itself, once it is verified."""

    id: str
    sent_at: datetime


def new_secret(entropy: bytes) -> str:
    """Write a secret from 32 random bytes: `whsec_` and base64."""
    assert len(entropy) == SECRET_BYTES, "a secret has 256 bits"
    return SECRET_PREFIX + base64.b64encode(entropy).decode()


def key_of(secret: str) -> bytes | None:
    """Return the key that a secret stands for; None for one that is malformed or too short."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(SECRET_PREFIX) and len(key) >= SECRET_BYTES_MIN else None


def sign(secrets: Iterable[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message sent at a real instant, signed with each secret."""
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    signatures = " ".join(f"{_SCHEME},{_signature(secret, message_id, seconds, body)}" for secret in secrets)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: str(seconds), SIGNATURE_HEADER: signatures}


def verify(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, at: datetime) -> Received:
    """Check that a message was signed with one of some secrets within TOLERANCE of a real instant.

    `headers` are found by lower-case names. Raises MessageRejected.
    """
    message_id = headers.get(ID_HEADER, "")
    stamp = headers.get(TIMESTAMP_HEADER, "")
    is_stamp = stamp.isascii() and stamp.isdigit() and len(stamp) <= _DIGITS_MAX
    if not 1 <= len(message_id) <= ID_LENGTH_MAX or not is_stamp:
        raise MessageRejected
    sent_at = _EPOCH + timedelta(seconds=int(stamp))
    if abs(at - sent_at) > TOLERANCE:
        raise MessageRejected
    given = headers.get(SIGNATURE_HEADER, "").split(" ")[:SIGNATURES_MAX]
    for secret in secrets:
        expected = f"{_SCHEME},{_signature(secret, message_id, int(stamp), body)}".encode()
        if any(hmac.compare_digest(expected, each.encode()) for each in given):
            return Received(message_id, sent_at)
    raise MessageRejected


def _signature(secret: str, message_id: str, seconds: int, body: bytes) -> str:
    key = key_of(secret)
    assert key is not None, "a secret is checked before it is kept"
    signed = f"{message_id}.{seconds}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
