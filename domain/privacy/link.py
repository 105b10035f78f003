"""Signed links to exports: whoever has one may fetch that file for a while, without any other credential."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import encode
from domain.kernel.values import dataclass

LIFETIME = timedelta(minutes=15)
_SIGNATURE_LENGTH = 64
_DIGITS_MAX = 12


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
    """Derive the key of these links from the master key, which signs nothing itself."""
    return hashlib.blake2b(b"export links", key=master, digest_size=32).digest()


def sign(key: bytes, export_id: UUID, at: datetime) -> ExportLink:
    """Make a link that is valid from a real instant for LIFETIME, in whole seconds."""
    expires_at = datetime.fromtimestamp(int((at + LIFETIME).timestamp()), UTC)
    return ExportLink(export_id, expires_at, _signature(key, export_id, expires_at))


def check(key: bytes, export_id: UUID, expires: str, signature: str, at: datetime) -> None:
    """Refuse what was not signed so, and what is over. Raises ExportLinkRefused.

    The signature is compared in constant time, and before the instant is looked at.
    """
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _DIGITS_MAX):
        raise ExportLinkRefused
    expires_at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(expires))
    is_form = len(signature) == _SIGNATURE_LENGTH and signature.isascii()
    if not is_form or not hmac.compare_digest(_signature(key, export_id, expires_at), signature):
        raise ExportLinkRefused
    if not at < expires_at <= at + LIFETIME:
        raise ExportLinkRefused


def _signature(key: bytes, export_id: UUID, expires_at: datetime) -> str:
    return hmac.new(key, f"{export_id}:{int(expires_at.timestamp())}".encode(), hashlib.sha256).hexdigest()
