"""Watching live totals: the protocol, fresh snapshots after a broken socket, and giving up."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from api.replay.client import Client
from api.replay.live import Watched, watching
from api.replay.totals import Totals

TWO = [Watched("cus_a", "sub_a"), Watched("cus_b", "sub_b")]


def frame(operation: str, subscription_id: str, tokens: int, cost: str) -> str:
    meters = [{"meter": {"key": "input_tokens"}, "quantity": str(tokens)}]
    usage = {"subscriptions": [{"subscriptionId": subscription_id, "cost": {"amount": cost}, "meters": meters}]}
    data = {"usageChanged": {"sequence": 1, "usage": usage}}
    return json.dumps({"type": "next", "id": operation, "payload": {"data": data}})


@asynccontextmanager
async def server(act: Callable[[ServerConnection, int], Awaitable[None]]) -> AsyncIterator[tuple[Client, list[Any]]]:
    """Run a server that accepts the token "staff" and then acts, knowing the number of the socket."""
    seen: list[Any] = []

    async def handle(socket: ServerConnection) -> None:
        seen.append(json.loads(await socket.recv()))
        number = sum(message["type"] == "connection_init" for message in seen)
        if seen[-1]["payload"] != {"authorization": "Bearer staff"}:
            await socket.close(4403)
            return
        await socket.send('{"type":"connection_ack"}')
        seen.extend([json.loads(await socket.recv()) for _ in TWO])
        await act(socket, number)

    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("graphql-transport-ws")]) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}", "staff") as client:
            yield client, seen


async def test_the_last_frame_of_each_customer_counts_and_pings_are_answered() -> None:
    pongs: list[Any] = []

    async def act(socket: ServerConnection, _: int) -> None:
        await socket.send(frame("0", "sub_a", 5, "0.1"))
        await socket.send(frame("1", "sub_b", 7, "0.2"))
        await socket.send('{"type":"ping"}')
        pongs.append(json.loads(await socket.recv()))
        await socket.send(frame("0", "sub_a", 8, "0.4"))
        await socket.wait_closed()

    async with server(act) as (client, seen), watching(client, TWO) as live:
        # 8 + 7 tokens, 0.4 + 0.2.
        assert await live.reach(Totals(15, 0, Decimal("0.6")), 5)

    assert pongs == [{"type": "pong"}]
    assert [message["payload"]["variables"]["id"] for message in seen[1:]] == ["cus_a", "cus_b"]
    assert live.fault is None


async def test_a_broken_socket_is_opened_anew_and_begins_with_snapshots() -> None:
    async def act(socket: ServerConnection, number: int) -> None:
        if number == 1:
            await socket.send(frame("0", "sub_a", 5, "0.1"))
            await socket.close(1011)
            return
        await socket.send(frame("0", "sub_a", 6, "0.1"))
        await socket.send(frame("1", "sub_b", 1, "0.1"))
        await socket.wait_closed()

    async with server(act) as (client, seen), watching(client, TWO) as live:
        assert await live.reach(Totals(7, 0, Decimal("0.2")), 5)

    assert [message["type"] for message in seen].count("connection_init") == 2


async def test_a_refused_operation_is_given_up_with_its_reason() -> None:
    async def act(socket: ServerConnection, _: int) -> None:
        await socket.send(json.dumps({"type": "error", "id": "0", "payload": [{"message": "Not yours."}]}))
        await socket.wait_closed()

    async with server(act) as (client, _), watching(client, TWO) as live:
        assert not await live.reach(Totals(1, 0, Decimal(1)), 5)

    assert live.fault == "the server refused to send live usage: Not yours."


async def test_a_stale_snapshot_is_waited_on_no_longer_than_told() -> None:
    async def act(socket: ServerConnection, _: int) -> None:
        await socket.send(frame("0", "sub_a", 5, "0.1"))
        await socket.wait_closed()

    async with server(act) as (client, _), watching(client, TWO) as live:
        assert not await live.reach(Totals(99, 0, Decimal(9)), 0.1)

    assert live.fault is None
