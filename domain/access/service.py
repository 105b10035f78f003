"""Make, revoke and check API keys, and check tokens signed with our own secret."""

import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from domain.access import credentials, store
from domain.access.credentials import ApiKey, CredentialsRejected, KeyRefused
from domain.access.roles import Permission
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Principal
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import NOBODY, CustomerId, KeyId, encode

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


@dataclass(eq=False)
class KeyNotFound(DomainError):
    """There is no such API key."""

    code = "key_not_found"
    kind = Kind.NOT_FOUND


async def create_key(
    tx: Tx,
    call: Call,
    *,
    name: str,
    environment: Environment,
    scopes: Collection[str],
    product_key: str | None = None,
    customer_id: CustomerId | None = None,
    source: str | None = None,
    expires_at: datetime | None = None,
    pepper: bytes,
) -> tuple[ApiKey, str]:
    """Make an API key and return it with its secret, which is shown this once and not stored.

    `source` defaults to the name; a key that replaces another one takes over its source, so that events sent again
    are still found to be duplicates. Whether the product exists is not checked here. Raises KeyRefused, Forbidden.
    """
    call.need(Permission.KEY_WRITE)
    secret = credentials.new_secret(environment, secrets.token_bytes(credentials.SECRET_BYTES))
    new = _new_key(
        call,
        secret,
        name=name,
        scopes=scopes,
        product=product_key,
        customer_id=customer_id,
        source=source,
        expires_at=expires_at,
    )
    await _add_key(tx, call, new, credentials.hash_secret(secret, pepper))
    return new, secret


async def ensure_key(
    tx: Tx,
    call: Call,
    *,
    secret: str,
    name: str,
    scopes: Collection[str],
    product_key: str | None = None,
    customer_id: CustomerId | None = None,
    source: str | None = None,
    pepper: bytes,
) -> ApiKey:
    """Store a key whose secret is given, for the demo; its secret names the environment.

    Safe to repeat: the key that has the secret is returned as it stands. Raises KeyRefused, Forbidden.
    """
    call.need(Permission.KEY_WRITE)
    if not credentials.is_secret(secret):
        raise KeyRefused("a secret is tg_live_ or tg_test_ and 43 letters")
    secret_hash = credentials.hash_secret(secret, pepper)
    present = await store.find_key_by_hash(tx, secret_hash)
    if present is not None:
        return present
    new = _new_key(
        call,
        secret,
        name=name,
        scopes=scopes,
        product=product_key,
        customer_id=customer_id,
        source=source,
        expires_at=None,
    )
    await _add_key(tx, call, new, secret_hash)
    return new


async def revoke_key(tx: Tx, call: Call, key_id: KeyId) -> ApiKey:
    """Refuse a key from this instant on, for ever. Safe to repeat: the first instant stands.

    Raises KeyNotFound, Forbidden.
    """
    call.need(Permission.KEY_WRITE)
    before = await store.lock_key(tx, key_id, environment=call.principal.environment)
    if before is None:
        raise KeyNotFound
    after = credentials.revoked(before, call.at)
    if after != before:
        await store.save_revocation(tx, key_id, at=call.at)
        about = encode("key", key_id)
        await journal.audit(tx, call, "revoke_key", about, customer_id=before.customer_id or NOBODY)
    return after


async def forget_customer(tx: Tx, call: Call, customer_id: CustomerId) -> None:
    """Refuse the keys of a customer that is erased, and take away their names. Safe to repeat."""
    await store.revoke_keys_of(tx, customer_id, at=call.at, name="erased")


async def list_keys(tx: Tx, call: Call, *, after: KeyId | None = None, limit: int = PAGE_MAX) -> Sequence[ApiKey]:
    """Return keys newest first, revoked ones too, at most PAGE_MAX; `after` is the id of the last one seen.

    Raises Forbidden.
    """
    call.need(Permission.KEY_READ)
    environment = call.principal.environment
    return await store.list_keys(tx, environment=environment, after=after, limit=max(0, min(limit, PAGE_MAX)))


async def authenticate_key(
    tx: Tx, at: datetime, secret: str, pepper: bytes, before: Collection[bytes] = ()
) -> Principal:
    """Return who asks with an API key at a real instant. `before` are peppers that keys were made under earlier.

    Raises CredentialsRejected, the same for a key that is malformed, unknown, expired or revoked.
    """
    if not credentials.is_secret(secret):
        raise CredentialsRejected
    if before:
        held = await authenticate_keys(tx, at, [secret], pepper, before)
        if secret not in held:
            raise CredentialsRejected
        return held[secret]
    found = await store.find_key_by_hash(tx, credentials.hash_secret(secret, pepper))
    if found is None:
        raise CredentialsRejected
    return credentials.principal_of(found, at)


async def authenticate_keys(
    tx: Tx, at: datetime, given: Collection[str], pepper: bytes, before: Collection[bytes] = ()
) -> dict[str, Principal]:
    """Return who asks with each of some API keys at a real instant; one that `authenticate_key` refuses is left out."""
    secrets = [secret for secret in given if credentials.is_secret(secret)]
    hashes = {credentials.hash_secret(secret, each): secret for secret in secrets for each in (pepper, *before)}
    found = await store.keys_by_hash(tx, hashes.keys())
    held = {}
    for secret_hash, key in found.items():
        with suppress(CredentialsRejected):
            held[hashes[secret_hash]] = credentials.principal_of(key, at)
    return held


@dataclass(frozen=True, slots=True, repr=False)
class Hs256Verifier:
    """Verifies tokens signed with one shared secret: for development, since whoever can check can also sign."""

    secret: str
    issuer: str

    async def verify(self, token: str, at: datetime) -> Principal:
        """Return for whom the token speaks. Raises CredentialsRejected."""
        from domain.access import tokens  # noqa: PLC0415 -- jwt loads much of cryptography: with the first token

        return tokens.verify_hs256(token, secret=self.secret, issuer=self.issuer, at=at)


def _new_key(
    call: Call,
    secret: str,
    *,
    name: str,
    scopes: Collection[str],
    product: str | None,
    customer_id: CustomerId | None,
    source: str | None,
    expires_at: datetime | None,
) -> ApiKey:
    new = ApiKey(
        id=KeyId(call.new_id()),
        environment=credentials.secret_environment(secret),
        name=name.strip(),
        prefix=credentials.visible_prefix(secret),
        scopes=frozenset(scopes),
        product=product,
        customer_id=customer_id,
        source=name.strip() if source is None else source,
        created_at=call.at,
        expires_at=expires_at,
        revoked_at=None,
        created_by=call.principal.id,
    )
    credentials.check_key(new)
    if call.principal.environment not in {None, new.environment}:
        raise KeyRefused("you work in the other environment only")
    return new


async def _add_key(tx: Tx, call: Call, new: ApiKey, secret_hash: bytes) -> None:
    inserted = await store.insert_key(tx, new, secret_hash)
    assert inserted, "a secret is made once"
    # Its name, and the source that may be made of it, are what somebody wrote: neither is in what is never erased.
    facts = {
        "environment": new.environment,
        "scopes": sorted(new.scopes),
        "product": new.product,
        "expires_at": new.expires_at.isoformat() if new.expires_at else None,
    }
    about = encode("key", new.id)
    await journal.audit(tx, call, "create_key", about, customer_id=new.customer_id or NOBODY, facts=facts)
