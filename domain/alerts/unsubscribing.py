"""Links by which whoever gets a mail stops mails of its kind, without signing in (RFC 8058)."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import field

from domain.alerts.notice import LEGAL, Notice
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, encode
from domain.kernel.values import dataclass

_SIGNATURE_LENGTH = 64


class UnsubscribeLinkRefused(DomainError):
    """This link is not valid. Change what you are told in your billing pages."""

    code = "unsubscribe_link_refused"
    kind = Kind.FORBIDDEN


def signing_key(master: bytes) -> bytes:
    """Derive the key of these links from the master key, which signs nothing itself."""
    return hashlib.blake2b(b"unsubscribe links", key=master, digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """Makes links below a public URL. `base` empty: there is none, and mails carry no link."""

    base: str = ""
    key: bytes = field(default=b"", repr=False)

    def link(self, customer_id: CustomerId, notice: str) -> str | None:
        """Return the link of a mail; None for what must be told, and without a public URL. It does not expire."""
        if not self.base or Notice(notice) in LEGAL:
            return None
        path = f"unsubscribe/{encode('customer', customer_id)}"
        return f"{self.base.rstrip('/')}/{path}?notice={notice}&signature={_signature(self.key, customer_id, notice)}"


def check(keys: Sequence[bytes], customer_id: CustomerId, notice: str, signature: str) -> Notice:
    """Return the kind of mail that a link stops. Raises UnsubscribeLinkRefused."""
    is_form = len(signature) == _SIGNATURE_LENGTH and signature.isascii() and notice in set(Notice)
    if not is_form or not any(hmac.compare_digest(_signature(key, customer_id, notice), signature) for key in keys):
        raise UnsubscribeLinkRefused
    return Notice(notice)


def _signature(key: bytes, customer_id: CustomerId, notice: str) -> str:
    return hmac.new(key, f"{customer_id}:{notice}".encode(), hashlib.sha256).hexdigest()
