"""Adapters that load their library when they are first used: a start need not wait for what nobody has asked for yet.

Together redis and jwt take a tenth of a process's start.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from domain.access.port import TokenVerifier
from domain.kernel.call import Principal
from domain.kernel.ids import CustomerId
from domain.usage.port import Wakeups


class LateWakeups:
    """Wake-ups through Redis, whose client comes with the first of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: Wakeups | None = None

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Tell every process that these customers' rows moved. Never raises."""
        if customers:
            await self._wakeups().publish(customers)

    def watch(self, customer_id: CustomerId, moved: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `moved` whenever the customer's rows may have moved while the block runs."""
        return self._wakeups().watch(customer_id, moved)

    async def close(self) -> None:
        """Close what was opened."""
        if self._made is not None:
            await self._made.close()

    def _wakeups(self) -> Wakeups:
        if self._made is None:
            from domain.adapters.redis import RedisWakeups  # noqa: PLC0415 -- see the module's docstring

            self._made = RedisWakeups(self._url)
        return self._made


class LateVerifier:
    """Verifies tokens with the keys of an identity provider; the libraries for it come with the first token."""

    def __init__(self, jwks_url: str, issuer: str) -> None:
        self._jwks_url = jwks_url
        self._issuer = issuer
        self._made: TokenVerifier | None = None

    async def verify(self, token: str, at: datetime) -> Principal:
        """Return for whom the token speaks. Raises CredentialsRejected, TokensUnverifiable."""
        if self._made is None:
            from domain.adapters.jwks import JwksVerifier, fetch_over_http  # noqa: PLC0415 -- see the module's docstring

            self._made = JwksVerifier(fetch_over_http(self._jwks_url), self._issuer)
        return await self._made.verify(token, at)
