"""Live data over a real socket: snapshots, changes, numbers without gaps, and who is shown the door."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import strawberry
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from api.graphql.context import Context
from api.graphql.live import usage_frames
from api.graphql.sockets import OPERATIONS_PER_SOCKET_MAX
from api.rounds import FRAME_GAP_S
from api.serve import SOCKET_MESSAGE_BYTES_MAX
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.subscriptions.subscription import Subscription
from tests.api.graphql.site import Site
from tests.api.graphql.socket_client import Socket, open_socket
from tests.api.graphql.test_live_sharing import Gate, leave_to_operations
from tests.waiting import until

USAGE = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence usage {
    version subscriptions { cost { amount } meters { key quantity } limits { key state } } } } }"""
# A field with a resolver has to be executed, and a fragment at the root keeps an execution from being shared.
EXECUTED = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence usage {
    version subscriptions { cost { amount } meters { key quantity meter { name } } limits { key state } } } } }"""
UNSHARED = EXECUTED.replace("{", "{ ...Watched } fragment Watched on Live {", 1)
INVOICES = """subscription($id: ID!) { invoiceChanged(customerId: $id) { sequence invoice {
    id state total { amount } lines { kind amount { amount } } } } }"""


class Subscriber:
    """A customer with a running subscription and the key of the product that reports its usage."""

    def __init__(self, server: Site, subscription: Subscription, key: str) -> None:
        self.server, self.customer_id, self.key = server, subscription.customer_id, key
        self.id = encode("customer", subscription.customer_id)
        self.subscription_id = encode("subscription", subscription.id)
        self.token = server.member(self.customer_id, "viewer")
        self.reported = 0

    async def use(self, tokens: int) -> None:
        """Report one call of so many input tokens, as the product does."""
        self.reported += 1
        properties = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": tokens}
        at = "2026-01-31T00:00:30Z"
        event = {"id": f"e{self.reported}", "type": "llm.call", "customer": self.id, "occurred_at": at}
        answer = await self.server.post({**event, "properties": properties}, self.key, path="/v1/events")
        assert answer.json()["counted"] == 1, answer.text


async def subscriber(server: Site, card: str | None = "pm_card_visa") -> Subscriber:
    """Make one, on a test clock that stands."""
    customer = await server.world.customer(on="2026-01-31", card=card)
    started = await server.world.subscribe(customer, "pro")
    return Subscriber(server, started, await server.key("usage:write", product="llm"))


@pytest.fixture
async def ada(quiet_server: Site) -> Subscriber:
    """Make a customer to watch."""
    return await subscriber(quiet_server)


def _tokens(frame: dict[str, Any]) -> int:
    [used] = frame["usage"]["subscriptions"]
    return int({each["key"]: each["quantity"] for each in used["meters"]}.get("input_tokens", 0))


async def _ends_with(socket: Socket, name: str, code: str) -> None:
    """Expect that an operation ends with an error that has a code, and that the socket goes on."""
    message = await socket.next(name)
    errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
    assert [error["extensions"]["code"] for error in errors] == [code]
    if message["type"] == "next":
        assert (await socket.next(name))["type"] == "complete"
    viewer = await socket.start("{ viewer { kind } }")
    assert (await socket.frame(viewer))["kind"]
    assert (await socket.next(viewer))["type"] == "complete"


@pytest.mark.parametrize("document", [USAGE, EXECUTED, UNSHARED], ids=["plain", "executed", "unshared"])
async def test_usage_comes_as_a_snapshot_and_then_in_numbered_changes(
    quiet_server: Site, ada: Subscriber, document: str
) -> None:
    async with open_socket(quiet_server.host, ada.token) as socket:
        name = await socket.start(document, id=ada.id)
        first = await socket.frame(name)
        assert (first["sequence"], _tokens(first), first["usage"]["version"]) == (1, 0, 0)
        seen = [first]
        for _ in range(3):
            await ada.use(1_000)
            seen.append(await socket.frame(name))
    assert [frame["sequence"] for frame in seen] == [1, 2, 3, 4]
    assert [_tokens(frame) for frame in seen] == [0, 1_000, 2_000, 3_000]
    # 3,000 tokens at 1.25 per million.
    assert seen[-1]["usage"]["subscriptions"][0]["cost"]["amount"] == "0.00375"
    versions = [frame["usage"]["version"] for frame in seen]
    assert versions == sorted(set(versions))


async def test_whoever_comes_back_begins_with_a_fresh_snapshot(quiet_server: Site, ada: Subscriber) -> None:
    await ada.use(1_000)
    for _ in range(2):
        async with open_socket(quiet_server.host, ada.token) as socket:
            frame = await socket.frame(await socket.start(USAGE, id=ada.id))
            assert (frame["sequence"], _tokens(frame)) == (1, 1_000)


async def test_a_lost_wake_up_costs_time_and_nothing_else(server: Site) -> None:
    ada = await subscriber(server)
    # The recorder keeps the wake-ups it began with: nobody hears them any more.
    server.runtime.wakeups = MemoryWakeups()
    server.app.state.serving.reread_s = 0.1
    async with open_socket(server.host, ada.token) as socket:
        name = await socket.start(USAGE, id=ada.id)
        assert _tokens(await socket.frame(name)) == 0
        await ada.use(1_000)
        assert _tokens(await socket.frame(name)) == 1_000


async def test_a_watch_ends_when_it_is_cancelled_just_as_news_come(quiet_server: Site, ada: Subscriber) -> None:
    context = Context(quiet_server.app.state.serving, connection_params={})
    await context.sign_in(ada.token)
    waits = asyncio.Event()

    async def watch() -> None:
        async for _ in usage_frames(context, strawberry.ID(ada.id)):
            waits.set()

    watching = asyncio.create_task(watch())
    await waits.wait()
    # It waits for news once the gap between two frames is over.
    await asyncio.sleep(2 * FRAME_GAP_S)
    await quiet_server.runtime.wakeups.publish([ada.customer_id])
    watching.cancel()
    done, _ = await asyncio.wait([watching], timeout=5)
    assert done == {watching}
    assert watching.cancelled()


async def test_an_invoice_is_seen_as_a_draft_then_open_then_paid(server: Site) -> None:
    ada = await subscriber(server, card=None)
    staff = server.staff()

    def seen(frame: dict[str, Any]) -> tuple[int, str, str]:
        return frame["sequence"], frame["invoice"]["state"], frame["invoice"]["total"]["amount"]

    async with open_socket(server.host, ada.token) as socket:
        name = await socket.start(INVOICES, id=ada.id)
        assert seen(await socket.frame(name)) == (1, "OPEN", "79.00")
        # 320,000 tokens at 1.25 per million: 0.40 USD, below the least amount that is charged, so it stays a draft.
        await ada.use(320_000)
        await server.world.advance(to="2026-02-01")
        end = {"subscriptionId": ada.subscription_id, "atPeriodEnd": False, "idempotencyKey": "end"}
        ended = await server.change("cancelSubscription", "... on SubscriptionCancelled { __typename }", staff, **end)
        assert ended == {"__typename": "SubscriptionCancelled"}
        assert seen(await socket.frame(name)) == (2, "DRAFT", "0.40")
        # The fee of a new subscription goes on the same invoice: 79.40.
        anew = {"product": "llm", "plan": "pro", "interval": "MONTH", "idempotencyKey": "anew"}
        wish = {"customerId": ada.id, **anew}
        await server.change("subscribe", "... on SubscriptionStarted { __typename }", staff, **wish)
        opened = await socket.frame(name)
        assert seen(opened) == (3, "OPEN", "79.40")
        assert sorted(line["kind"] for line in opened["invoice"]["lines"]) == ["FEE", "USAGE"]
        card = {"customerId": ada.id, "gatewayMethodId": "pm_card_visa", "idempotencyKey": "card"}
        await server.change("attachPaymentMethod", "... on PaymentMethodAttached { __typename }", staff, **card)
        await server.world.drain()
        await server.runtime.wakeups.publish([ada.customer_id])
        frames: list[tuple[int, str, str]] = []
        while not frames or frames[-1][1] != "PAID":  # A look in between may see one that is still open.
            frames.append(seen(await socket.frame(name)))
        assert [frame[0] for frame in frames] == list(range(4, 4 + len(frames)))
        # The fee of what has ended is charged to nothing that is given later.
        assert frames[-1][1:] == ("PAID", "79.40")


async def test_nobody_watches_another_customer(quiet_server: Site, ada: Subscriber) -> None:
    other = await quiet_server.world.customer(on="2026-01-31", card=None)
    async with open_socket(quiet_server.host, quiet_server.member(other.id)) as socket:
        for document in (USAGE, INVOICES):
            await _ends_with(socket, await socket.start(document, id=ada.id), "customer_not_found")
        await _ends_with(socket, await socket.start(USAGE, id="cus_x"), "id_malformed")
    live_key = await quiet_server.key("usage:read", environment=Environment.LIVE)
    async with open_socket(quiet_server.host, live_key) as socket:
        await _ends_with(socket, await socket.start(USAGE, id=ada.id), "customer_not_found")
        await _ends_with(socket, await socket.start(INVOICES, id=ada.id), "forbidden")
    wrong_key = await quiet_server.key("invoice:read")
    async with open_socket(quiet_server.host, wrong_key) as socket:
        for document in (USAGE, EXECUTED, UNSHARED):
            await _ends_with(socket, await socket.start(document, id=ada.id), "forbidden")


async def test_a_token_that_runs_out_ends_what_it_watches(server: Site) -> None:
    ada = await subscriber(server)
    token = server.token(kind="member", role="viewer", env="test", customer=ada.id, lives=timedelta(minutes=5))
    async with open_socket(server.host, token) as socket:
        name = await socket.start(USAGE, id=ada.id)
        assert _tokens(await socket.frame(name)) == 0
        leave_to_operations(server)
        server.pass_time(timedelta(minutes=6))
        await ada.use(1_000)
        message = await socket.next(name)
        assert message["payload"]["errors"][0]["extensions"] == {"code": "credentials_rejected"}
        assert (await socket.next(name))["type"] == "complete"
        # Nothing else could begin with it either.
        assert await socket.closed() == 4403


async def test_unsubscribing_stops_the_reading(quiet_server: Site, ada: Subscriber) -> None:
    watchers = quiet_server.world.runtime.wakeups._watchers  # type: ignore[attr-defined]
    async with open_socket(quiet_server.host, ada.token) as socket:
        name = await socket.start(USAGE, id=ada.id)
        await socket.frame(name)
        assert len(watchers[ada.customer_id]) == 1
        await socket.send({"id": name, "type": "complete"})
        # The name is free again at once.
        await socket.send({"id": name, "type": "subscribe", "payload": {"query": USAGE, "variables": {"id": ada.id}}})
        assert (await socket.frame(name))["sequence"] == 1
        assert len(watchers[ada.customer_id]) == 1
    serving = quiet_server.app.state.serving
    await until(lambda: not watchers[ada.customer_id] and not serving.sockets, "the end of the reading")


async def test_a_reader_that_is_too_slow_skips_states_and_not_numbers(server: Site) -> None:
    ada, gate = await subscriber(server), Gate()
    server.app.state.serving.pause = gate.pause
    big = """subscription($id: ID!) { usageChanged(customerId: $id) { sequence usage { subscriptions { """ + (
        "".join(f"l{n}: limits {{ key description state unit }} " for n in range(45))
        + " meters { key quantity } } } } }"
    )
    async with open_socket(server.host, ada.token, max_queue=1) as socket:
        name = await socket.start(big, id=ada.id)
        assert (await socket.frame(name))["sequence"] == 1
        frames = 0
        # The client does not read while much is reported, all of it within the gap between two frames.
        gate.is_open.clear()
        for _ in range(30):
            await ada.use(1_000)
        gate.is_open.set()
        sequences, tokens = [], 0
        while tokens < 30_000:
            frame = await socket.frame(name)
            frames += 1
            sequences.append(frame["sequence"])
            tokens = _tokens(frame)
    assert sequences == list(range(2, frames + 2))
    # The first change is sent at once, the others after the gap: in one frame, or a few where readings were under way.
    assert frames < 15


async def test_queries_and_mutations_run_over_the_socket_too(quiet_server: Site) -> None:
    async with open_socket(quiet_server.host, quiet_server.staff()) as socket:
        name = await socket.start(
            """mutation { createTestClock(input: { name: "c", nowAt: "2026-01-31T00:00:00Z" }) {
            ... on TestClockCreated { clock { state } } } }"""
        )
        assert (await socket.frame(name))["clock"] == {"state": "READY"}
        assert (await socket.next(name))["type"] == "complete"


async def test_a_fault_of_one_operation_leaves_the_socket_open(quiet_server: Site) -> None:
    async with open_socket(quiet_server.host, quiet_server.staff()) as socket:
        for document, code in (
            ("subscription {", "graphql_invalid"),
            ("", "graphql_invalid"),
            ("{ viewer { shoeSize } }", "graphql_invalid"),
            ("{ viewer { " + "kind " * 501 + "} }", "query_too_large"),
            ("query A { viewer { kind } } query B { viewer { kind } }", "graphql_invalid"),
            ("{ customers(first: 101) { nodes { id } } }", "page_malformed"),
            ("query($f: Int!) { customers(first: $f) { nodes { id } } }", "graphql_invalid"),
        ):
            await _ends_with(socket, await socket.start(document), code)


async def test_a_socket_runs_a_bounded_number_of_operations(quiet_server: Site, ada: Subscriber) -> None:
    async with open_socket(quiet_server.host, ada.token) as socket:
        names = [await socket.start(USAGE, id=ada.id) for _ in range(OPERATIONS_PER_SOCKET_MAX)]
        for name in names:
            await socket.frame(name)
        message = await socket.next(await socket.start("{ viewer { kind } }"))
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "too_many_operations")


async def test_ping_is_answered_with_pong(quiet_server: Site) -> None:
    async with open_socket(quiet_server.host, quiet_server.staff()) as socket:
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}
        await socket.send({"type": "pong"})
        assert (await socket.frame(await socket.start("{ viewer { kind } }")))["kind"] == "STAFF"


@pytest.mark.parametrize("token", [None, "nonsense", "tg_test_" + "a" * 43])
async def test_a_socket_without_a_good_credential_is_closed(quiet_server: Site, token: str | None) -> None:
    async with open_socket(quiet_server.host) as socket:
        payload = {"authorization": f"Bearer {token}"} if token else {}
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.closed() == 4403


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { kind } }"}}], 4401),
        (["{"], 4400),
        (["[]"], 4400),
        (["null"], 4400),
        ([b"{}"], 4400),
        ([{"type": "start"}], 4400),
        ([{"type": ["ping"]}], 4400),
        ([{"type": "subscribe"}], 4400),
        ([{"type": "subscribe", "id": ["1"], "payload": {"query": "{ viewer { kind } }"}}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": []}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": {"query": 1}}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": {"query": "", "variables": [1]}}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": {"query": "", "variables": {"a": "\0"}}}], 4400),
        ([{"type": "subscribe", "id": "1" * 101, "payload": {"query": ""}}], 4400),
        (['{"type":"ping","payload":' + "[" * 50_000 + "]" * 50_000 + "}"], 4400),
        ([{"type": "connection_init", "payload": 1}], 4400),
        ([" " * (SOCKET_MESSAGE_BYTES_MAX + 1)], 1009),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_is_no_message_of_the_protocol_closes_the_socket(
    quiet_server: Site, messages: list[Any], code: int
) -> None:
    async with open_socket(quiet_server.host) as socket:
        for message in messages:
            await socket.send(message)
        assert await socket.closed() == code


async def test_greeting_twice_and_naming_twice_close_the_socket(quiet_server: Site) -> None:
    async with open_socket(quiet_server.host, quiet_server.staff()) as socket:
        await socket.send({"type": "connection_init"})
        assert await socket.closed() == 4429
    customer = await quiet_server.world.customer(on="2026-01-31", card=None)
    async with open_socket(quiet_server.host, quiet_server.staff()) as socket:
        name = await socket.start(USAGE, id=encode("customer", customer.id))
        await socket.frame(name)
        await socket.send({"id": name, "type": "subscribe", "payload": {"query": "{ viewer { kind } }"}})
        assert await socket.closed() == 4409


async def test_the_older_protocol_is_not_spoken(quiet_server: Site) -> None:
    async with open_socket(quiet_server.host, protocol=Subprotocol("graphql-ws")) as socket:
        assert await socket.closed() == 4406


async def test_a_page_of_another_site_opens_no_socket(quiet_server: Site) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(quiet_server.host, origin="http://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    async with open_socket(quiet_server.host, quiet_server.staff(), origin=f"http://{quiet_server.host}"):
        pass


async def test_there_are_no_more_sockets_than_the_process_takes_on(quiet_server: Site) -> None:
    serving = quiet_server.app.state.serving
    kept, serving.sockets_max = serving.sockets_max, 0
    try:
        with pytest.raises(InvalidStatus) as refused:
            async with open_socket(quiet_server.host):
                pass
    finally:
        serving.sockets_max = kept
    assert refused.value.response.status_code == 403
