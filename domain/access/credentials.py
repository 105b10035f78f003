"""API keys, and the ways to fail to show who you are. Nothing here keeps or shows a whole secret."""

import base64
import hmac
import re
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b

from domain.access.roles import CUSTOMER_KEY_SCOPES, KEY_SCOPES, Permission
from domain.kernel.call import Environment, Principal, PrincipalKind
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, KeyId, encode
from domain.kernel.values import dataclass

SECRET_BYTES = 32
PEPPER_BYTES_MIN = 32
SHOWN_LETTERS = 8
TEXT_LENGTH_MAX = 100
TOKEN_LENGTH_MAX = 8_192

_SECRET = re.compile(r"tg_(live|test)_[A-Za-z0-9_-]{43}")
_PRODUCT = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,99}")


@dataclass(eq=False)
class CredentialsMissing(DomainError):
    """Say who you are: send an API key or a token as "Authorization: Bearer ..."."""

    code = "credentials_missing"
    kind = Kind.UNAUTHENTICATED


@dataclass(eq=False)
class CredentialsRejected(DomainError):
    """This API key or token is not valid, or not any more. Use a current one."""

    code = "credentials_rejected"
    kind = Kind.UNAUTHENTICATED


@dataclass(eq=False)
class TokensUnverifiable(DomainError):
    """Tokens cannot be checked now: the identity provider's keys cannot be read. Try again in a minute."""

    code = "tokens_unverifiable"
    kind = Kind.UNAVAILABLE


@dataclass(eq=False)
class KeyRefused(DomainError):
    """This API key cannot be made: {reason}."""

    code = "key_refused"
    kind = Kind.INVALID
    reason: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. `prefix` is the visible start, by which people tell keys apart.

    `source` is the identity's source of the events sent with it: a successor with the same source goes on counting
    each event once. `expires_at` and `revoked_at` are real time; from that instant on the key is refused.
    """

    id: KeyId
    environment: Environment
    name: str
    prefix: str
    scopes: frozenset[str]
    product: str | None
    customer_id: CustomerId | None
    source: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    created_by: str


def new_secret(environment: Environment, entropy: bytes) -> str:
    """Write a secret from 32 random bytes: tg_live_ or tg_test_, then 43 letters."""
    assert len(entropy) == SECRET_BYTES, "a secret has 256 bits"
    return f"tg_{environment}_{base64.urlsafe_b64encode(entropy).decode().rstrip('=')}"


def is_secret(text: str) -> bool:
    """Whether a text has the form of an API key."""
    return _SECRET.fullmatch(text) is not None


def secret_environment(secret: str) -> Environment:
    """Return the environment that a secret names."""
    return Environment(secret.split("_")[1])


def visible_prefix(secret: str) -> str:
    """Return the part of a secret that may be shown: its environment and the first 8 of 43 letters."""
    return secret[: len("tg_live_") + SHOWN_LETTERS]


def hash_secret(secret: str, pepper: bytes) -> bytes:
    """Return the keyed SHA-256 under which a secret is stored: useless to a thief of the database alone."""
    assert len(pepper) >= PEPPER_BYTES_MIN, "the pepper has at least 32 bytes"
    return hmac.digest(pepper, secret.encode(), "sha256")


def memory_key(pepper: bytes) -> bytes:
    """Return the key of `remembered_as`."""
    return blake2b(pepper, person=b"remembered").digest()


def remembered_as(credential: str, key: bytes) -> bytes:
    """Return the keyed hash under which a process remembers a credential.

    Each request that brings one pays for it, and it costs a fifth of the hash under which secrets are stored.
    """
    return blake2b(credential.encode(), key=key, digest_size=32).digest()


def check_key(key: ApiKey) -> None:
    """Refuse a key that could do too much or whose events could not be told apart. Raises KeyRefused."""
    for refused, reason in (
        (not _is_text(key.name), "a name has 1 to 100 printable characters"),
        (not key.scopes, "it needs at least one scope"),
        (not key.scopes <= KEY_SCOPES, "a scope is unknown or not for keys"),
        (
            key.customer_id is not None and not key.scopes <= CUSTOMER_KEY_SCOPES,
            "a scope reaches beyond the customer it is bound to",
        ),
        (Permission.USAGE_WRITE in key.scopes and key.product is None, "a key that reports usage names its product"),
        (Permission.GATEWAY in key.scopes and key.customer_id is None, "a gateway key is bound to one customer"),
        (key.product is not None and not _PRODUCT.fullmatch(key.product), "a product is named by its key, such as llm"),
        (not _is_text(key.source), "a source has 1 to 100 printable characters"),
        (key.expires_at is not None and key.expires_at <= key.created_at, "it would have expired already"),
    ):
        if refused:
            raise KeyRefused(reason)


def principal_of(key: ApiKey, at: datetime) -> Principal:
    """Return who asks with a key at a real instant. Raises CredentialsRejected once it is expired or revoked."""
    if any(end is not None and end <= at for end in (key.expires_at, key.revoked_at)):
        raise CredentialsRejected
    return Principal(
        kind=PrincipalKind.KEY,
        id=encode("key", key.id),
        role="key",
        permissions=key.scopes,
        environment=key.environment,
        customer_id=key.customer_id,
        product=key.product,
        source=key.source,
        expires_at=key.expires_at,
    )


def revoked(key: ApiKey, at: datetime) -> ApiKey:
    """Return the key as revoked at an instant; an earlier revocation stands."""
    return key if key.revoked_at is not None else replace(key, revoked_at=at)


def _is_text(text: str) -> bool:
    return 1 <= len(text) <= TEXT_LENGTH_MAX and text.isprintable()
