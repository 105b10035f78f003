"""GraphQL over HTTP (POST) and over `graphql-transport-ws`: bounded bodies, and no error that tells too much.

The library's own view answers 500 to malformed bodies, closes a whole socket on one syntax error and offers older
protocols; hence an endpoint of our own for HTTP and a small subclass for sockets.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import msgspec
import structlog
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry import Schema
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.extensions.mask_errors import MaskErrors
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage
from strawberry.types import ExecutionContext
from strawberry.types.unset import UNSET, UnsetType

from api.auth import bearer
from api.bodies import read_body
from api.context import Serving
from api.graphql.context import Context
from api.graphql.documents import INVALID, DocumentRefusedError, check_operation
from api.graphql.eager import Rest
from api.graphql.feeds import Feeds
from api.graphql.fields import coded
from api.graphql.sharing import share, shared_shape
from api.problems import CRASH_CODE, CRASH_MESSAGE, PASSING_FAULTS, DatabaseUnreachable, problem_response
from domain.kernel.errors import DomainError, Kind

BODY_BYTES_MAX = 1_000_000
OPERATIONS_PER_SOCKET_MAX = 20
OPERATION_ID_LENGTH_MAX = 100
INIT_WAIT_S = 10
STATUS_MALFORMED = 400
STATUS_WRONG_TYPE = 415
CLOSE_TRY_LATER = 1013
_JSON_TYPE = "application/json"
_SPEC_TYPE = "application/graphql-response+json"
_MESSAGE_TYPES = ("connection_init", "ping", "pong", "subscribe", "complete")
_log = structlog.get_logger()
_encoder = msgspec.json.Encoder()
# Numbers with a point stay exact: usage travels through here too.
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class RequestMalformed(DomainError):
    """Send a JSON object with `query` (text), and optionally `variables` (object) and `operationName` (text)."""

    code = "request_malformed"
    kind = Kind.INVALID


class ContentTypeWrong(DomainError):
    """Send the request with the header Content-Type: application/json."""

    code = "content_type_wrong"
    kind = Kind.INVALID


class Errors(MaskErrors):
    """Give every error a code, and cover those that are nobody's business but ours."""

    def __init__(self) -> None:
        super().__init__(_is_crash, CRASH_MESSAGE)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Cover an error that no one expected."""
        covered = super().anonymise_error(error)
        covered.extensions = {"code": CRASH_CODE}
        return covered

    def _process_errors(self, errors: list[GraphQLError]) -> list[GraphQLError]:
        processed = super()._process_errors(errors)
        for error in processed:
            error.extensions = {"code": INVALID, **(error.extensions or {})}
        return processed


def _is_crash(error: GraphQLError) -> bool:
    """Whether an error began as something else than a fault of the request."""
    origin: Exception | None = error
    while isinstance(origin, GraphQLError):
        origin = origin.original_error
    return origin is not None


class QuietSchema(Schema):
    """A schema that never logs a document: literals in it may be personal."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log where an unexpected error came from."""
        del execution_context
        for error in errors:
            if _is_crash(error):
                _log.error("resolver_crashed", path=error.path, exc_info=error.original_error)


def read_request(body: bytes) -> tuple[str, dict[str, Any] | None, str | None]:
    """Decode one request. Raises RequestMalformed for anything but the described shape."""
    try:
        data = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestMalformed from error
    if not is_request(data):
        raise RequestMalformed
    return data["query"], data.get("variables"), data.get("operationName")


def is_request(data: Any) -> bool:
    """Whether a decoded JSON value asks for an operation, with text that can be stored."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("query"), str)
        and isinstance(data.get("variables"), dict | None)
        and isinstance(data.get("operationName"), str | None)
        and is_safe(data)
    )


def is_safe(value: Any) -> bool:
    """Whether all text inside a decoded JSON value can be stored: no NUL. The decoder refuses lone surrogates."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str) and "\0" in part:
            return False
    return True


