"""Signatures of links that expire: whoever has such a link may do one thing for a while, without another credential."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

_SIGNATURE_LENGTH = 64
# Seconds since 1970 of eleven digits reach to the year 5138: with more, they may be past the end of the calendar.
_DIGITS_MAX = 11


def derived_key(master: bytes, purpose: str) -> bytes:
    """Derive the key for one kind of link from the master key, which signs nothing itself."""
    return hashlib.blake2b(purpose.encode(), key=master, digest_size=32).digest()


def end_of(at: datetime, lifetime: timedelta) -> datetime:
    """Return where a link ends that is valid from a real instant for a lifetime: a whole second."""
    return datetime.fromtimestamp(int((at + lifetime).timestamp()), UTC)


def signature_of(key: bytes, subject: UUID, expires_at: datetime) -> str:
    """Sign what a link is about and when it ends, in whole seconds."""
    text = f"{subject}:{int(expires_at.timestamp())}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def is_valid(
    keys: Sequence[bytes], subject: UUID, expires: str, signature: str, *, at: datetime, lifetime_max: timedelta
) -> bool:
    """Whether that was signed so by one of the keys, is not over at an instant, and is for no longer than links live.

    The signature is compared in constant time, and before the instant is looked at. Any text may be given.
    """
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _DIGITS_MAX):
        return False
    expires_at = datetime.fromtimestamp(int(expires), UTC)
    is_form = len(signature) == _SIGNATURE_LENGTH and signature.isascii()
    if not is_form or not any(hmac.compare_digest(signature_of(key, subject, expires_at), signature) for key in keys):
        return False
    return at < expires_at <= at + lifetime_max
