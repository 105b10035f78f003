"""Tokens of an identity provider: its key set over real HTTP on this machine, and when it is read again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from domain.access import tokens
from domain.access.credentials import CredentialsRejected, TokensUnverifiable
from domain.adapters.jwks import DOCUMENT_BYTES_MAX, JwksVerifier, fetch_over_http
from tests import make

_AT = make.at("2026-01-15T12:00")
_NOW = int(_AT.timestamp())
_CLAIMS: dict[str, Any] = {"iss": "idp", "aud": "tollgate", "sub": "ada", "kind": "staff", "role": "viewer"}
_CLAIMS |= {"iat": _NOW, "exp": _NOW + 7 * 86_400}
_RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
_EC = ec.generate_private_key(ec.SECP256R1())


def _jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str) -> dict[str, Any]:
    name = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    return {**json.loads(jwt.get_algorithm_by_name(name).to_jwk(key.public_key())), "kid": key_id}


def _sign(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str | None, algorithm: str) -> str:
    return jwt.encode(_CLAIMS, key, algorithm=algorithm, headers={"kid": key_id} if key_id else None)


class Provider:
    """An identity provider: hands out what it is given, or fails, and counts how often it was asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.is_up = True
        self.asked = 0

    async def fetch(self) -> bytes:
        """Return the key set."""
        self.asked += 1
        await asyncio.sleep(0)
        if not self.is_up:
            raise TokensUnverifiable
        return json.dumps({"keys": self.keys}).encode()


async def test_tokens_are_verified_by_the_algorithm_of_the_named_key() -> None:
    provider = Provider(_jwk(_RSA, "r"), _jwk(_EC, "e"))
    verifier = JwksVerifier(provider.fetch, "idp")
    for token in (_sign(_RSA, "r", "RS256"), _sign(_EC, "e", "ES256")):
        assert (await verifier.verify(token, _AT)).id == "staff:ada"
    assert provider.asked == 1


@pytest.mark.parametrize(
    "token",
    [
        _sign(_RSA, "e", "RS256"),  # the other key's id
        _sign(_RSA, "r", "RS512"),  # another algorithm of the same key
        _sign(_RSA, None, "RS256"),  # no id
        _sign(rsa.generate_private_key(public_exponent=65_537, key_size=2_048), "r", "RS256"),  # a stranger's key
        jwt.encode(_CLAIMS, "s" * 32, algorithm="HS256", headers={"kid": "r"}),
        jwt.encode(_CLAIMS, "", algorithm="none", headers={"kid": "r"}),
        "not a token",
    ],
)
async def test_a_token_that_the_provider_did_not_sign_is_refused(token: str) -> None:
    verifier = JwksVerifier(Provider(_jwk(_RSA, "r"), _jwk(_EC, "e")).fetch, "idp")
    with pytest.raises(CredentialsRejected):
        await verifier.verify(token, _AT)


async def test_a_wrong_issuer_and_an_expired_token_are_refused() -> None:
    provider = Provider(_jwk(_EC, "e"))
    token = _sign(_EC, "e", "ES256")
    with pytest.raises(CredentialsRejected):
        await JwksVerifier(provider.fetch, "another").verify(token, _AT)
    with pytest.raises(CredentialsRejected):
        await JwksVerifier(provider.fetch, "idp").verify(token, _AT + timedelta(days=7))


async def test_an_unknown_key_makes_the_set_be_read_again_at_most_once_a_minute() -> None:
    provider = Provider(_jwk(_RSA, "r"))
    verifier = JwksVerifier(provider.fetch, "idp")
    await verifier.verify(_sign(_RSA, "r", "RS256"), _AT)
    provider.keys.append(_jwk(_EC, "e"))
    new = _sign(_EC, "e", "ES256")
    for seconds, asked, accepted in ((1, 1, False), (59, 1, False), (60, 2, True), (61, 2, True)):
        at = _AT + timedelta(seconds=seconds)
        if accepted:
            assert (await verifier.verify(new, at)).id == "staff:ada"
        else:
            with pytest.raises(CredentialsRejected):
                await verifier.verify(new, at)
        assert provider.asked == asked
    for _ in range(5):
        with pytest.raises(CredentialsRejected):
            await verifier.verify(_sign(_EC, "nobody's", "ES256"), _AT + timedelta(seconds=125))
    assert provider.asked == 3


