"""Live executions that sockets share: one execution and one encoding for all that watch the same thing.

A feed is keyed by document, operation, variables and all that decides what its caller may see; each socket gets the
same bytes but for its number. A feed keeps the newest frame of each item it shows, and of those the KEPT_MAX newest: a
socket that was busy, or comes later, takes what it has not seen of them. Nothing is queued for anybody.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import field
from typing import Any, NamedTuple

import msgspec
import structlog

from api.graphql.frames import Frame, crash_frame
from domain.kernel.call import Environment, Principal
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass

# As many items as a live field shows at its beginning.
KEPT_MAX = 50
# Members are asked to look at their rights in so many groups, one after the other: never all at the same moment.
GROUPS = 20
_log = structlog.get_logger()
# A number with a point stays one: the text of the same digits is another variable.
_keys = msgspec.json.Encoder(order="sorted", decimal_format="number")


class FeedKey(NamedTuple):
    """What sockets must have in common to share an execution."""

    document: str
    operation: str | None
    variables: bytes
    customer_id: CustomerId | None
    environment: Environment | None
    permissions: frozenset[str]


class News(msgspec.Struct, frozen=True):
    """A frame for a member, and whether it is to be a snapshot: for whoever has not seen the one before it."""

    frame: Frame
    as_snapshot: bool


@dataclass(eq=False, slots=True)
class Member:
    """One socket's operation on a feed. `moved` is set when there is something to look at.

    While the member's task waits, `at_once` takes a frame, and `look` looks at the member's rights, or they say that
    they cannot; then the task is woken.
    """

    feed: "Feed"
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int = 0
    at_once: Callable[[News], bool] | None = None
    look: Callable[[], bool] | None = None

    async def wait(self) -> None:
        """Wait until there is something to look at."""
        await self.moved.wait()
        self.moved.clear()

    def news(self) -> list[News]:
        """Take what was not seen yet: to a newcomer by age, to others in the order in which it moved."""
        feed = self.feed
        if feed.number == self.seen:
            return []
        as_snapshot = self.seen == 0 or self.seen < feed.number - 1
        new = [(item, kept.frame) for item, kept in feed.kept.items() if kept.number > self.seen]
        if self.seen == 0:
            new.sort(key=lambda one: (one[1].is_last, one[0]))
        self.seen = feed.number
        return [News(frame, as_snapshot) for _, frame in new]

    def ring(self) -> None:
        """Let its rights be looked at: at once where nothing is in the way of that; else wake the member's task."""
        if self.look is None or self.moved.is_set() or not self.look():
            self.moved.set()

    def offer(self, frame: Frame) -> None:
        """Hand the newest frame over at once where nothing is in its way; else wake the member's task."""
        feed, at_once = self.feed, self.at_once
        is_ready = at_once is not None and self.seen > 0 and not frame.is_last and not self.moved.is_set()
        if is_ready and at_once is not None and at_once(News(frame, self.seen != feed.number - 1)):
            self.seen = feed.number
        else:
            self.moved.set()


class Kept(msgspec.Struct, frozen=True):
    """The newest frame of an item, and which of the feed's frames it was."""

    number: int
    frame: Frame


class Framed(msgspec.Struct, frozen=True):
    """A frame and what it is about: ids of items grow with their age. The empty text: there is one item only."""

    item: str
    frame: Frame


@dataclass(eq=False, slots=True)
class Feed:
    """One execution. `number` counts its frames; of each item the newest one is kept."""

    key: FeedKey
    kept: dict[str, Kept] = field(default_factory=dict)
    number: int = 0
    members: set[Member] = field(default_factory=set)
    task: asyncio.Task[None] | None = None

    def publish(self, framed: Framed) -> None:
        """Put a frame in the place of the one before it, and let everybody have it."""
        item, frame = framed.item, framed.frame
        self.number += 1
        self.kept.pop(item, None)
        self.kept[item] = Kept(self.number, frame)
        if len(self.kept) > KEPT_MAX:
            del self.kept[min(self.kept)]
        for member in self.members:
            member.offer(frame)


Publish = Callable[[Framed], None]
# Executes what a feed is about, and publishes each result.
Execution = Callable[[Publish], Awaitable[None]]


class Feeds:
    """The feeds of one process, each for as long as a socket watches it."""

    def __init__(self) -> None:
        self.open: dict[FeedKey, Feed] = {}
        self._groups: list[set[Member]] = [set() for _ in range(GROUPS)]
        self._ringing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def join(
        self, key: FeedKey, execution: Execution, pause: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[Member]:
        """Be a member of the feed of a key, which is begun by the first one and ended by the last.

        `pause` waits for one of GROUPS parts of the time for which a member may be left without a look at its rights.
        """
        feed = self.open.get(key)
        if feed is None:
            feed = self.open[key] = Feed(key)
            feed.task = asyncio.create_task(self._run(feed, execution))
        member = Member(feed)
        feed.members.add(member)
        group = min(self._groups, key=len)
        group.add(member)
        if self._ringing is None:
            self._ringing = asyncio.create_task(self._ring_forever(pause))
        if feed.number:
            member.moved.set()
        try:
            yield member
        finally:
            group.discard(member)
            feed.members.discard(member)
            if not feed.members:
                await self._end(feed)

    async def _run(self, feed: Feed, execution: Execution) -> None:
        def publish(framed: Framed) -> None:
            if framed.frame.is_last:
                # Whoever comes now begins anew, with an execution of its own.
                self._forget(feed)
            feed.publish(framed)

        try:
            await execution(publish)
        except Exception:  # noqa: BLE001 -- whatever went wrong must reach everybody who waits
            _log.exception("feed_crashed")
            publish(Framed("", crash_frame()))

    def _forget(self, feed: Feed) -> None:
        if self.open.get(feed.key) is feed:
            del self.open[feed.key]

    async def _end(self, feed: Feed) -> None:
        self._forget(feed)
        if not any(self._groups) and self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None
        if feed.task is not None:
            feed.task.cancel()
            await asyncio.gather(feed.task, return_exceptions=True)

    async def _ring_forever(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Let each member look at its rights, group after group."""
        while True:
            for group in self._groups:
                await pause()
                for member in group:
                    member.ring()


def key_of(document: str, operation: str | None, variables: Mapping[str, Any] | None, principal: Principal) -> FeedKey:
    """Return the key of what a caller asks to watch."""
    return FeedKey(
        document,
        operation,
        _keys.encode(variables or {}),
        principal.customer_id,
        principal.environment,
        principal.permissions,
    )
