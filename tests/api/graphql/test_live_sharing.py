"""Sockets that watch the same customer cost one reading and one execution, and each is served by its own rights."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from starlette.routing import WebSocketRoute

from api.context import READINGS_MAX
from api.graphql.feeds import Feeds
from api.graphql.view import SocketView
from api.rounds import FRAME_GAP_S
from domain.customers.customer import Customer
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site
from tests.api.graphql.socket_client import Socket, open_socket
from tests.api.graphql.test_loaders import counted
from tests.waiting import until
from tests.world import key_of, llm_call

USAGE = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence since
    changes { key by quantity } usage { version subscriptions {
        cost { amount } projectedCost { amount } limits { key used percent projected reachesAt } } } } }"""
CALLS = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence since changes { key by quantity } } }"""
INVOICES = """subscription($id: ID!) { invoiceChanged(customerId: $id) { sequence invoice {
    id state total { amount } lines { kind } } } }"""
ALERTS = "subscription($id: ID!) { alertRaised(customerId: $id) { sequence alert { id step } } }"
ROUNDS_MAX = 1_000


class Gate:
    """Waits between frames for as long as it is shut; all other waiting is as it was."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def pause(self, seconds: float) -> None:
        """Wait at the gate between two frames."""
        await (self.is_open.wait() if seconds == FRAME_GAP_S else asyncio.sleep(seconds))


@pytest.fixture
async def ada(server: Site) -> Customer:
    """Make a customer of the Free plan."""
    made = await server.world.customer(on="2026-01-31")
    await server.world.subscribe(made, "free")
    return made


@pytest.fixture
async def gate(server: Site) -> AsyncIterator[Gate]:
    """Stand between the frames of the server."""
    made = Gate()
    server.app.state.serving.pause = made.pause
    yield made
    made.is_open.set()


def view_of(server: Site) -> SocketView:
    """Find what the sockets of the server have in common."""
    sockets = (route for route in server.app.routes if isinstance(route, WebSocketRoute))
    [view] = [route.endpoint for route in sockets if route.path == "/graphql"]
    assert isinstance(view, SocketView)
    return view


def feeds_of(server: Site) -> Feeds:
    """Find the feeds of the server."""
    return view_of(server).feeds


def leave_to_operations(server: Site) -> None:
    """Look after no socket as a whole, which may come first: its operation finds out by itself, and closes it then."""
    admitted = view_of(server).admitted
    for guest in [guest for group in admitted._groups for guest in group]:
        admitted.leave(guest)


async def use(server: Site, customer: Customer, calls: int = 1) -> None:
    """Report calls of one token to Gemini, in one batch."""
    start = make.at("2026-01-31")
    events = (llm_call(customer, start, input_tokens=1) for _ in range(calls))
    recorder = server.app.state.serving.recorder
    verdicts = await recorder.record(server.runtime.call(key_of("llm")), list(events))
    assert {each.status for each in verdicts} == {"counted"}


async def watch(server: Site, stack: AsyncExitStack, token: str, customer: Customer, text: str) -> tuple[Socket, str]:
    """Open a socket that watches a customer."""
    socket = await stack.enter_async_context(open_socket(server.host, token))
    return socket, await socket.start(text, id=encode("customer", customer.id))


async def test_six_sockets_on_one_customer_cost_one_reading_a_change(server: Site, ada: Customer) -> None:
    async with AsyncExitStack() as stack:
        token = server.member(ada.id, "viewer")
        opened = [await watch(server, stack, token, ada, CALLS) for _ in range(6)]
        for socket, name in opened:
            assert (await socket.frame(name))["sequence"] == 1
        [feed] = feeds_of(server).open.values()
        assert len(feed.members) == 6
        with counted(server) as statements:
            await use(server, ada)
            frames = [await socket.frame(name) for socket, name in opened]
        assert {frame["sequence"] for frame in frames} == {2}
        assert [frame["changes"] for frame in frames] == [frames[0]["changes"]] * 6
        # One reading looks at what moved since the one before, and what was granted has not.
        assert len([each for each in statements if "pg_snapshot_xmin" in each]) == 1
        assert not [each for each in statements if "FROM limit_override" in each]
    await until(lambda: not feeds_of(server).open, "the end of the feed")


