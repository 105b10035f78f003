"""Deliver events to webhook endpoints: signed as Stripe signs, tried again with growing pauses, kept over restarts."""

import asyncio
import contextlib
import hashlib
import hmac
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox import clock, timers, waiting
from sandbox.events import DELIVERIES_DEFAULT
from sandbox.presenting import present
from sandbox.store import Store
from sandbox.waiting import Delivery

if TYPE_CHECKING:
    import httpx

CONCURRENT_MAX = 16
TIMEOUT_S = 5.0
PAUSE_MAX_S = 30.0
TRIES_MAX = 20
IDLE_S = 30.0
SUCCESS = range(200, 300)
LOG = logging.getLogger("sandbox")


def signature(secret: str, payload: bytes, moment: int) -> str:
    """Give the value of the header `Stripe-Signature`."""
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"


def pause_s(tries: int, first_pause_ms: int) -> float:
    """Give the pause after a number of failed tries: the first, doubling, 30 s at most."""
    return float(min(PAUSE_MAX_S, first_pause_ms / 1000 * 2 ** (tries - 1)))


class Courier:
    """The background task that delivers events and runs timers. `wake` it after anything was queued."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; deliveries left by an earlier process go first."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End at once; a delivery cut off here is made again after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def wake(self) -> None:
        """Look for work now."""
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                busy = await self._round()
            except Exception:
                LOG.exception("a round of deliveries failed; the next one follows")
                busy = False
            if not busy:
                await self._rest()

    async def _round(self) -> bool:
        now = clock.precise()
        ran = timers.run_due(self._store, now)
        settings = self._settings()
        due = [] if settings["hold"] else waiting.due_deliveries(self._store, now, CONCURRENT_MAX)
        if settings["reorder"]:
            for delivery in reversed(due):
                await self._deliver(delivery)
        else:
            await asyncio.gather(*(self._deliver(delivery) for delivery in due))
        return bool(ran or due)

    async def _rest(self) -> None:
        next_due = waiting.next_due(self._store, deliveries=not self._settings()["hold"])
        timeout = IDLE_S if next_due is None else max(0.01, min(IDLE_S, next_due - clock.precise()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self._store.setting("deliveries", DELIVERIES_DEFAULT)
        return settings

    async def _deliver(self, delivery: Delivery) -> None:
        event, endpoint = self._store.find(delivery.event), self._store.find(delivery.endpoint)
        if event is None or endpoint is None or endpoint.get("status") != "enabled":
            self._close(delivery, "dropped")
            return
        event |= {
            "api_version": endpoint["api_version"] or event["api_version"],
            "pending_webhooks": waiting.pending_deliveries(self._store, event["id"]),
        }
        payload = msgspec.json.encode(present(self._store, event))
        if await self._post(endpoint["url"], endpoint["_secret"], payload):
            self._close(delivery, "delivered")
        elif delivery.tries + 1 >= TRIES_MAX:
            LOG.warning("gave up delivering %s to %s after %s tries", delivery.event, endpoint["url"], TRIES_MAX)
            self._close(delivery, "failed")
        else:
            with self._store.transaction():
                due_at = clock.precise() + pause_s(delivery.tries + 1, self._settings()["first_pause_ms"])
                waiting.postpone_delivery(self._store, delivery, due_at)

    def _close(self, delivery: Delivery, state: str) -> None:
        with self._store.transaction():
            waiting.close_delivery(self._store, delivery, state)

    async def _post(self, url: str, secret: str, payload: bytes) -> bool:
        """Send one event, signed anew; anything but a 2xx within five seconds is a failure."""
        import httpx  # noqa: PLC0415 -- a sandbox without endpoints never pays for it.

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(secret, payload, clock.now()),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            answer = await self._client.post(url, content=payload, headers=headers)
        except httpx.HTTPError:
            return False
        return answer.status_code in SUCCESS
