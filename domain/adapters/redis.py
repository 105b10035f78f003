"""Wake-ups through Redis: hints that a customer's usage or invoices moved. Losing one loses nothing but time."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from domain.kernel.ids import CustomerId

# Each message is one or more customers' ids, ID_BYTES each.
CHANNEL = "tollgate:moved"
ID_BYTES = 16
_RECONNECT_S = 1.0
_READ_TIMEOUT_S = 5.0
_log = structlog.get_logger()


def pool_of(url: str, timeout_s: float) -> ConnectionPool:
    """Prepare connections to an address as `redis://user:password@host:6379/0`; none is opened yet.

    Over TLS (`rediss://`) the certificate must be of the host; by itself the client takes any that is signed.
    """
    checked = {"ssl_check_hostname": True} if url.startswith("rediss:") else {}
    return ConnectionPool.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, **checked)


class RedisWakeups:
    """One publishing connection and one subscription per process, shared by all watchers.

    Every process listens to one channel and passes a wake-up on to the watchers of that customer: subscribing to a
    customer costs no round trip, and a lost connection is one connection to mend.
    """

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_pool(pool_of(url, _READ_TIMEOUT_S))
        # By the bytes of customers' ids, as they come in messages.
        self._watchers: dict[bytes, set[Callable[[], None]]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def publish(self, customers: Sequence[CustomerId]) -> None:
        """Tell every process that these customers' rows moved. Never raises: the facts are in Postgres."""
        if not customers:
            return
        try:
            await self._redis.publish(CHANNEL, b"".join(customer.bytes for customer in customers))
        except (RedisError, OSError) as error:
            _log.warning("wakeup_lost", error=type(error).__name__)

    @contextmanager
    def watch(self, customer_id: CustomerId, moved: Callable[[], None]) -> Iterator[None]:
        """Call `moved` whenever the customer's rows may have moved while the block runs."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        self._watchers[customer_id.bytes].add(moved)
        try:
            yield
        finally:
            self._watchers[customer_id.bytes].discard(moved)
            if not self._watchers[customer_id.bytes]:
                del self._watchers[customer_id.bytes]

    async def close(self) -> None:
        """Stop listening and close the connections."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    await self._pass_on(channel)
            except (RedisError, OSError) as error:
                _log.warning("wakeups_disconnected", error=type(error).__name__)
                await asyncio.sleep(_RECONNECT_S)

    async def _pass_on(self, channel: PubSub) -> None:
        while True:
            message = await channel.get_message(timeout=_READ_TIMEOUT_S)
            if message is None:
                continue
            data: bytes = message["data"]
            for start in range(0, len(data), ID_BYTES):
                for moved in self._watchers.get(data[start : start + ID_BYTES], ()):
                    moved()