async def test_frames_say_what_moved_since_the_frame_before(server: Site, ada: Customer, gate: Gate) -> None:
    async with AsyncExitStack() as stack:
        token = server.member(ada.id, "viewer")
        socket, name = await watch(server, stack, token, ada, USAGE)
        first = await socket.frame(name)
        assert (first["since"], first["changes"], first["usage"]["version"]) == (None, [], 0)
        await use(server, ada, 3)
        second = await socket.frame(name)
        moved = {each["key"]: (each["by"], each["quantity"]) for each in second["changes"]}
        assert (second["since"], moved["calls"], moved["tokens"]) == (0, ("3", "3"), ("3", "3"))
        # 3 tokens at 1.25 per million.
        assert moved["cost"] == ("0.00000375", "0.00000375")
        await use(server, ada, 2)
        third = await socket.frame(name)
        moved = {each["key"]: (each["by"], each["quantity"]) for each in third["changes"]}
        assert (third["since"], moved["calls"]) == (1, ("2", "5"))
        # One who comes now begins with a snapshot, and both go on together.
        late, other = await watch(server, stack, token, ada, USAGE)
        joined = await late.frame(other)
        assert (joined["sequence"], joined["since"], joined["changes"]) == (1, None, [])
        assert joined["usage"] == third["usage"]
        await use(server, ada)
        assert (await late.frame(other))["sequence"] == 2
        assert (await socket.frame(name))["sequence"] == 4
        assert gate.is_open.is_set()


async def test_usage_is_projected_after_the_first_day(server: Site, ada: Customer) -> None:
    await use(server, ada, 40)
    token = server.member(ada.id, "viewer")

    async def shown() -> Any:
        async with open_socket(server.host, token) as socket:
            frame = await socket.frame(await socket.start(USAGE, id=encode("customer", ada.id)))
        [used] = frame["usage"]["subscriptions"]
        [gemini] = [each for each in used["limits"] if each["key"] == "gemini_calls"]
        return used["projectedCost"], gemini

    cost, gemini = await shown()
    assert (cost, gemini["projected"], gemini["reachesAt"], gemini["percent"]) == (None, None, None, "40")
    await server.world.advance(to="2026-02-07")
    cost, gemini = await shown()
    # 40 calls in 7 of 28 days: 160 of 100 at the end, and 100 after 17.5 days. 40 tokens cost 0.00005, four times that.
    assert (gemini["projected"], gemini["reachesAt"]) == ("160", "2026-02-17T12:00:00Z")
    assert cost == {"amount": "0.0002"}


async def test_changes_that_follow_closely_are_one_frame_and_the_first_is_sent_at_once(
    server: Site, ada: Customer, gate: Gate
) -> None:
    async with AsyncExitStack() as stack:
        socket, name = await watch(server, stack, server.member(ada.id, "viewer"), ada, CALLS)
        await socket.frame(name)
        gate.is_open.clear()
        # Nothing was sent for a while: the change does not wait at the gate.
        await use(server, ada)
        assert (await socket.frame(name))["sequence"] == 2
        for _ in range(20):
            await use(server, ada)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.next(name), 0.1)
        gate.is_open.set()
        frame = await socket.frame(name)
        calls = [each for each in frame["changes"] if each["key"] == "calls"]
        assert (frame["sequence"], frame["since"], calls) == (3, 1, [{"key": "calls", "by": "20", "quantity": "21"}])


async def test_whoever_may_see_more_has_an_execution_of_its_own(server: Site, ada: Customer) -> None:
    async with AsyncExitStack() as stack:
        for token in (server.member(ada.id, "viewer"), server.member(ada.id, "owner"), server.staff("viewer")):
            socket, name = await watch(server, stack, token, ada, CALLS)
            assert (await socket.frame(name))["sequence"] == 1
        assert len(feeds_of(server).open) == 3


async def test_sockets_that_watch_the_same_invoices_and_alerts_share_executions_and_miss_nothing(
    server: Site, ada: Customer
) -> None:
    token = server.member(ada.id, "viewer")
    async with AsyncExitStack() as stack:
        one, invoices = await watch(server, stack, token, ada, INVOICES)
        alerts = await one.start(ALERTS, id=encode("customer", ada.id))
        await server.world.subscribe(ada, "starter", product="edge")
        await server.runtime.wakeups.publish([ada.id])
        first = await one.frame(invoices)
        # 80 of the 100 calls of the plan, then 90: an alert each.
        for calls, step in ((80, 80), (10, 90)):
            await use(server, ada, calls)
            await server.world.drain()
            raised = await one.frame(alerts)
            assert raised["alert"]["step"] == step
        assert (first["sequence"], raised["sequence"]) == (1, 2)
        # Whoever comes later is given what there is, oldest first, by the executions that run already.
        two, same = await watch(server, stack, token, ada, INVOICES)
        others = await two.start(ALERTS, id=encode("customer", ada.id))
        assert await two.frame(same) == first
        assert [(await two.frame(others))["alert"]["step"] for _ in range(2)] == [80, 90]
        assert sorted(len(feed.members) for feed in feeds_of(server).open.values()) == [2, 2]


