"""Feeds: one execution for everybody who watches the same thing, each with numbers of its own."""

import asyncio
import json
from typing import Any

from graphql import GraphQLError, parse

from api.graphql.feeds import KEPT_MAX, Feeds, Framed, Member, News, Publish, key_of
from api.graphql.frames import TEXTS_KEPT_MAX, Shape, frame_of, shape_of
from domain.kernel.call import Environment, Principal
from domain.kernel.ids import CustomerId
from tests import make

TEXT = 'subscription { usageChanged(customerId: "x") { sequence since changes { by } shown } }'


def _shape() -> Shape:
    found = shape_of(parse(TEXT), None)
    assert found is not None
    return found


SHAPE = _shape()


def frame(number: int, item: str = "") -> Framed:
    """Make a frame that shows a number."""
    body = {"sequence": number, "since": number - 1, "changes": [number], "shown": number}
    return Framed(item, frame_of({"usageChanged": body}, None, SHAPE))


async def news_of(member: Member) -> list[News]:
    """Wait for what a member is woken for."""
    await member.wait()
    return member.news()


async def next_of(member: Member) -> News:
    """Wait for the one frame that a member is woken for."""
    [news] = await news_of(member)
    return news


def read(given: News, number: int) -> Any:
    """Decode what a member would be sent."""
    message = json.loads(given.frame.encoded(b'"a"', number, as_snapshot=given.as_snapshot))
    assert (message["id"], message["type"]) == ("a", "next")
    return message["payload"]["data"]["usageChanged"]


async def never() -> None:
    """Wait for ever: these tests look at no rights."""
    await asyncio.Event().wait()


class Source:
    """An execution that shows what it is given, and counts how often it was begun and ended."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.queue: asyncio.Queue[Framed | Exception] = asyncio.Queue()

    async def execute(self, publish: Publish) -> None:
        """Publish frames, or fail."""
        self.begun += 1
        try:
            while True:
                given = await self.queue.get()
                if isinstance(given, Exception):
                    raise given
                publish(given)
        finally:
            self.ended += 1


def key(**changed: Any) -> Any:
    """Make the key of a viewer of Ada's."""
    given = {
        "kind": "member",
        "id": "x",
        "role": "viewer",
        "permissions": frozenset(("usage:read",)),
        "environment": Environment.TEST,
        "customer_id": CustomerId(make.new_id()),
    }
    return key_of("subscription { a }", None, {"id": "cus_1"}, Principal(**{**given, **changed}))


async def test_all_that_watch_the_same_thing_share_an_execution_until_the_last_one_leaves() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as one:
        async with feeds.join(name, source.execute, never) as two:
            for number in (1, 2):
                source.queue.put_nowait(frame(number))
                for member in (one, two):
                    assert read(await next_of(member), number)["shown"] == number
            assert source.begun == 1
        assert source.ended == 0
    assert (source.ended, feeds.open) == (1, {})


async def test_one_who_comes_later_begins_with_a_snapshot_of_the_present() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as one:
        for number in (1, 2):
            source.queue.put_nowait(frame(number))
            first = read(await next_of(one), number)
        assert first == {"sequence": 2, "since": 1, "changes": [2], "shown": 2}
        async with feeds.join(name, source.execute, never) as two:
            assert read(await next_of(two), 1) == {"sequence": 1, "since": None, "changes": [], "shown": 2}
            source.queue.put_nowait(frame(3))
            assert read(await next_of(two), 2) == {"sequence": 2, "since": 2, "changes": [3], "shown": 3}


async def test_one_who_missed_a_frame_goes_on_with_a_snapshot_and_holds_no_more_than_that() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as one, feeds.join(name, source.execute, never) as busy:
        for number in range(1, 6):
            source.queue.put_nowait(frame(number))
            await next_of(one)
        assert read(await next_of(busy), 1) == {"sequence": 1, "since": None, "changes": [], "shown": 5}
        for number in (6, 7):
            source.queue.put_nowait(frame(number))
            await next_of(one)
        assert read(await next_of(busy), 2) == {"sequence": 2, "since": None, "changes": [], "shown": 7}
        source.queue.put_nowait(frame(8))
        assert read(await next_of(busy), 3) == {"sequence": 3, "since": 7, "changes": [8], "shown": 8}


