"""Operations on a socket that take part in a feed: each is sent what the feed shows, while it may see it."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Protocol, cast

import msgspec
from graphql import GraphQLError
from strawberry import Schema
from strawberry.types.execution import ExecutionResult, PreExecutionError

from api.graphql.context import Context
from api.graphql.documents import read_document
from api.graphql.feeds import FeedKey, Feeds, Frame, Member, Shape, frame_of, key_of, refusal_of, shape_of
from api.graphql.fields import coded
from api.graphql.live import FRAME_GAP_S
from api.problems import PASSING_FAULTS, DatabaseUnreachable
from domain.access.credentials import CredentialsRejected
from domain.kernel.errors import DomainError

# Root fields whose frames show a state as a whole, so that whoever missed one may go on with the next.
SHARED_FIELDS = frozenset(("usageChanged",))
# Rights are looked at so often within the time in which they have to be: a look may be due just after a ring.
LOOKS = 2
_encoder = msgspec.json.Encoder()


class Asked(Protocol):
    """What a socket asked for."""

    id: str
    query: str
    variables: dict[str, object] | None
    operation_name: str | None


class Outlet(Protocol):
    """Where messages of one operation go."""

    async def send_text(self, text: str) -> None:
        """Send an encoded message."""

    async def complete(self) -> None:
        """Say that the operation has ended."""


def shared_shape(schema: Schema, asked: Asked) -> Shape | None:
    """Return the shape of an operation that can be shared, or None."""
    core = schema._schema  # noqa: SLF001 -- no other way to it
    shape = shape_of(read_document(core, asked.query), asked.operation_name)
    return shape if shape is not None and shape.name in SHARED_FIELDS else None


async def share(feeds: Feeds, schema: Schema, context: Context, asked: Asked, *, shape: Shape, outlet: Outlet) -> None:
    """Send an operation the frames of its feed, numbered on their own, until its caller may see them no more."""
    assert context.principal is not None, "the socket has signed in"
    key = key_of(asked.query, asked.operation_name, asked.variables, context.principal)

    def frames() -> AsyncGenerator[Frame, None]:
        return _frames(schema, context.for_everyone(), asked, shape)

    async def pause() -> None:
        await context.serving.pause(context.serving.reread_s / LOOKS)

    async with feeds.join(key, frames, pause) as member:
        name = _encoder.encode(asked.id)
        try:
            is_refused = await _pass_on(member, context, key, name=name, outlet=outlet)
        except DomainError as error:
            await _send_end(outlet, name, shape, coded(error))
            is_refused = False
        except PASSING_FAULTS:
            await _send_end(outlet, name, shape, coded(DatabaseUnreachable()))
            is_refused = False
    if not is_refused:
        await outlet.complete()


async def _pass_on(member: Member, context: Context, key: FeedKey, *, name: bytes, outlet: Outlet) -> bool:
    """Send frames until the last one; return whether that was a refusal to begin."""
    number, checked_at = 0, context.runtime.now()
    while True:
        news = await member.next()
        checked_at = await _look(context, key, checked_at)
        if news is None:
            continue
        frame, as_snapshot = news
        number += 1
        await outlet.send_text(frame.encoded(name, number, as_snapshot=as_snapshot))
        if frame.is_last:
            return frame.is_refused
        if number == 1:
            # The feed keeps its own pace from then on; the snapshot came out of it.
            await context.serving.pause(FRAME_GAP_S)


async def _look(context: Context, key: FeedKey, checked_at: datetime) -> datetime:
    """Look at the caller's credential, if it has ended or was not looked at for a while; return when it last was.

    Raises the errors of `Context.check_credential`, and CredentialsRejected where the caller's rights have changed.
    """
    now = context.runtime.now()
    principal = context.principal
    assert principal is not None, "the socket has signed in"
    is_over = principal.expires_at is not None and principal.expires_at <= now
    if not is_over and (now - checked_at).total_seconds() < context.serving.reread_s / LOOKS:
        return checked_at
    await context.check_credential()
    again = context.principal
    assert again is not None, "it was just checked"
    if (again.customer_id, again.environment, again.permissions) != key[3:]:
        raise CredentialsRejected
    return now


async def _send_end(outlet: Outlet, name: bytes, shape: Shape, error: GraphQLError) -> None:
    error = GraphQLError(error.message, path=[shape.root], extensions=error.extensions)
    payload = {"data": None, "errors": [error.formatted]}
    await outlet.send_text(Frame((_encoder.encode(payload),)).encoded(name, 0, as_snapshot=True))


async def _frames(schema: Schema, context: Context, asked: Asked, shape: Shape) -> AsyncGenerator[Frame, None]:
    """Execute once for everybody, and encode each result once."""
    stream: Any = await schema.stream(
        asked.query,
        variable_values=cast("dict[str, Any] | None", asked.variables),
        context_value=context,
        operation_name=asked.operation_name,
    )
    try:
        async for result in stream:
            if isinstance(result, PreExecutionError):
                yield refusal_of(result.errors or [])
                return
            assert isinstance(result, ExecutionResult), "a frame is a whole result"
            yield frame_of(result.data, result.errors, shape)
    finally:
        await stream.aclose()
