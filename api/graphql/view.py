"""GraphQL over HTTP (POST) and over `graphql-transport-ws`: bounded bodies, and no error that tells too much.

The library's own view answers 500 to malformed bodies, closes a whole socket on one syntax error and offers older
protocols; hence an endpoint of our own for HTTP and a small subclass for sockets.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import structlog
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry import Schema
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionContext
from strawberry.types.unset import UNSET, UnsetType

from api.auth import bearer
from api.bodies import receive_body
from api.context import Serving
from api.graphql.admitted import Admitted
from api.graphql.context import Context
from api.graphql.covering import Errors, is_crash
from api.graphql.documents import DocumentRefusedError, KnownDocuments, check_operation
from api.graphql.feeds import Feeds
from api.graphql.shapes import is_request, is_safe
from api.graphql.sockets import OPERATIONS_PER_SOCKET_MAX, SocketHandler
from api.graphql.steps import Steps
from api.problems import PASSING_FAULTS, problem_response
from domain.kernel.call import Principal, PrincipalKind
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import encode
from domain.kernel.unreadable import UNREADABLE

BODY_BYTES_MAX = 1_000_000
INIT_WAIT_S = 10
STATUS_MALFORMED = 400
STATUS_WRONG_TYPE = 415
CLOSE_TRY_LATER = 1013
_JSON_TYPE = b"application/json"
_SPEC_TYPE = b"application/graphql-response+json"
_log = structlog.get_logger()
_ESCAPED_NUL = b"\\u0000"
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


class QuietSchema(Schema):
    """A schema that never logs a document: literals in it may be personal."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log where an unexpected error came from, and who met with it."""
        context = execution_context.context if execution_context is not None else None
        met_by = _met_by(context.principal) if isinstance(context, Context) and context.principal is not None else {}
        for error in errors:
            if is_crash(error):
                _log.error("resolver_crashed", path=error.path, **met_by, exc_info=error.original_error)

    def _warn_for_federation_directives(self) -> None:
        """Look for none: no type has a directive, and to look loads every one that federated schemas know."""

    def create_extensions_runner(
        self, execution_context: ExecutionContext, extensions: list[SchemaExtension]
    ) -> SchemaExtensionsRunner:
        """Run the hooks of what every schema of ours is made with: Errors and KnownDocuments."""
        errors, documents = extensions
        assert isinstance(errors, Errors), "the first covers errors"
        assert isinstance(documents, KnownDocuments), "the second knows documents"
        return Steps(execution_context, errors, documents)


def _met_by(principal: Principal) -> dict[str, str | None]:
    """Say in ids who asked. A person's is left out: identity providers may have given an address."""
    return {
        "caller": principal.id if principal.kind is PrincipalKind.KEY else str(principal.kind),
        "customer": encode("customer", principal.customer_id) if principal.customer_id is not None else None,
    }


def read_request(body: bytes) -> tuple[str, dict[str, Any] | None, str | None]:
    """Decode one request. Raises RequestMalformed for anything but the described shape."""
    try:
        data = _decoder.decode(body)
    except UNREADABLE as error:
        raise RequestMalformed from error
    # Inside JSON a NUL is always written like this, so most bodies need no look at each of their texts.
    if not is_request(data) or (_ESCAPED_NUL in body and not is_safe(data)):
        raise RequestMalformed
    return data["query"], data.get("variables"), data.get("operationName")


class HttpEndpoint:
    """`POST /graphql`."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._serving: Serving | None = None

    def serve(self, serving: Serving) -> None:
        """Begin to serve: the process has opened what it holds."""
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. It is an ASGI app: what Starlette does around a function is not for nothing."""
        # Of headers that are repeated the first one counts.
        response = await self._answer(dict(reversed(scope["headers"])), receive)
        await response(scope, receive, send)

    async def _answer(self, headers: Mapping[bytes, bytes], receive: Receive) -> Response:
        """Execute one operation. Queries and mutations only; live data needs a socket."""
        assert self._serving is not None, "the lifespan opens before requests come"
        context = Context(self._serving)
        is_modern = _SPEC_TYPE in headers.get(b"accept", b"")
        try:
            await context.sign_in(bearer(headers.get(b"authorization", b"").decode("latin-1")))
            if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _JSON_TYPE:
                return problem_response(ContentTypeWrong(), status=STATUS_WRONG_TYPE)
            query, variables, name = read_request(await receive_body(receive, BODY_BYTES_MAX))
            check_operation(self._schema._schema, query, name, is_socket=False)  # noqa: SLF001 -- no other way to it
        except RequestMalformed as error:
            return problem_response(error, status=STATUS_MALFORMED)
        except DocumentRefusedError as refused:
            return _written({"errors": [error.formatted for error in refused.errors]}, is_modern=is_modern)
        except ClientDisconnect:
            return Response(status_code=STATUS_MALFORMED)
        result = await self._schema.execute(query, variables, context_value=context, operation_name=name)
        return _written(_body_of(result.data, result.errors), is_modern=is_modern)


def _body_of(data: Any, errors: list[GraphQLError] | None) -> dict[str, Any]:
    """Write a result; one that never began, because its variables were wrong, has no data."""
    if not errors:
        return {"data": data}
    formatted = [error.formatted for error in errors]
    has_begun = data is not None or any(error.path for error in errors)
    return {"data": data, "errors": formatted} if has_begun else {"errors": formatted}


def _written(body: dict[str, Any], *, is_modern: bool) -> Response:
    status = STATUS_MALFORMED if is_modern and "data" not in body else 200
    return Response(_encoder.encode(body), status, media_type=(_SPEC_TYPE if is_modern else _JSON_TYPE).decode())


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
        self.admitted = Admitted()
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
        except UNREADABLE:
            return None

    def encode_json(self, data: object) -> str:
        """Encode one message as text: bytes would become a binary frame."""
        return _encoder.encode(data).decode()