async def test_a_ring_lets_everybody_look_without_a_frame() -> None:
    feeds, source, name = Feeds(), Source(), key()
    rings: asyncio.Queue[None] = asyncio.Queue()
    async with feeds.join(name, source.execute, rings.get) as one:
        waiting = asyncio.create_task(news_of(one))
        await asyncio.sleep(0)
        assert not waiting.done()
        rings.put_nowait(None)
        assert await waiting == []


async def test_a_ring_wakes_nobody_whose_rights_are_looked_at_without_that() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as one:
        looks: list[bool] = []

        def look() -> bool:
            looks.append(len(looks) < 1)
            return looks[-1]

        one.look = look
        one.ring()
        assert (looks, one.moved.is_set()) == ([True], False)
        # Who cannot look so is woken, and is not asked again before it was.
        one.ring()
        one.ring()
        assert (looks, one.moved.is_set()) == ([True, False], True)


async def test_an_execution_that_ends_or_crashes_tells_everybody_and_the_next_one_begins_anew() -> None:
    feeds, source, name = Feeds(), Source(), key()
    refused = GraphQLError("no", extensions={"code": "forbidden"})
    for given, code in (
        (Framed("", frame_of(None, [refused], SHAPE)), "forbidden"),
        (RuntimeError("secret"), "internal_error"),
    ):
        async with feeds.join(name, source.execute, never) as one, feeds.join(name, source.execute, never) as two:
            source.queue.put_nowait(given)
            for member in (one, two):
                code_of(await next_of(member), code)
            assert feeds.open == {}


def code_of(given: News, code: str) -> None:
    """Check that a member is sent the end of an execution."""
    assert given.frame.is_last
    payload = json.loads(given.frame.encoded(b'"a"', 1, as_snapshot=True))["payload"]
    assert payload["data"] is None
    assert [error["extensions"]["code"] for error in payload["errors"]] == [code]
    assert "secret" not in json.dumps(payload)


async def test_a_member_that_waits_is_handed_a_frame_without_being_woken() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as quick, feeds.join(name, source.execute, never) as slow:
        source.queue.put_nowait(frame(1))
        # The first one is always for the member's own task.
        taken: list[News] = []

        def take(news: News) -> bool:
            taken.append(news)
            return True

        quick.at_once = take
        for member in (quick, slow):
            assert read(await next_of(member), 1)["shown"] == 1
        source.queue.put_nowait(frame(2))
        assert read(await next_of(slow), 2)["shown"] == 2
        assert [read(news, 2) for news in taken] == [{"sequence": 2, "since": 1, "changes": [2], "shown": 2}]
        assert (quick.moved.is_set(), quick.news()) == (False, [])
        # One that cannot take it is woken, and finds it there.
        quick.at_once = lambda _: False
        source.queue.put_nowait(frame(3))
        assert read(await next_of(quick), 3) == {"sequence": 3, "since": 2, "changes": [3], "shown": 3}


async def test_of_each_item_the_newest_frame_is_kept_and_a_newcomer_is_given_them_by_age() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as one:
        for number, item in ((1, "a"), (2, "b"), (3, "a"), (4, "c")):
            source.queue.put_nowait(frame(number, item))
        await asyncio.sleep(0)
        seen: list[int] = []
        while not seen or seen[-1] != 4:
            seen += [read(news, 1)["shown"] for news in await news_of(one)]
        assert set(seen) <= {1, 2, 3, 4}
        async with feeds.join(name, source.execute, never) as two:
            assert [read(news, 1)["shown"] for news in await news_of(two)] == [3, 2, 4]
            for number, item in ((5, "b"), (6, "a"), (7, "b")):
                feeds.open[name].publish(frame(number, item))
            # It missed the first state of b, and is given what it has not seen in the order in which it moved.
            assert [read(news, 1)["shown"] for news in await news_of(two)] == [6, 7]


