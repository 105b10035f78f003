"""Signed links to documents: whoever has one may read that document for a while, without any other credential."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.kernel.errors import DomainError, Kind
from domain.kernel.expiring import derived_key, end_of, is_valid, signature_of
from domain.kernel.ids import DocumentId, encode
from domain.kernel.values import dataclass

LIFETIME = timedelta(minutes=15)
# No link is honoured for longer, whatever it says.
LIFETIME_MAX = timedelta(hours=24)


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
    """Derive the key of these links from the master key."""
    return derived_key(master, "document links")


def sign(key: bytes, document_id: DocumentId, at: datetime, lifetime: timedelta = LIFETIME) -> Link:
    """Make a link that is valid from a real instant for a lifetime of at most LIFETIME_MAX, in whole seconds."""
    assert timedelta(0) < lifetime <= LIFETIME_MAX, "links live for a bounded time"
    expires_at = end_of(at, lifetime)
    return Link(document_id, expires_at, signature_of(key, document_id, expires_at))


def check(keys: Sequence[bytes], document_id: DocumentId, expires: str, signature: str, at: datetime) -> None:
    """Refuse what was not signed so, what is over, and what would be valid for too long. Raises LinkRefused."""
    if not is_valid(keys, document_id, expires, signature, at=at, lifetime_max=LIFETIME_MAX):
        raise LinkRefused