async def test_many_first_callers_share_one_fetch() -> None:
    provider = Provider(_jwk(_EC, "e"))
    verifier = JwksVerifier(provider.fetch, "idp")
    found = await asyncio.gather(*(verifier.verify(_sign(_EC, "e", "ES256"), _AT) for _ in range(20)))
    assert ({each.id for each in found}, provider.asked) == ({"staff:ada"}, 1)


async def test_a_withdrawn_key_stops_working_when_the_set_is_read_again() -> None:
    provider = Provider(_jwk(_RSA, "r"), _jwk(_EC, "e"))
    verifier = JwksVerifier(provider.fetch, "idp")
    token = _sign(_EC, "e", "ES256")
    await verifier.verify(token, _AT)
    del provider.keys[1]
    assert (await verifier.verify(token, _AT + timedelta(seconds=299))).id == "staff:ada"
    with pytest.raises(CredentialsRejected):
        await verifier.verify(token, _AT + timedelta(seconds=300))


async def test_the_last_keys_serve_for_a_day_when_the_provider_is_down() -> None:
    provider = Provider(_jwk(_EC, "e"))
    verifier = JwksVerifier(provider.fetch, "idp")
    token = _sign(_EC, "e", "ES256")
    await verifier.verify(token, _AT)
    provider.is_up = False
    assert (await verifier.verify(token, _AT + timedelta(hours=24))).id == "staff:ada"
    with pytest.raises(TokensUnverifiable):
        await verifier.verify(token, _AT + timedelta(hours=24, seconds=1))


async def test_without_any_key_the_answer_is_unavailable_and_the_provider_is_asked_every_five_seconds() -> None:
    provider = Provider(_jwk(_EC, "e"))
    provider.is_up = False
    verifier = JwksVerifier(provider.fetch, "idp")
    token = _sign(_EC, "e", "ES256")
    for seconds, asked in ((0, 1), (4, 1), (5, 2)):
        with pytest.raises(TokensUnverifiable):
            await verifier.verify(token, _AT + timedelta(seconds=seconds))
        assert provider.asked == asked
    provider.is_up = True
    assert (await verifier.verify(token, _AT + timedelta(seconds=10))).id == "staff:ada"


@asynccontextmanager
async def _serving(status: str, body: bytes) -> AsyncIterator[str]:
    """Answer every request alike, and give the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"


async def test_a_key_set_is_fetched_over_http() -> None:
    document = json.dumps({"keys": [_jwk(_EC, "e")]}).encode()
    async with _serving("200 OK", document) as url:
        assert list(tokens.read_key_set(await fetch_over_http(url)())) == ["e"]


@pytest.mark.parametrize(
    ("status", "body"),
    [("500 Oops", b"{}"), ("302 Found", b""), ("200 OK", b" " * (DOCUMENT_BYTES_MAX + 1))],
)
async def test_a_bad_answer_and_one_without_end_count_as_unreachable(status: str, body: bytes) -> None:
    async with _serving(status, body) as url:
        with pytest.raises(TokensUnverifiable):
            await fetch_over_http(url)()


async def test_a_closed_port_counts_as_unreachable() -> None:
    async with _serving("200 OK", b"") as url:
        pass
    with pytest.raises(TokensUnverifiable):
        await fetch_over_http(url)()


def test_keys_do_not_come_over_plain_http_from_elsewhere() -> None:
    with pytest.raises(AssertionError):
        fetch_over_http("http://idp.example.com/keys")
