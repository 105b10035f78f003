"""Signed links to exports: whoever has one may fetch that file for a while, without any other credential."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.expiring import derived_key, end_of, is_valid, signature_of
from domain.kernel.ids import encode
from domain.kernel.values import dataclass

LIFETIME = timedelta(minutes=15)


class ExportLinkRefused(DomainError):
    """This link to an export is not valid, or no longer. Ask for a new one."""

    code = "export_link_refused"
    kind = Kind.FORBIDDEN


@dataclass(frozen=True, slots=True)
class ExportLink:
    """A path that may be handed on. It says nothing about whose export it is."""

    export_id: UUID
    expires_at: datetime
    signature: str

    @property
    def path(self) -> str:
        """The path on this server, with its query."""
        seconds = int(self.expires_at.timestamp())
        return f"/exports/{encode('export', self.export_id)}?expires={seconds}&signature={self.signature}"


def signing_key(master: bytes) -> bytes:
    """Derive the key of these links from the master key."""
    return derived_key(master, "export links")


def sign(key: bytes, export_id: UUID, at: datetime) -> ExportLink:
    """Make a link that is valid from a real instant for LIFETIME, in whole seconds."""
    expires_at = end_of(at, LIFETIME)
    return ExportLink(export_id, expires_at, signature_of(key, export_id, expires_at))


def check(keys: Sequence[bytes], export_id: UUID, expires: str, signature: str, at: datetime) -> None:
    """Refuse what was not signed so, and what is over. Raises ExportLinkRefused."""
    if not is_valid(keys, export_id, expires, signature, at=at, lifetime_max=LIFETIME):
        raise ExportLinkRefused
