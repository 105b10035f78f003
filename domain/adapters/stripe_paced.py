"""Stripe's HTTP client, which every request passes, each repetition by Stripe's package too: here they are paced."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import stripe

from domain.adapters.pacer import Pacer
from domain.payments.pace import endpoint_of

# How often a request is sent anew that Stripe did not take: it has done nothing, and said when to come again.
RESENDS_MAX = 2
_THROTTLED = 429


class PacedClient(stripe.HTTPXClient):
    """Waits for its turn before every request. Stripe's package does not repeat one that was answered 429."""

    def __init__(self, pacer: Pacer, timeout: httpx.Timeout) -> None:
        """Open nothing."""
        super().__init__(timeout=timeout)
        self._pacer = pacer

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request in its turn. Raises GatewayUnavailable where too many wait."""
        endpoint = endpoint_of(method, urlsplit(url).path)
        resends = 0
        while True:
            await self._pacer.wait(endpoint)
            answer = await super().request_async(method, url, headers, post_data)
            if answer[1] != _THROTTLED:
                return answer
            if not self._pacer.pause(endpoint, answer[2].get("retry-after")) or resends == RESENDS_MAX:
                return answer
            resends += 1
