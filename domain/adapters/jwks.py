"""Verify tokens with the public keys of the merchant's identity provider (JWKS).

Keys are read again every KEYS_FRESH, so that one the provider withdrew stops working, and once more when a token names
an unknown one, but never more than once in REFRESH_WAIT. When the provider cannot be reached the last keys are used
for at most KEYS_STALE_MAX.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx
import jwt

from domain.access import tokens
from domain.access.credentials import CredentialsRejected, TokensUnverifiable
from domain.kernel.call import Principal

KEYS_FRESH = timedelta(minutes=5)
KEYS_STALE_MAX = timedelta(hours=24)
REFRESH_WAIT = timedelta(seconds=60)
# Without any key nobody can sign in, so the first set is asked for more often.
FIRST_WAIT = timedelta(seconds=5)
TIMEOUT_S = 5
DOCUMENT_BYTES_MAX = 262_144

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))

# Returns the key set's document. Raises TokensUnverifiable where it cannot be had.
Fetch = Callable[[], Awaitable[bytes]]


class JwksVerifier:
    """Verifies tokens with RS256 or ES256, whichever the named key's type says."""

    def __init__(self, fetch: Fetch, issuer: str) -> None:
        """Fetch nothing yet."""
        self._fetch = fetch
        self._issuer = issuer
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at: datetime | None = None
        self._not_before: datetime | None = None
        self._lock = asyncio.Lock()

    async def verify(self, token: str, at: datetime) -> Principal:
        """Return for whom the token speaks.

        Raises CredentialsRejected, and TokensUnverifiable while no key set can be had.
        """
        key = await self._key(tokens.key_id_of(token), at)
        return tokens.verify_signed(token, key=key, issuer=self._issuer, at=at)

    async def _key(self, key_id: str, at: datetime) -> jwt.PyJWK:
        if key_id not in self._keys or self._is_due(at):
            # Whoever names an unknown key waits for a fetch under way; the others go on with the keys at hand.
            async with self._lock:
                if (key_id not in self._keys and self._may_fetch(at)) or self._is_due(at):
                    await self._refresh(at)
        if self._read_at is None or at - self._read_at > KEYS_STALE_MAX:
            raise TokensUnverifiable
        if key_id not in self._keys:
            raise CredentialsRejected
        return self._keys[key_id]

    def _may_fetch(self, at: datetime) -> bool:
        return self._not_before is None or at >= self._not_before

    def _is_due(self, at: datetime) -> bool:
        return self._may_fetch(at) and (self._read_at is None or at - self._read_at >= KEYS_FRESH)

    async def _refresh(self, at: datetime) -> None:
        self._not_before = at + (FIRST_WAIT if self._read_at is None else REFRESH_WAIT)
        try:
            self._keys = tokens.read_key_set(await self._fetch())
        except TokensUnverifiable:
            return
        self._read_at, self._not_before = at, at + REFRESH_WAIT


def fetch_over_http(url: str) -> Fetch:
    """Make a fetcher of a key set's document; https, or http on this machine.

    One request of at most TIMEOUT_S in all and DOCUMENT_BYTES_MAX; redirects are not followed.
    """
    parts = urlsplit(url)
    assert parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK), "keys come over https"

    async def fetch() -> bytes:
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                httpx.AsyncClient(timeout=TIMEOUT_S) as client,
                client.stream("GET", url, headers={"Accept": "application/json"}) as response,
            ):
                response.raise_for_status()
                return await _read_bounded(response)
        except (httpx.HTTPError, TimeoutError):
            raise TokensUnverifiable from None

    return fetch


async def _read_bounded(response: httpx.Response) -> bytes:
    document = b""
    async for chunk in response.aiter_bytes():
        document += chunk
        if len(document) > DOCUMENT_BYTES_MAX:
            raise TokensUnverifiable
    return document
