"""Executions that feeds run: written where the selection is plain, or else executed by the library."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

import strawberry
from graphql import GraphQLError, GraphQLField, GraphQLSchema
from graphql.execution.values import get_argument_values, get_variable_values
from strawberry import Schema
from strawberry.types.execution import ExecutionResult, PreExecutionError

from api.context import Reading
from api.graphql.context import Context
from api.graphql.documents import read_document
from api.graphql.feeds import Framed, Publish
from api.graphql.fields import coded
from api.graphql.frames import Frame, Shape, fragments_of, frame_of, refusal_of, shape_of
from api.graphql.live import UsageFrame, UsageFrames, alert_frames, invoice_frames, usage_frames
from api.graphql.picking import fields_of
from api.graphql.writing import Fields, FrameWriter
from api.problems import PASSING_FAULTS, DatabaseUnreachable
from api.rounds import Watcher
from domain.kernel.errors import DomainError

USAGE_FIELD = "usageChanged"
# The fields of the root whose executions are shared, and where their frames come from.
SHARED_FIELDS: dict[str, Callable[[Context, strawberry.ID], AsyncGenerator[Any, None]]] = {
    USAGE_FIELD: usage_frames,
    "invoiceChanged": invoice_frames,
    "alertRaised": alert_frames,
}
# Clients watch with a few documents; one that is not among the last so many is compiled again.
COMPILED_MAX = 128
_CUSTOMER_ID = "customerId"


class Asked(Protocol):
    """What a socket asked for."""

    id: str
    query: str
    variables: dict[str, object] | None
    operation_name: str | None


def shared_shape(schema: Schema, asked: Asked) -> Shape | None:
    """Return the shape of an operation that can be shared, or None."""
    return _compiled(schema._schema, asked.query, asked.operation_name).shape  # noqa: SLF001 -- no other way to it


class _Compiled(NamedTuple):
    """What holds of an operation whoever asks for it: its shape where it can be shared, and a plain one's fields."""

    shape: Shape | None
    fields: Fields | None


@lru_cache(maxsize=COMPILED_MAX)
def _compiled(core: GraphQLSchema, query: str, operation_name: str | None) -> _Compiled:
    document = read_document(core, query)
    shape = shape_of(document, operation_name)
    if shape is None or shape.name not in SHARED_FIELDS:
        return _Compiled(None, None)
    return _Compiled(shape, fields_of(_field(core, shape).type, shape.node.selection_set, fragments_of(document)))


def _field(core: GraphQLSchema, shape: Shape) -> GraphQLField:
    assert core.subscription_type is not None, "the schema has live data"
    return cast("GraphQLField", core.subscription_type.fields[shape.name])


def end_of(shape: Shape, error: GraphQLError) -> Frame:
    """Encode why what was watched ends."""
    error = GraphQLError(error.message, path=[shape.root], extensions=error.extensions)
    return frame_of(None, [error], shape)


async def execute(schema: Schema, context: Context, asked: Asked, *, shape: Shape, publish: Publish) -> None:
    """Publish the frames of a shared execution, each encoded once: written where it is plain, or else executed."""
    plain = _plain(schema, asked, shape)
    if plain is None:
        await _publish_executed(schema, context, asked, shape=shape, publish=publish)
        return
    customer_id, fields = plain
    writer = FrameWriter(shape, fields)

    def show(frame: Any) -> None:
        publish(Framed(context.item, writer.frame(frame)))

    try:
        if shape.name == USAGE_FIELD:
            await _show_usage(context, customer_id, show)
        else:
            async with aclosing(SHARED_FIELDS[shape.name](context, customer_id)) as frames:
                async for frame in frames:
                    show(frame)
    except DomainError as error:
        publish(Framed("", end_of(shape, coded(error))))
    except PASSING_FAULTS:
        publish(Framed("", end_of(shape, coded(DatabaseUnreachable()))))


async def _show_usage(context: Context, customer_id: strawberry.ID, show: Callable[[UsageFrame], None]) -> None:
    """Show a customer's usage whenever it is handed out; the task itself only waits for a failure, which ends it."""
    frames = UsageFrames(context, customer_id)
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def see(found: Reading | None) -> bool:
        is_new = frames.see(found)
        if is_new:
            show(frames.next())
        return is_new

    def fail(error: Exception) -> None:
        if not ended.done():
            ended.set_exception(error)

    with context.serving.watch_usage(frames.customer_id, Watcher(see, fail)):
        await ended


def _plain(schema: Schema, asked: Asked, shape: Shape) -> tuple[strawberry.ID, Fields] | None:
    """Return whom a plain operation watches, and what it shows; None where it has to be executed."""
    core = schema._schema  # noqa: SLF001 -- no other way to it
    variables = get_variable_values(core, shape.operation.variable_definitions or (), asked.variables or {})
    fields = _compiled(core, asked.query, asked.operation_name).fields
    if fields is None or isinstance(variables, list):
        return None
    try:
        return get_argument_values(_field(core, shape), shape.node, variables)[_CUSTOMER_ID], fields
    except GraphQLError:
        return None


async def _publish_executed(schema: Schema, context: Context, asked: Asked, *, shape: Shape, publish: Publish) -> None:
    stream: Any = await schema.stream(
        asked.query,
        variable_values=cast("dict[str, Any] | None", asked.variables),
        context_value=context,
        operation_name=asked.operation_name,
    )
    try:
        async for result in stream:
            if isinstance(result, PreExecutionError):
                publish(Framed("", refusal_of(result.errors or [])))
                return
            assert isinstance(result, ExecutionResult), "a frame is a whole result"
            publish(Framed(context.item, frame_of(result.data, result.errors, shape)))
    finally:
        await stream.aclose()
