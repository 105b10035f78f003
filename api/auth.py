"""Find out who asks: an API key or a bearer token, from an HTTP header or a websocket's first message."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

from domain.access import credentials, service
from domain.access.credentials import TOKEN_LENGTH_MAX, CredentialsMissing, CredentialsRejected, TokensUnverifiable
from domain.access.port import TokenVerifier
from domain.db import Database
from domain.kernel.call import Principal

CACHE_FOR = timedelta(seconds=10)
CACHE_ENTRIES_MAX = 10_000
# To verify a token costs computing alone; after so many everything else has its turn, about every millisecond.
TOKENS_AT_ONCE = 16
_SCHEME = "bearer"


def bearer(authorization: str | None) -> str | None:
    """Return the credential in an Authorization header, or None where there is none of the Bearer scheme."""
    scheme, _, credential = (authorization or "").strip().partition(" ")
    return (credential.strip() or None) if scheme.lower() == _SCHEME else None


class Authenticator:
    """Checks credentials; one per process.

    One that was found good is remembered for CACHE_FOR of real time: a revoked key, and a token whose signing key was
    withdrawn, is refused everywhere at most 10 seconds later. Its own expiry is exact. Credentials are remembered by
    their keyed hash, never by their text.
    """

    def __init__(self, db: Database, pepper: bytes, verifier: TokenVerifier, *, before: Collection[bytes] = ()) -> None:
        """Remember nothing yet. `pepper` has at least 32 bytes, as have those that keys were made under `before`."""
        self._before = before
        self._db = db
        self._pepper = pepper
        self._memory_key = credentials.memory_key(pepper)
        self._verifier = verifier
        self._known: dict[bytes, tuple[datetime, Principal]] = {}

    async def authenticate(self, credential: str | None, at: datetime) -> Principal:
        """Return who asks at a real instant, with an API key (tg_live_..., tg_test_...) or a token.

        Raises CredentialsMissing, CredentialsRejected, TokensUnverifiable.
        """
        if not credential:
            raise CredentialsMissing
        if len(credential) > TOKEN_LENGTH_MAX or not credential.isascii():
            raise CredentialsRejected
        remembered_as = credentials.remembered_as(credential, self._memory_key)
        principal = self._recall(remembered_as, at)
        if principal is not None:
            if principal.expires_at is not None and principal.expires_at <= at:
                raise CredentialsRejected
            return principal
        self._known.pop(remembered_as, None)
        principal = await self._find_out(credential, at)
        self._remember(remembered_as, at, principal)
        return principal

    async def ended(self, given: Collection[str], at: datetime) -> frozenset[str]:
        """Return those of some credentials that were good once and are refused at a real instant.

        API keys are read anew, all in one statement, whatever is remembered of them; a token is remembered as in
        `authenticate`. What cannot be found out now has not ended. Raises what a database out of reach raises.
        """
        keys = {each for each in given if credentials.is_secret(each)}
        ended = set()
        for number, token in enumerate(set(given) - keys, 1):
            if await self._is_refused(token, at):
                ended.add(token)
            if number % TOKENS_AT_ONCE == 0:
                await asyncio.sleep(0)
        if keys:
            async with self._db.transaction() as tx:
                held = await service.authenticate_keys(tx, at, keys, self._pepper, self._before)
            for key in keys:
                remembered_as = credentials.remembered_as(key, self._memory_key)
                if key in held:
                    self._remember(remembered_as, at, held[key])
                else:
                    self._known.pop(remembered_as, None)
                    ended.add(key)
        return frozenset(ended)

    async def _is_refused(self, token: str, at: datetime) -> bool:
        try:
            await self.authenticate(token, at)
        except TokensUnverifiable:
            return False
        except CredentialsRejected:
            return True
        return False

    def remembered(self, credential: str | None, at: datetime) -> Principal | None:
        """Return who asks, where that was found out a moment ago and still holds; None says nothing about anybody."""
        if not credential or len(credential) > TOKEN_LENGTH_MAX or not credential.isascii():
            return None
        principal = self._recall(credentials.remembered_as(credential, self._memory_key), at)
        if principal is None or (principal.expires_at is not None and principal.expires_at <= at):
            return None
        return principal

    def _recall(self, remembered_as: bytes, at: datetime) -> Principal | None:
        """Return whom a credential was found to be of within CACHE_FOR, expired or not."""
        checked_at, principal = self._known.get(remembered_as, (None, None))
        return principal if checked_at is not None and at - checked_at < CACHE_FOR else None

    async def _find_out(self, credential: str, at: datetime) -> Principal:
        if not credentials.is_secret(credential):
            return await self._verifier.verify(credential, at)
        async with self._db.transaction() as tx:
            return await service.authenticate_key(tx, at, credential, self._pepper, self._before)

    def _remember(self, remembered_as: bytes, at: datetime, principal: Principal) -> None:
        """Keep the newest; the oldest goes when there is no room."""
        self._known.pop(remembered_as, None)
        while len(self._known) >= CACHE_ENTRIES_MAX:
            del self._known[next(iter(self._known))]
        self._known[remembered_as] = (at, principal)