class HttpEndpoint:
    """`POST /graphql`."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._serving: Serving | None = None

    def serve(self, serving: Serving) -> None:
        """Begin to serve: the process has opened what it holds."""
        self._serving = serving

    async def post(self, request: Request) -> Response:
        """Execute one operation. Queries and mutations only; live data needs a socket."""
        assert self._serving is not None, "the lifespan opens before requests come"
        context = Context(self._serving)
        try:
            await context.sign_in(bearer(request.headers.get("authorization")))
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON_TYPE:
                return problem_response(ContentTypeWrong(), status=STATUS_WRONG_TYPE)
            query, variables, name = read_request(await read_body(request, BODY_BYTES_MAX))
            check_operation(self._schema._schema, query, name, is_socket=False)  # noqa: SLF001 -- no other way to it
        except RequestMalformed as error:
            return problem_response(error, status=STATUS_MALFORMED)
        except DocumentRefusedError as refused:
            return _answer(request, {"errors": [error.formatted for error in refused.errors]})
        except ClientDisconnect:
            return Response(status_code=STATUS_MALFORMED)
        result = await self._schema.execute(query, variables, context_value=context, operation_name=name)
        return _answer(request, _body_of(result.data, result.errors))


def _body_of(data: Any, errors: list[GraphQLError] | None) -> dict[str, Any]:
    """Write a result; one that never began, because its variables were wrong, has no data."""
    if not errors:
        return {"data": data}
    formatted = [error.formatted for error in errors]
    has_begun = data is not None or any(error.path for error in errors)
    return {"data": data, "errors": formatted} if has_begun else {"errors": formatted}


def _answer(request: Request, body: dict[str, Any]) -> Response:
    modern = _SPEC_TYPE in request.headers.get("accept", "")
    status = STATUS_MALFORMED if modern and "data" not in body else 200
    return Response(_encoder.encode(body), status, media_type=_SPEC_TYPE if modern else _JSON_TYPE)


@dataclass(frozen=True, slots=True)
class _Outlet:
    """Where messages of one operation go: nowhere once it has ended."""

    handler: "SocketHandler"
    operation: Operation[Context, None]

    async def sending(self, text: str) -> None:
        """Send an encoded message, for as long as that takes."""
        if not self.operation.completed:
            await self.handler.socket.send_text(text)

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

    Operations that watch the same thing share an execution, and a socket that takes nothing is closed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._main: asyncio.Task[Any] | None = None
        self._is_stuck = False

    async def handle(self) -> None:
        """Serve the socket until it is closed, or takes nothing any more."""
        self._main = asyncio.current_task()
        assert self._main is not None, "a socket is served by a task"
        try:
            await super().handle()
        except asyncio.CancelledError:
            if not self._is_stuck:
                raise
            self._main.uncancel()

    async def send_message(self, message: Message) -> None:
        """Send a message of the protocol."""
        await self.send_text(cast("SocketView", self.view).encode_json(message))

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
                    cast("SocketView", self.view).feeds,
                    cast("Schema", self.schema),
                    self.context,
                    operation,
                    shape=shape,
                    outlet=_Outlet(self, operation),
                )
        except WebSocketDisconnected:
            return
        finally:
            if shape is not None and self.operations.get(operation.id) is operation:
                self.forget_id(operation.id)

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


class SocketView(GraphQL[Context, None]):
    """`graphql-transport-ws` at /graphql; the credential is in connection_init as {"authorization": "Bearer …"}."""

    graphql_transport_ws_handler_class = SocketHandler

    def __init__(self, schema: Schema) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_WAIT_S),
            max_subscriptions_per_connection=OPERATIONS_PER_SOCKET_MAX,
            allowed_origins=("*",),  # HostCheck has looked at the origin
        )
        self.feeds = Feeds()
        self._serving: Serving | None = None

    def serve(self, serving: Serving) -> None:
        """Begin to serve: the process has opened what it holds."""
        self._serving = serving

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket, unless the process has as many as it takes on."""
        serving = self._serving
        assert serving is not None, "the lifespan opens before sockets come"
        if serving.sockets >= serving.sockets_max:
            await WebSocket(scope, receive, send).close(CLOSE_TRY_LATER, "Too many sockets; try again later")
            return
        serving.sockets += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            serving.sockets -= 1

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """Make the socket's context; nobody is signed in yet."""
        del request, response
        assert self._serving is not None, "the lifespan opens before sockets come"
        return Context(self._serving, connection_params={})

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """Sign the caller in, or close with 4403."""
        given = context.connection_params or {}
        header = given.get("authorization") or given.get("Authorization")
        try:
            await context.sign_in(bearer(header if isinstance(header, str) else None))
        except (DomainError, *PASSING_FAULTS) as error:
            raise ConnectionRejectionError from error
        finally:
            context.connection_params = {}
        acknowledged: UnsetType = UNSET
        return acknowledged

    def decode_json(self, data: str | bytes) -> object:
        """Decode one message; what cannot be decoded is no message of the protocol, which closes the socket."""
        try:
            return _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def encode_json(self, data: object) -> str:
        """Encode one message as text: bytes would become a binary frame."""
        return _encoder.encode(data).decode()
