"""Lets calls to the gateway through no faster than it takes them, and holds them back when it says so.

There is one for a process, shared by all of its coroutines; calls go in the order in which they come. What would wait
too long is refused at once: its job backs off, and finds a shorter queue later.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from domain.payments.pace import SECOND_US, Bucket, Rate, empty, take, wait_us
from domain.payments.port import GatewayUnavailable

WAITING_MAX = 500
WAIT_MAX_US = 30 * SECOND_US
# A gateway that says nothing of when to come again is left alone for a second.
PAUSE_DEFAULT_S = 1
PAUSE_MAX_S = 300
ENDPOINTS_MAX = 200
_REST = "other"
_log = structlog.get_logger()


def monotonic_us() -> int:
    """Return what a clock shows that only goes forward."""
    return time.monotonic_ns() // 1_000


async def sleep_us(duration: int) -> None:
    """Let a time pass."""
    await asyncio.sleep(duration / SECOND_US)


class Pacer:
    """Two sorts of buckets: one for all calls, and one for each endpoint. `throttled` counts the answers 429."""

    def __init__(
        self,
        whole: Rate,
        each: Rate,
        *,
        now_us: Callable[[], int] = monotonic_us,
        sleep: Callable[[int], Awaitable[None]] = sleep_us,
    ) -> None:
        """Begin with full buckets. A test gives a clock of its own."""
        self._whole = Bucket(whole)
        self._each = each
        self._endpoints: dict[str, Bucket] = {}
        self._now_us = now_us
        self._sleep = sleep
        self._pauses = 0
        self.waiting = 0
        self.throttled = 0

    @property
    def whole(self) -> Rate:
        """The rate of all calls together."""
        return self._whole.rate

    @property
    def each(self) -> Rate:
        """The rate of one endpoint's calls."""
        return self._each

    async def wait(self, endpoint: str) -> None:
        """Return when a call to an endpoint may be made. Raises GatewayUnavailable where too much waits already."""
        if self.waiting >= WAITING_MAX:
            raise GatewayUnavailable("calls_too_many")
        self.waiting += 1
        try:
            while duration := self._take(endpoint):
                pauses = self._pauses
                await self._sleep(duration)
                if pauses == self._pauses:
                    return
        finally:
            self.waiting -= 1

    def pause(self, endpoint: str, retry_after: str | None) -> bool:
        """Hold all calls back, since one was answered 429; return whether the gateway said until when.

        `retry_after` is its header: whole seconds, of which at most PAUSE_MAX_S count.
        """
        is_told = retry_after is not None and retry_after.isdecimal()
        pause_s = min(int(retry_after), PAUSE_MAX_S) if retry_after is not None and is_told else PAUSE_DEFAULT_S
        until = self._now_us() + pause_s * SECOND_US
        self.throttled += 1
        self._pauses += 1
        self._whole = empty(self._whole, until)
        _log.warning("gateway_throttled", endpoint=endpoint, pause_s=pause_s, count=self.throttled)
        return is_told

    def _take(self, endpoint: str) -> int:
        """Take a token of both buckets, and return how long to wait for them."""
        now = self._now_us()
        name = endpoint if endpoint in self._endpoints or len(self._endpoints) < ENDPOINTS_MAX else _REST
        own = self._endpoints.get(name, Bucket(self._each))
        duration = max(wait_us(self._whole, now), wait_us(own, now))
        if duration > WAIT_MAX_US:
            raise GatewayUnavailable("calls_too_many")
        self._whole, self._endpoints[name] = take(self._whole, now), take(own, now)
        return duration
