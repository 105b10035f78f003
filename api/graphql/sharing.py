"""Operations on a socket that take part in a feed: each is sent what the feed shows, while it may see it."""

from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from graphql import GraphQLError
from strawberry import Schema

from api.graphql.context import Context
from api.graphql.eager import Rest
from api.graphql.executions import Asked, end_of, execute
from api.graphql.feeds import GROUPS, FeedKey, Feeds, Member, News, Publish, key_of
from api.graphql.fields import coded
from api.graphql.frames import Shape
from api.problems import PASSING_FAULTS, DatabaseUnreachable
from api.rounds import FRAME_GAP_S
from domain.access.credentials import CredentialsRejected
from domain.kernel.errors import DomainError

# Parts of the time within which rights have to be looked at again. Members are rung for it in turn; a frame that comes
# when a ring is overdue waits for the look, which costs more than to be rung. Who is woken looks, unless it just did.
RUNG_AFTER, OVERDUE_AFTER, JUST_LOOKED = 0.7, 0.9, 0.35
_encoder = msgspec.json.Encoder()


class Outlet(Protocol):
    """Where messages of one operation go."""

    def begin(self, text: str) -> Rest | None:
        """Begin to send an encoded message; return what is left of that, or None."""

    async def carry_on(self, rest: Rest) -> None:
        """Carry on with a message that was begun, within the time that a socket is given."""

    async def send_text(self, text: str) -> None:
        """Send an encoded message within the time that a socket is given."""

    async def complete(self) -> None:
        """Say that the operation has ended."""


async def share(feeds: Feeds, schema: Schema, context: Context, asked: Asked, *, shape: Shape, outlet: Outlet) -> None:
    """Send an operation the frames of its feed, numbered on their own, until its caller may see them no more."""
    assert context.principal is not None, "the socket has signed in"
    key = key_of(asked.query, asked.operation_name, asked.variables, context.principal)

    async def run(publish: Publish) -> None:
        await execute(schema, context.for_everyone(), asked, shape=shape, publish=publish)

    async def pause() -> None:
        await context.serving.pause(context.serving.reread_s * RUNG_AFTER / GROUPS)

    async with feeds.join(key, run, pause) as member:
        name = _encoder.encode(asked.id)
        subscriber = _Subscriber(member, context, key, name=name, outlet=outlet)
        try:
            is_refused = await subscriber.pass_on()
        except DomainError as error:
            await _send_end(outlet, name, shape, coded(error))
            is_refused = False
        except PASSING_FAULTS:
            await _send_end(outlet, name, shape, coded(DatabaseUnreachable()))
            is_refused = False
    if not is_refused:
        await outlet.complete()


class _Subscriber:
    """One operation of one socket. `number` counts what it was sent."""

    __slots__ = (
        "_checked_at",
        "_context",
        "_key",
        "_member",
        "_name",
        "_number",
        "_outlet",
        "_overdue_at",
        "_rest",
    )

    def __init__(self, member: Member, context: Context, key: FeedKey, *, name: bytes, outlet: Outlet) -> None:
        self._member, self._context, self._key, self._name, self._outlet = member, context, key, name, outlet
        self._number = 0
        self._rest: Rest | None = None
        self._looked_at(context.runtime.now())

    async def pass_on(self) -> bool:
        """Send frames until the last one; return whether that was a refusal to begin."""
        member = self._member
        while True:
            member.at_once, member.look = self._at_once, self._look_at_once
            await member.wait()
            member.at_once = member.look = None
            if self._rest is not None:
                rest, self._rest = self._rest, None
                await self._outlet.carry_on(rest)
            await self._look()
            is_first = self._number == 0
            for news in member.news():
                await self._outlet.send_text(self._text(news))
                if news.frame.is_last:
                    return news.frame.is_refused
            if is_first and self._number == 1:
                # The feed keeps its own pace from then on; the snapshot came out of it.
                await self._context.serving.pause(FRAME_GAP_S)

    def _at_once(self, news: News) -> bool:
        """Send a frame without waking the task, which waits; what the socket does not take at once is left to it."""
        if self._rest is not None or self._context.runtime.now() >= self._overdue_at:
            return False
        self._rest = self._outlet.begin(self._text(news))
        if self._rest is not None:
            self._member.moved.set()
        return True

    def _look_at_once(self) -> bool:
        """Look at the caller's credential without waking the task, which waits; False: that is left to it."""
        now = self._context.runtime.now()
        if not self._context.recall_credential(now) or self._rights_differ():
            return False
        self._looked_at(now)
        return True

    def _text(self, news: News) -> str:
        self._number += 1
        is_shared = len(self._member.feed.members) > 1
        return news.frame.encoded(self._name, self._number, as_snapshot=news.as_snapshot, is_shared=is_shared)

    def _looked_at(self, now: datetime) -> None:
        """Note when the caller's credential was looked at, and so when that is to be done again before a frame."""
        self._checked_at, self._overdue_at = now, self._due_at(now, OVERDUE_AFTER)

    def _due_at(self, looked_at: datetime, after: float) -> datetime:
        """Return when a part of the time has passed that a credential may be without a look, or when it ends."""
        principal = self._context.principal
        assert principal is not None, "the socket has signed in"
        due_at = looked_at + timedelta(seconds=self._context.serving.reread_s * after)
        return due_at if principal.expires_at is None else min(due_at, principal.expires_at)

    async def _look(self) -> None:
        """Look at the caller's credential where that is due.

        Raises the errors of `Context.check_credential`, and CredentialsRejected where the caller's rights have changed.
        """
        now = self._context.runtime.now()
        if now < self._due_at(self._checked_at, JUST_LOOKED):
            return
        await self._context.check_credential()
        if self._rights_differ():
            raise CredentialsRejected
        self._looked_at(now)

    def _rights_differ(self) -> bool:
        """Whether the caller may see something else by now than whoever shares the feed."""
        principal = self._context.principal
        assert principal is not None, "the socket has signed in"
        return (principal.customer_id, principal.environment, principal.permissions) != self._key[3:]


async def _send_end(outlet: Outlet, name: bytes, shape: Shape, error: GraphQLError) -> None:
    await outlet.send_text(end_of(shape, error).encoded(name, 0, as_snapshot=True))