async def test_the_end_of_one_callers_rights_leaves_the_others_their_frames(server: Site, ada: Customer) -> None:
    who: Any = {"kind": "member", "role": "viewer", "env": "test", "customer": encode("customer", ada.id)}
    async with AsyncExitStack() as stack:
        short = await watch(server, stack, server.token(**who, lives=timedelta(minutes=5)), ada, CALLS)
        long = await watch(server, stack, server.token(**who), ada, CALLS)
        for socket, name in (short, long):
            await socket.frame(name)
        assert len(feeds_of(server).open) == 1
        leave_to_operations(server)
        server.pass_time(timedelta(minutes=6))
        await use(server, ada)
        message = await short[0].next(short[1])
        assert message["payload"]["data"] is None
        assert message["payload"]["errors"][0]["extensions"] == {"code": "credentials_rejected"}
        assert (await short[0].next(short[1]))["type"] == "complete"
        assert (await long[0].frame(long[1]))["sequence"] == 2


async def test_a_caller_whose_rights_ended_is_found_out_though_nothing_moves(server: Site, ada: Customer) -> None:
    server.app.state.serving.reread_s = 0.1
    who: Any = {"kind": "member", "role": "viewer", "env": "test", "customer": encode("customer", ada.id)}
    async with open_socket(server.host, server.token(**who, lives=timedelta(minutes=5))) as socket:
        name = await socket.start(CALLS, id=who["customer"])
        await socket.frame(name)
        leave_to_operations(server)
        server.pass_time(timedelta(minutes=6))
        message = await socket.next(name)
        assert message["payload"]["errors"][0]["extensions"] == {"code": "credentials_rejected"}
        assert await socket.closed() == 4403


async def test_a_socket_that_never_reads_is_let_go(server: Site, ada: Customer) -> None:
    serving = server.app.state.serving
    serving.send_within_s = 0.3
    big = "subscription($id: ID!) { usageChanged(customerId: $id) { sequence usage { subscriptions { " + (
        "".join(f"l{n}: limits {{ key description state unit }} " for n in range(45)) + " meters { key } } } } }"
    )
    async with AsyncExitStack() as stack:
        raw = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        raw.setblocking(False)  # noqa: FBT003 -- as the standard library has it
        host, _, port = server.host.partition(":")
        await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
        socket = await stack.enter_async_context(
            open_socket(server.host, server.member(ada.id, "viewer"), sock=raw, max_queue=1, close_timeout=0.1)
        )
        names = [await socket.start(big, id=encode("customer", ada.id)) for _ in range(20)]
        assert names
        socket.connection.transport.pause_reading()
        for _ in range(ROUNDS_MAX):
            await use(server, ada)
            if serving.sockets == 0:
                break
            await asyncio.sleep(0.02)
        assert serving.sockets == 0
        assert feeds_of(server).open == {}
        socket.connection.transport.abort()


async def test_however_many_customers_move_at_once_a_bounded_number_is_read_at_a_time(server: Site) -> None:
    people = [await server.world.customer(on="2026-01-31", card=None) for _ in range(READINGS_MAX + 2)]
    for each in people:
        await server.world.subscribe(each, "free")
    async with AsyncExitStack() as stack:
        opened = [await watch(server, stack, server.staff(), each, CALLS) for each in people]
        for socket, name in opened:
            await socket.frame(name)
        # While readings have all their places taken, usage is recorded all the same; then everybody is served.
        for _ in range(READINGS_MAX):
            await server.app.state.serving.readings.acquire()
        for each in people:
            await use(server, each)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened[0][0].next(opened[0][1]), 0.1)
        for _ in range(READINGS_MAX):
            server.app.state.serving.readings.release()
        assert [(await socket.frame(name))["sequence"] for socket, name in opened] == [2] * len(people)