async def test_a_feed_keeps_a_bounded_number_of_items_the_newest_ones() -> None:
    feeds, source, name = Feeds(), Source(), key()
    async with feeds.join(name, source.execute, never) as one:
        for number in range(1, KEPT_MAX + 3):
            feeds.open[name].publish(frame(number, f"{number:03}"))
        assert [read(news, 1)["shown"] for news in await news_of(one)] == list(range(3, KEPT_MAX + 3))


def test_sockets_that_name_their_operations_alike_are_sent_one_text() -> None:
    made = frame(1).frame
    first = made.encoded(b'"1"', 2, as_snapshot=False)
    assert made.encoded(b'"1"', 2, as_snapshot=False) is first
    for number in range(3, TEXTS_KEPT_MAX + 9):
        assert f'"sequence":{number},' in made.encoded(b'"1"', number, as_snapshot=False)
    assert len(made._texts) == TEXTS_KEPT_MAX


def test_the_text_for_a_socket_that_is_alone_is_the_same_and_is_not_kept() -> None:
    made = frame(1).frame
    alone = [made.encoded(b'"1"', 2, as_snapshot=each, is_shared=False) for each in (True, False)]
    assert not made._texts
    assert alone == [made.encoded(b'"1"', 2, as_snapshot=each) for each in (True, False)]


def test_whoever_may_see_something_else_shares_nothing() -> None:
    ada = CustomerId(make.new_id())
    keys = {
        key(customer_id=ada),
        key(customer_id=ada, permissions=frozenset(("usage:read", "invoice:read"))),
        key(customer_id=None),
        key(customer_id=None, environment=None),
        key(customer_id=None, environment=Environment.LIVE),
    }
    assert len(keys) == 5
    assert key(customer_id=ada, id="y", role="owner") in keys


def test_the_text_of_a_number_is_another_variable_than_the_number() -> None:
    caller = Principal("member", "x", "viewer", frozenset())  # type: ignore[arg-type]
    assert key_of("d", None, {"a": "1"}, caller) != key_of("d", None, {"a": 1}, caller)
    assert key_of("d", None, {"a": 1, "b": 2}, caller) == key_of("d", None, {"b": 2, "a": 1}, caller)
    assert key_of("d", None, {}, caller) == key_of("d", None, None, caller)
    assert key_of("d", "A", {}, caller) != key_of("d", None, {}, caller)


def test_each_has_its_own_number_under_whatever_name_it_asks_for() -> None:
    document = parse("""subscription A { mine: usageChanged(customerId: "x") { n: sequence ...F } }
        fragment F on UsageFrame { m: sequence ... on UsageFrame { usage { version } since } ...F }""")
    shape = shape_of(document, "A")
    assert shape is not None
    assert (shape.name, shape.root) == ("usageChanged", "mine")
    body = {"n": 0, "m": 0, "usage": {"version": 0}, "since": 7}
    made = frame_of({"mine": body}, None, shape)
    sent = json.loads(made.encoded(b'"\\u00e9"', 12, as_snapshot=False))
    assert sent == {
        "id": "é",
        "type": "next",
        "payload": {"data": {"mine": {"n": 12, "m": 12, "usage": {"version": 0}, "since": 7}}},
    }
    assert list(sent["payload"]["data"]["mine"]) == ["n", "m", "usage", "since"]


def test_what_is_no_plain_subscription_is_not_shared() -> None:
    for text in (
        "{ viewer { kind } }",
        "mutation { a }",
        'subscription($b: Boolean!) { usageChanged(customerId: "x") @include(if: $b) { sequence } }',
        'subscription { ...F } fragment F on Live { usageChanged(customerId: "x") { sequence } }',
    ):
        assert shape_of(parse(text), None) is None


def test_a_member_is_one_operation() -> None:
    feeds = Feeds()
    assert Member(feeds) != Member(feeds)  # type: ignore[arg-type]
