"""Bearer tokens: whether one is genuine, and for whom it speaks.

A token is a JWT with the claims iss, aud "tollgate", sub, iat, exp, `kind` (member or staff) and `role`; a member's
also names `customer` (cus_...) and `env` (live or test), a member of staff's neither. `amr` says how they signed in
(RFC 8176): without "mfa" in it, what a role may change is withheld. Instants are compared with the
`at` that is passed in, never with the system's clock. Whatever is wrong, the answer is CredentialsRejected: it does
not tell a forger what to mend.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
import msgspec

from domain.access.credentials import TOKEN_LENGTH_MAX, CredentialsRejected, TokensUnverifiable
from domain.access.roles import RoleUnknown, permissions_of, withheld_of
from domain.kernel.call import Environment, Principal, PrincipalKind
from domain.kernel.ids import CustomerId, IdMalformed, decode
from domain.kernel.unreadable import UNREADABLE

AUDIENCE = "tollgate"
# The method of authentication that stands for several factors in `amr`.
SECOND_FACTOR = "mfa"
SECRET_BYTES_MIN = 32
SUBJECT_LENGTH_MAX = 255
KEYS_MAX = 100
# From iat to exp. A longer life is refused: tokens cannot be revoked one by one.
LIFETIME_MAX = timedelta(days=30)
# How far the issuer's clock may be ahead of ours.
SKEW_MAX = timedelta(seconds=60)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MAX = 1 << 33  # the year 2242
# A key's type says its algorithm; what a token's header says is only compared with it.
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256"}
_JWS = jwt.PyJWS(algorithms=["HS256", "RS256", "ES256"], options={"enforce_minimum_key_length": True})


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says, by type only."""

    iss: str
    aud: str | list[str]
    sub: str
    iat: int
    exp: int
    nbf: int | None = None
    kind: Literal["member", "staff"]
    role: str
    customer: str | None = None
    env: Literal["live", "test"] | None = None
    amr: list[str] | None = None


def sign_hs256(secret: str, claims: Mapping[str, Any]) -> str:
    """Sign a token for development. The secret has at least 32 bytes."""
    assert len(secret.encode()) >= SECRET_BYTES_MIN, "the secret has at least 32 bytes"
    return _JWS.encode(json.dumps(dict(claims)).encode(), secret.encode(), algorithm="HS256")


def verify_hs256(token: str, *, secret: str, issuer: str, at: datetime) -> Principal:
    """Return for whom a token signed with our own secret speaks. Raises CredentialsRejected."""
    assert len(secret.encode()) >= SECRET_BYTES_MIN, "the secret has at least 32 bytes"
    return _principal(token, secret.encode(), "HS256", issuer=issuer, at=at)


def verify_signed(token: str, *, key: jwt.PyJWK, issuer: str, at: datetime) -> Principal:
    """Return for whom a token signed by the identity provider's key speaks. Raises CredentialsRejected."""
    return _principal(token, key, key.algorithm_name, issuer=issuer, at=at)


def key_id_of(token: str) -> str:
    """Return the id of the key that a token claims to be signed with. Raises CredentialsRejected without one."""
    _check_text(token)
    try:
        key_id = _JWS.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        raise CredentialsRejected from None
    if not isinstance(key_id, str) or not key_id:
        raise CredentialsRejected
    return key_id


def read_key_set(document: bytes) -> dict[str, jwt.PyJWK]:
    """Read a JSON Web Key Set: its public RSA and P-256 signing keys by id; others are left out.

    Raises TokensUnverifiable where there is no such key in it.
    """
    try:
        entries = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except UNREADABLE:
        raise TokensUnverifiable from None
    found = {}
    for entry in entries[:KEYS_MAX] if isinstance(entries, list) else []:
        key = _read_key(entry)
        if key is not None and key.key_id:
            found[key.key_id] = key
    if not found:
        raise TokensUnverifiable
    return found


def principal_from_claims(claims: Claims, *, issuer: str, at: datetime) -> Principal:
    """Return for whom genuine claims speak at a real instant, with all rights resolved. Raises CredentialsRejected."""
    _check_instants(claims, at)
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.iss != issuer or AUDIENCE not in audiences:
        raise CredentialsRejected
    if not (1 <= len(claims.sub) <= SUBJECT_LENGTH_MAX and claims.sub.isprintable()):
        raise CredentialsRejected
    kind = PrincipalKind(claims.kind)
    environment, customer_id = _whose(claims)
    try:
        permissions = permissions_of(kind, claims.role)
    except RoleUnknown:
        raise CredentialsRejected from None
    withheld = frozenset[str]() if SECOND_FACTOR in (claims.amr or ()) else withheld_of(permissions)
    return Principal(
        kind=kind,
        id=f"{kind}:{claims.sub}",
        role=claims.role,
        permissions=permissions - withheld,
        environment=environment,
        customer_id=customer_id,
        expires_at=_instant(claims.exp),
        withheld=withheld,
    )


def _principal(token: str, key: bytes | jwt.PyJWK, algorithm: str, *, issuer: str, at: datetime) -> Principal:
    """Check the signature first: nothing of an unsigned claim is looked at."""
    _check_text(token)
    try:
        payload = _JWS.decode(token, key=key, algorithms=[algorithm])
        claims = msgspec.json.decode(payload, type=Claims)
    except (jwt.PyJWTError, *UNREADABLE):
        raise CredentialsRejected from None
    return principal_from_claims(claims, issuer=issuer, at=at)


def _check_text(token: str) -> None:
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        raise CredentialsRejected


def _instant(seconds: int) -> datetime:
    if not 0 <= seconds < _SECONDS_MAX:
        raise CredentialsRejected
    return _EPOCH + timedelta(seconds=seconds)


def _check_instants(claims: Claims, at: datetime) -> None:
    issued_at, expires_at = _instant(claims.iat), _instant(claims.exp)
    valid_from = issued_at if claims.nbf is None else max(issued_at, _instant(claims.nbf))
    if not valid_from - SKEW_MAX <= at < expires_at or expires_at - issued_at > LIFETIME_MAX:
        raise CredentialsRejected


def _whose(claims: Claims) -> tuple[Environment | None, CustomerId | None]:
    """Return a member's environment and customer; staff name neither, since they act for the merchant."""
    if claims.kind == "staff":
        if claims.customer is not None or claims.env is not None:
            raise CredentialsRejected
        return None, None
    if claims.customer is None or claims.env is None:
        raise CredentialsRejected
    try:
        return Environment(claims.env), CustomerId(decode("customer", claims.customer))
    except IdMalformed:
        raise CredentialsRejected from None


def _read_key(entry: Any) -> jwt.PyJWK | None:
    """Read one public signing key; None for any other: private, symmetric, for encryption, or of another curve."""
    if not isinstance(entry, dict) or "d" in entry or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(entry.get("kid"), str):
        return None
    kind, curve = entry.get("kty"), entry.get("crv")
    algorithm = _ALGORITHMS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str | None) else None
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(entry, algorithm)
    except jwt.PyJWTError:
        return None
