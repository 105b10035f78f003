"""Watch customers' usage over websockets, in the protocol graphql-transport-ws."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from typing import Any, Literal

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from api.replay import documents
from api.replay.client import Client, is_loopback
from api.replay.errors import ReplayError
from api.replay.totals import Totals, of_usage
from domain.kernel.values import dataclass

PROTOCOL = Subprotocol("graphql-transport-ws")
# The server serves as many operations on one socket.
WATCHED_PER_SOCKET = 20
MESSAGE_BYTES_MAX = 4_000_000
ACKNOWLEDGED_WITHIN_S = 10.0
RECONNECTS_MAX = 10
RECONNECT_S = 0.5


@dataclass(frozen=True, slots=True)
class Watched:
    """A customer, and the subscription whose totals are watched."""

    customer_id: str
    subscription_id: str


@dataclass(slots=True)
class Live:
    """The last totals that the server sent, by customer, and what went wrong if watching had to be given up."""

    totals: dict[str, Totals] = field(default_factory=dict)
    fault: str | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def sum(self) -> Totals:
        """The totals of all customers."""
        return sum(self.totals.values(), Totals())

    def take(self, customer_id: str, totals: Totals) -> None:
        """Note what the server sent."""
        self.totals[customer_id] = totals
        self._changed.set()

    def give_up(self, fault: str) -> None:
        """Note why nothing more will come."""
        self.fault = fault
        self._changed.set()

    async def reach(self, wanted: Totals, timeout_s: float) -> bool:
        """Wait until the sum is as wanted; False when it is not after `timeout_s` seconds or nothing more comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.sum != wanted and self.fault is None:
                    self._changed.clear()
                    await self._changed.wait()
        return self.sum == wanted


@asynccontextmanager
async def watching(client: Client, watched: Sequence[Watched]) -> AsyncIterator[Live]:
    """Watch customers while the block runs, on as many sockets as are needed."""
    live = Live()
    groups = [watched[start : start + WATCHED_PER_SOCKET] for start in range(0, len(watched), WATCHED_PER_SOCKET)]
    tasks = [asyncio.create_task(_watch(client, group, live)) for group in groups]
    try:
        yield live
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(client: Client, group: Sequence[Watched], live: Live) -> None:
    """Keep one socket open; a new one begins with fresh snapshots, so nothing is missed by a lost connection."""
    fault = "the server closed the socket"
    for _ in range(RECONNECTS_MAX):
        try:
            async with _open(client) as socket:
                await _sign_in(socket, client.token)
                await _listen(socket, group, live.take)
        except ReplayError as error:
            live.give_up(str(error))
            return
        except (OSError, TimeoutError, WebSocketException) as error:
            fault = f"the socket broke ({type(error).__name__})"
        await asyncio.sleep(RECONNECT_S)
    live.give_up(fault)


def _open(client: Client) -> connect:
    url = f"ws{client.api_url.removeprefix('http')}/graphql"
    proxy: Literal[True] | None = None if is_loopback(client.api_url) else True
    try:
        return connect(url, subprotocols=[PROTOCOL], max_size=MESSAGE_BYTES_MAX, proxy=proxy)
    except (InvalidURI, InvalidHandshake) as error:
        raise ReplayError(f"no websocket can be opened at {url}: {error}") from error


async def _sign_in(socket: ClientConnection, token: str) -> None:
    await _send(socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
    async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
        message = msgspec.json.decode(await socket.recv())
    if message.get("type") != "connection_ack":
        raise ReplayError("the server did not accept the socket")


async def _listen(socket: ClientConnection, group: Sequence[Watched], take: Callable[[str, Totals], None]) -> None:
    """Subscribe to each customer, under its place as the operation's id, and take what comes until the socket ends."""
    for place, each in enumerate(group):
        payload = {"query": documents.USAGE_CHANGED, "variables": {"id": each.customer_id}}
        await _send(socket, {"type": "subscribe", "id": str(place), "payload": payload})
    async for text in socket:
        message = msgspec.json.decode(text)
        if message["type"] == "ping":
            await _send(socket, {"type": "pong"})
        elif message["type"] == "next":
            each = group[int(message["id"])]
            take(each.customer_id, of_usage(_change(message["payload"])["usage"], each.subscription_id))
        elif message["type"] == "error":
            raise ReplayError(f"the server refused to send live usage: {message['payload'][0]['message']}")


def _change(payload: dict[str, Any]) -> Any:
    if payload.get("errors"):
        raise ReplayError(f"the server stopped sending live usage: {payload['errors'][0]['message']}")
    return payload["data"]["usageChanged"]


async def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(msgspec.json.encode(message).decode())
