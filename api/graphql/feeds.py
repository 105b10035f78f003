"""Live executions that sockets share: one execution and one encoding for all that watch the same thing.

A feed is keyed by document, operation, variables and all that decides what its caller may see; each socket gets the
same bytes but for its number. A feed keeps its newest frame only: a socket that was busy takes that one, as a snapshot.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import structlog
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationType,
    SelectionSetNode,
    get_operation_ast,
)

from api.problems import CRASH_CODE, CRASH_MESSAGE
from domain.kernel.call import Environment, Principal
from domain.kernel.ids import CustomerId

# Fields of a frame that are each socket's own: its number, and what moved since the frame that it saw before.
SEQUENCE, SINCE, CHANGES = "sequence", "since", "changes"
_OWN = {SEQUENCE: b"0", SINCE: b"null", CHANGES: b"[]"}
_log = structlog.get_logger()
_encoder = msgspec.json.Encoder()
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


@dataclass(frozen=True, slots=True)
class Shape:
    """Which field of the root is watched, under which name, and which field each of the frame's names stands for."""

    name: str
    root: str
    fields: Mapping[str, str]


def shape_of(document: DocumentNode, operation_name: str | None) -> Shape | None:
    """Return the shape of a subscription with one plain root field; None for everything else, which is not shared."""
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
        return None
    [root, *others] = operation.selection_set.selections
    if others or not isinstance(root, FieldNode) or root.directives or root.selection_set is None:
        return None
    fields: dict[str, str] = {}
    _collect(root.selection_set, _fragments(document), fields, set())
    return Shape(root.name.value, _name(root), fields)


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _name(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _collect(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], into: dict[str, str], seen: set[str]
) -> None:
    """Collect the names under which a frame's fields are answered; each fragment is visited once."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            into[_name(node)] = node.name.value
        elif isinstance(node, FragmentSpreadNode):
            if node.name.value not in seen:
                seen.add(node.name.value)
                _collect(fragments[node.name.value].selection_set, fragments, into, seen)
        else:
            assert isinstance(node, InlineFragmentNode), "a selection is one of three"
            _collect(node.selection_set, fragments, into, seen)


@dataclass(frozen=True, slots=True)
class Frame:
    """One result, encoded once in parts; between them stand the fields that are each socket's own, with their values.

    `is_last`: the execution has ended with it, by an error; `is_refused`: it never began.
    """

    parts: tuple[bytes, ...]
    own: tuple[tuple[str, bytes], ...] = ()
    is_last: bool = False
    is_refused: bool = False

    def encoded(self, name: bytes, number: int, *, as_snapshot: bool) -> str:
        """Write the message for a socket's operation, whose name is JSON already. A snapshot tells of no changes."""
        kind_of_message = b"error" if self.is_refused else b"next"
        text = [b'{"id":', name, b',"type":"', kind_of_message, b'","payload":', self.parts[0]]
        for (kind, value), part in zip(self.own, self.parts[1:], strict=True):
            if kind == SEQUENCE:
                text.append(str(number).encode())
            else:
                text.append(_OWN[kind] if as_snapshot else value)
            text.append(part)
        return b"".join([*text, b"}"]).decode()


def frame_of(data: Any, errors: list[GraphQLError] | None, shape: Shape) -> Frame:
    """Encode a result of a shared execution. One that is not whole is for everybody the same, and the last."""
    body = data.get(shape.root) if data else None
    if errors or body is None:
        formatted = {"errors": [error.formatted for error in errors]} if errors else {}
        return Frame((_encoder.encode({"data": data, **formatted}),), is_last=body is None)
    parts, own = [b'{"data":{' + _encoder.encode(shape.root) + b":{"], []
    for position, (name, value) in enumerate(body.items()):
        comma = b"," if position else b""
        head = comma + _encoder.encode(name) + b":"
        kind = shape.fields.get(name)
        if kind in _OWN:
            parts[-1] += head
            parts.append(b"")
            own.append((kind, _encoder.encode(value)))
        else:
            parts[-1] += head + _encoder.encode(value)
    parts[-1] += b"}}}"
    return Frame(tuple(parts), tuple(own))


