"""One socket of `graphql-transport-ws`: the library's handler, with what it lacks."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Protocol, cast

import structlog
from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry import Schema
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)

from api.direct import WriteAtOnce, writing_to
from api.graphql.admitted import Admitted
from api.graphql.context import Context
from api.graphql.documents import DocumentRefusedError, check_operation
from api.graphql.eager import Rest, begin
from api.graphql.executions import shared_shape
from api.graphql.feeds import Feeds
from api.graphql.fields import coded
from api.graphql.shapes import is_request, is_safe
from api.graphql.sharing import share
from api.problems import PASSING_FAULTS, DatabaseUnreachable
from domain.kernel.errors import DomainError
from domain.kernel.values import dataclass

OPERATIONS_PER_SOCKET_MAX = 20
OPERATION_ID_LENGTH_MAX = 100
# As for a socket that gives no good credential to begin with.
CLOSE_FORBIDDEN = 4403
_MESSAGE_TYPES = ("connection_init", "ping", "pong", "subscribe", "complete")
_log = structlog.get_logger()


class View(Protocol):
    """What the sockets of a process have in common."""

    feeds: Feeds
    admitted: Admitted

    def encode_json(self, data: object) -> str:
        """Encode one message as text."""


@dataclass(frozen=True, slots=True)
class _Outlet:
    """Where messages of one operation go: nowhere once it has ended."""

    handler: "SocketHandler"
    socket: WebSocket
    operation: Operation[Context, None]
    write_at_once: WriteAtOnce | None

    def begin(self, text: str) -> Rest | None:
        """Begin to send an encoded message; return what is left of that, or None."""
        if self.operation.completed or (self.write_at_once is not None and self.write_at_once(text)):
            return None
        return begin(self._sending(text))

    async def _sending(self, text: str) -> None:
        if not self.operation.completed:
            await self.socket.send_text(text)

    async def carry_on(self, rest: Rest) -> None:
        """Carry on with a message that was begun."""
        await self.handler.send_in_time(rest)

    async def send_text(self, text: str) -> None:
        """Send an encoded message."""
        if not self.operation.completed:
            await self.handler.send_text(text)

    async def complete(self) -> None:
        """Say that the operation has ended."""
        await self.operation.send_operation_message({"id": self.operation.id, "type": "complete"})


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """The library's handler, but a bad document ends its operation only, and rights are looked at each time.

    Operations that watch the same thing share an execution. A socket that takes nothing is closed, and so is one whose
    credential has ended.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._main: asyncio.Task[Any] | None = None
        self._is_stuck = self._is_shown_out = False

    async def handle(self) -> None:
        """Serve the socket until it is closed, takes nothing any more, or its credential has ended."""
        self._main = asyncio.current_task()
        assert self._main is not None, "a socket is served by a task"
        try:
            await super().handle()
        except asyncio.CancelledError:
            if not (self._is_stuck or self._is_shown_out) or self._main.uncancel():
                raise
        finally:
            cast("View", self.view).admitted.leave(self)
        if self._is_shown_out and not self._is_stuck:
            await self._close()

    @property
    def credential(self) -> str:
        """What the caller has signed in with."""
        return self.context.credential

    def show_out(self) -> None:
        """End the serving of a socket whose credential holds no more: its operations end, then it is closed."""
        if self._main is not None and not self._is_stuck and not self._is_shown_out:
            self._is_shown_out = True
            self._main.cancel()

    async def _close(self) -> None:
        """Say why, unless the client has gone or does not take it in time."""
        with suppress(TimeoutError, WebSocketDisconnect):
            if self.socket.client_state is self.socket.application_state is WebSocketState.CONNECTED:
                async with asyncio.timeout(self.context.serving.send_within_s):
                    await self.socket.close(CLOSE_FORBIDDEN, "Forbidden")

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Sign the caller in, and look after the credential from then on."""
        await super().handle_connection_init(message)
        if self.connection_acknowledged:
            cast("View", self.view).admitted.enter(self, self.context.serving)

    async def send_message(self, message: Message) -> None:
        """Send a message of the protocol."""
        await self.send_text(cast("View", self.view).encode_json(message))

    @property
    def socket(self) -> WebSocket:
        """The socket itself."""
        return cast("ASGIWebSocketAdapter", self.websocket).ws

    async def send_text(self, text: str) -> None:
        """Send an encoded message."""
        await self.send_in_time(self.socket.send_text(text))

    async def send_in_time(self, sending: Awaitable[None]) -> None:
        """Wait for a message. A socket that does not take it in time is done with: what it holds is let go."""
        try:
            async with asyncio.timeout(self.context.serving.send_within_s):
                await sending
        except TimeoutError:
            self._give_up()
            raise WebSocketDisconnected from None
        except WebSocketDisconnect as gone:
            raise WebSocketDisconnected from gone

    def _give_up(self) -> None:
        """End the serving of a socket to which not even a close frame can be written."""
        if not self._is_stuck and self._main is not None:
            self._is_stuck = True
            _log.warning("socket_stuck")
            self._main.cancel()

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run an operation, together with others of its kind where that is possible."""
        shape = shared_shape(cast("Schema", self.schema), operation)
        try:
            if shape is None:
                await super().run_operation(operation)
            else:
                await share(
                    cast("View", self.view).feeds,
                    cast("Schema", self.schema),
                    self.context,
                    operation,
                    shape=shape,
                    outlet=_Outlet(self, self.socket, operation, writing_to(self.socket.scope)),
                )
        except WebSocketDisconnected:
            return
        finally:
            if shape is not None and self.operations.get(operation.id) is operation:
                self.forget_id(operation.id)
            if self.context.is_signed_out:
                self.show_out()

    async def handle_message(self, message: Message) -> None:
        """Handle a message, or close with 4400 where it is none of the protocol's."""
        if _is_message(message):
            await super().handle_message(message)
        else:
            await self.handle_invalid_message("This is no message of graphql-transport-ws")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, or end it at once with the reasons."""
        is_new = self.connection_acknowledged and message["id"] not in self.operations
        errors = await self._faults_of(message) if is_new else []
        if errors:
            payload = [error.formatted for error in errors]
            await self.send_message({"id": message["id"], "type": "error", "payload": payload})
            if self.context.is_signed_out:
                self.show_out()
        else:
            await super().handle_subscribe(message)

    async def _faults_of(self, message: SubscribeMessage) -> list[GraphQLError]:
        if len(self.operations) >= OPERATIONS_PER_SOCKET_MAX:
            text = (
                f"A socket runs at most {OPERATIONS_PER_SOCKET_MAX} operations at once. Complete one, or open another."
            )
            return [GraphQLError(text, extensions={"code": "too_many_operations"})]
        payload = message["payload"]
        self.context.nodes = 0
        try:
            await self.context.check_credential()
            schema = cast("Schema", self.schema)._schema  # noqa: SLF001 -- no other way to it
            check_operation(schema, payload["query"], payload.get("operationName"), is_socket=True)
        except DocumentRefusedError as refused:
            return list(refused.errors)
        except DomainError as error:
            return [coded(error)]
        except PASSING_FAULTS:
            return [coded(DatabaseUnreachable())]
        return []


def _is_message(message: Any) -> bool:
    """Whether a decoded JSON value has the shape of a client's message."""
    if not isinstance(message, dict) or message.get("type") not in _MESSAGE_TYPES or not is_safe(message):
        return False
    if message["type"] not in {"subscribe", "complete"}:
        return True
    name = message.get("id")
    is_named = isinstance(name, str) and 0 < len(name) <= OPERATION_ID_LENGTH_MAX
    return is_named and (message["type"] == "complete" or is_request(message.get("payload")))
