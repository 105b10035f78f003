"""Bearer tokens: the good ones, and every way to be refused."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from domain.access import credentials, tokens
from domain.access.credentials import CredentialsRejected, TokensUnverifiable
from domain.access.service import Hs256Verifier
from domain.kernel.call import Environment, Forbidden, Principal, SecondFactorMissing
from domain.kernel.ids import CustomerId, encode
from tests import make

_SECRET = "development-secret-of-32-or-more"
_AT = make.at("2026-01-15T12:00")
_NOW = int(_AT.timestamp())
_CUSTOMER = CustomerId(make.new_id())
_STAFF = {
    "iss": "tollgate",
    "aud": "tollgate",
    "sub": "ada",
    "iat": _NOW,
    "exp": _NOW + 3_600,
    "amr": ["pwd", "mfa"],
    "kind": "staff",
    "role": "admin",
}
_MEMBER = {**_STAFF, "kind": "member", "role": "viewer", "customer": encode("customer", _CUSTOMER), "env": "test"}


def _verify(token: str) -> Principal:
    return tokens.verify_hs256(token, secret=_SECRET, issuer="tollgate", at=_AT)


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_a_staff_token_speaks_for_the_merchant() -> None:
    principal = await Hs256Verifier(_SECRET, "tollgate").verify(tokens.sign_hs256(_SECRET, _STAFF), _AT)
    assert (principal.kind, principal.id, principal.role) == ("staff", "staff:ada", "admin")
    assert (principal.customer_id, principal.environment) == (None, None)
    assert principal.expires_at == make.at("2026-01-15T13:00")
    assert principal.may("clock:write")


def test_a_member_token_speaks_for_one_customer_in_one_environment() -> None:
    principal = _verify(tokens.sign_hs256(_SECRET, _MEMBER))
    assert (principal.kind, principal.id) == ("member", "member:ada")
    assert (principal.customer_id, principal.environment) == (_CUSTOMER, Environment.TEST)
    assert principal.may("subscription:read")
    assert not principal.may("subscription:write")


@pytest.mark.parametrize("methods", [["pwd"], ["otp"], [], None])
def test_what_a_role_may_change_is_withheld_without_a_second_factor(methods: list[str] | None) -> None:
    owner = {**_MEMBER, "role": "owner"}
    given = _verify(tokens.sign_hs256(_SECRET, {**owner, "amr": methods}))
    assert given.may("invoice:read")
    assert given.may("alert:write")
    for change in ("subscription:write", "payment:write", "profile:write", "credit:redeem"):
        with pytest.raises(SecondFactorMissing):
            given.need(change)
    # What the role never had is refused as before, and with the second factor nothing is withheld.
    with pytest.raises(Forbidden):
        given.need("invoice:write")
    with_it = _verify(tokens.sign_hs256(_SECRET, owner))
    assert (with_it.permissions, with_it.withheld) == (given.permissions | given.withheld, frozenset())


@pytest.mark.parametrize(
    "claims",
    [
        {**_STAFF, "aud": ["other", "tollgate"]},
        {**_STAFF, "iat": _NOW + 60},  # the issuer's clock may be a minute ahead
        {**_STAFF, "exp": _NOW + 1},
        {**_STAFF, "exp": _NOW + 30 * 86_400},  # exactly 30 days
        {**_STAFF, "nbf": _NOW},
    ],
)
def test_a_token_at_the_edge_of_what_is_allowed_is_accepted(claims: dict[str, Any]) -> None:
    assert _verify(tokens.sign_hs256(_SECRET, claims)).id == "staff:ada"


@pytest.mark.parametrize(
    "claims",
    [
        {**_STAFF, "aud": "other"},
        {**_STAFF, "aud": []},
        {**_STAFF, "amr": "mfa"},  # RFC 8176: a list
        {**_STAFF, "iss": "other"},
        {**_STAFF, "exp": _NOW},
        {**_STAFF, "exp": _NOW + 30 * 86_400 + 1},
        {**_STAFF, "exp": 1 << 40},
        {**_STAFF, "exp": str(_NOW + 60)},
        {**_STAFF, "iat": _NOW + 61},
        {**_STAFF, "iat": -1},
        {**_STAFF, "nbf": _NOW + 61},
        {**_STAFF, "sub": ""},
        {**_STAFF, "sub": "a\x00"},
        {**_STAFF, "sub": "a" * 256},
        {**_STAFF, "kind": "system"},
        {**_STAFF, "kind": "key"},
        {**_STAFF, "role": "owner"},
        {**_STAFF, "role": "root"},
        {**_STAFF, "customer": encode("customer", _CUSTOMER)},
        {**_STAFF, "env": "test"},
        {**_MEMBER, "role": "admin"},
        {**_MEMBER, "customer": None},
        {**_MEMBER, "customer": "sub_0000000000000000000000000"},
        {**_MEMBER, "env": None},
        {**_MEMBER, "env": "prod"},
        *({name: value for name, value in _STAFF.items() if name != left_out} for left_out in _STAFF.keys() - {"amr"}),
    ],
)
def test_a_genuine_token_with_a_wrong_claim_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(CredentialsRejected):
        _verify(tokens.sign_hs256(_SECRET, claims))


def _tampered() -> str:
    header, _, signature = tokens.sign_hs256(_SECRET, _MEMBER).split(".")
    return f"{header}.{_segment({**_MEMBER, 'role': 'owner'})}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        _tampered(),
        tokens.sign_hs256("another-secret-of-32-bytes-or-so", _STAFF),
        f"{_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment(_STAFF)}.",
        jwt.encode(_STAFF, _SECRET * 2, algorithm="HS512"),
        tokens.sign_hs256(_SECRET, _STAFF) + "A" * credentials.TOKEN_LENGTH_MAX,
        "\ud800.\ud800.\ud800",
        "a.b",
        "",
        "..",
        f"{_segment({'alg': 'HS256'})}.{'W1tb' * 1_500}.AAAA",
    ],
    ids=["tampered", "foreign secret", "alg none", "HS512", "too long", "surrogates", "short", "empty", "dots", "deep"],
)
def test_a_token_that_we_did_not_sign_is_refused(token: str) -> None:
    with pytest.raises(CredentialsRejected) as refused:
        _verify(token)
    assert refused.value.facts == {}
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_public_key_is_no_hs256_secret() -> None:
    # The classic confusion: the public key, known to all, taken as the secret of a symmetric signature.
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    public = jwt.PyJWK(_jwk(key.public_key(), "k1"), "RS256")
    with pytest.raises(CredentialsRejected):
        tokens.verify_signed(tokens.sign_hs256(_SECRET, _STAFF), key=public, issuer="tollgate", at=_AT)


def _jwk(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, key_id: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPublicKey) else "ES256")
    return {**json.loads(algorithm.to_jwk(key)), "kid": key_id}


def test_a_key_set_is_read_by_the_types_of_its_keys_and_others_are_left_out() -> None:
    rsa_key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    rsa_jwk, ec_jwk = _jwk(rsa_key.public_key(), "r"), _jwk(ec_key.public_key(), "e")
    document = {
        "keys": [
            rsa_jwk,
            ec_jwk,
            {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
            {**rsa_jwk, "kid": "for encryption", "use": "enc"},
            {**rsa_jwk, "kid": "another algorithm", "alg": "RS512"},
            {**ec_jwk, "kid": "another curve", "crv": "P-384"},
            {**json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(rsa_key)), "kid": "private"},
            {name: value for name, value in rsa_jwk.items() if name != "kid"},
            {"kty": ["RSA"], "kid": "list"},
            {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "broken"},
            "text",
        ]
    }
    found = tokens.read_key_set(json.dumps(document).encode())
    assert {key_id: key.algorithm_name for key_id, key in found.items()} == {"r": "RS256", "e": "ES256"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"keys": ["\xff"]}',
        b'{"keys": ' + b"[" * 100_000,
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [{"kty": "oct", "k": "AA"}]}',
    ],
)
def test_a_document_without_a_usable_key_is_no_key_set(document: bytes) -> None:
    with pytest.raises(TokensUnverifiable):
        tokens.read_key_set(document)