def refusal_of(errors: list[GraphQLError]) -> Frame:
    """Encode why an execution never began."""
    return Frame((_encoder.encode([error.formatted for error in errors]),), is_last=True, is_refused=True)


def crash_frame() -> Frame:
    """Encode that an execution ended by a fault of ours."""
    error = {"message": CRASH_MESSAGE, "extensions": {"code": CRASH_CODE}}
    return Frame((_encoder.encode({"data": None, "errors": [error]}),), is_last=True)


@dataclass(eq=False, slots=True)
class Member:
    """One socket's operation on a feed. `moved` is set when there is something to look at."""

    feed: "Feed"
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int = 0

    async def next(self) -> tuple[Frame, bool] | None:
        """Wait for news: the newest frame and whether it is to be a snapshot, or None where it is only time to look.

        A frame is a snapshot for whoever has not seen the one before it.
        """
        await self.moved.wait()
        self.moved.clear()
        feed = self.feed
        if feed.frame is None or feed.number == self.seen:
            return None
        as_snapshot = self.seen != feed.number - 1 or self.seen == 0
        self.seen = feed.number
        return feed.frame, as_snapshot


@dataclass(eq=False, slots=True)
class Feed:
    """One execution. `number` counts its frames, of which the newest is kept."""

    key: FeedKey
    frame: Frame | None = None
    number: int = 0
    members: set[Member] = field(default_factory=set)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def publish(self, frame: Frame) -> None:
        """Put a frame in the place of the one before it, and tell everybody."""
        self.frame, self.number = frame, self.number + 1
        self.ring()

    def ring(self) -> None:
        """Let every member look, at the frame or at its rights."""
        for member in self.members:
            member.moved.set()


# Executes what a feed is about; each result is published.
Frames = Callable[[], AsyncGenerator[Frame, None]]


class Feeds:
    """The feeds of one process, each for as long as a socket watches it."""

    def __init__(self) -> None:
        self.open: dict[FeedKey, Feed] = {}

    @asynccontextmanager
    async def join(self, key: FeedKey, frames: Frames, pause: Callable[[], Awaitable[None]]) -> AsyncIterator[Member]:
        """Be a member of the feed of a key, which is begun by the first one and ended by the last.

        `pause` waits for as long as a member may be left without a look at its rights.
        """
        feed = self.open.get(key)
        if feed is None:
            feed = self.open[key] = Feed(key)
            feed.tasks = [
                asyncio.create_task(self._run(feed, frames)),
                asyncio.create_task(_ring_forever(feed, pause)),
            ]
        member = Member(feed)
        feed.members.add(member)
        if feed.frame is not None:
            member.moved.set()
        try:
            yield member
        finally:
            feed.members.discard(member)
            if not feed.members:
                await self._end(feed)

    async def _run(self, feed: Feed, frames: Frames) -> None:
        try:
            async with contextlib.aclosing(frames()) as results:
                async for frame in results:
                    if frame.is_last:
                        # Whoever comes now begins anew, with an execution of its own.
                        self._forget(feed)
                    feed.publish(frame)
        except Exception:  # noqa: BLE001 -- whatever went wrong must reach everybody who waits
            _log.exception("feed_crashed")
            self._forget(feed)
            feed.publish(crash_frame())

    def _forget(self, feed: Feed) -> None:
        if self.open.get(feed.key) is feed:
            del self.open[feed.key]

    async def _end(self, feed: Feed) -> None:
        self._forget(feed)
        for task in feed.tasks:
            task.cancel()
        await asyncio.gather(*feed.tasks, return_exceptions=True)


async def _ring_forever(feed: Feed, pause: Callable[[], Awaitable[None]]) -> None:
    while True:
        await pause()
        feed.ring()


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
