"""Signed links to documents: whoever has one may read that document for a while, without any other credential."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import DocumentId, encode
from domain.kernel.values import dataclass

LIFETIME = timedelta(minutes=15)
# No link is honoured for longer, whatever it says.
LIFETIME_MAX = timedelta(hours=24)
_SIGNATURE_LENGTH = 64
_DIGITS_MAX = 12


class LinkRefused(DomainError):
    """This link to a document is not valid, or no longer. Ask for a new one."""

    code = "link_refused"
    kind = Kind.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Link:
    """A path that may be given away. It says nothing about whose document it is."""

    document_id: DocumentId
    expires_at: datetime
    signature: str

    @property
    def path(self) -> str:
        """The path on this server, with its query."""
        seconds = int(self.expires_at.timestamp())
        return f"/documents/{encode('document', self.document_id)}?expires={seconds}&signature={self.signature}"


def signing_key(master: bytes) -> bytes:
    """Derive the key of links from the master key, which signs nothing itself."""
    return hashlib.blake2b(b"document links", key=master, digest_size=32).digest()


def sign(key: bytes, document_id: DocumentId, at: datetime, lifetime: timedelta = LIFETIME) -> Link:
    """Make a link that is valid from a real instant for a lifetime of at most LIFETIME_MAX, in whole seconds."""
    assert timedelta(0) < lifetime <= LIFETIME_MAX, "links live for a bounded time"
    expires_at = datetime.fromtimestamp(int((at + lifetime).timestamp()), UTC)
    return Link(document_id, expires_at, _signature(key, document_id, expires_at))


def check(key: bytes, document_id: DocumentId, expires: str, signature: str, at: datetime) -> None:
    """Refuse what was not signed so, what is over, and what would be valid for too long. Raises LinkRefused.

    The signature is compared in constant time, and before the instant is looked at.
    """
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _DIGITS_MAX):
        raise LinkRefused
    expires_at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(expires))
    known = len(signature) == _SIGNATURE_LENGTH and signature.isascii()
    if not known or not hmac.compare_digest(_signature(key, document_id, expires_at), signature):
        raise LinkRefused
    if not at < expires_at <= at + LIFETIME_MAX:
        raise LinkRefused


def _signature(key: bytes, document_id: DocumentId, expires_at: datetime) -> str:
    text = f"{document_id}:{int(expires_at.timestamp())}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
