"""`/gateway/{provider}/...`: who may call is checked here, and a refusal is written as the SDKs read it.

An SDK sends its key in the header of its provider; here it is a Tollgate key of the scope `gateway`, bound to one
customer. What passes a call on is loaded with the first one.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import bearer
from api.bodies import BodyTooLarge, read_body
from api.context import Serving
from api.gateway.refusals import CallerUnverifiable, CallMalformed, OperationUnknown
from api.intake import BodyTooSlow, EncodingUnknown, Inflow
from api.problems import HTTP_STATUS, RETRY_AFTER_S
from domain.access.roles import Permission
from domain.config import Settings
from domain.db import DATABASE_ERRORS
from domain.kernel.call import Forbidden, Principal
from domain.kernel.errors import DomainError, Kind
from domain.usage.verdict import UsageBusy

if TYPE_CHECKING:
    from api.gateway.proxy import Proxy

# One call: long prompts and pictures fit.
BODY_BYTES_MAX = 33_554_432
BYTES_IN_FLIGHT_MAX = 268_435_456
BODY_WITHIN_S = 60
# Calls under way in one process.
CALLS_MAX = 1_000
_STATUS: dict[type[DomainError], int] = {CallMalformed: 400, BodyTooSlow: 408, EncodingUnknown: 415}
_STATUS_GONE = 400
_KEY_HEADERS = ("x-api-key", "x-goog-api-key")


class _Held:
    """The bytes of a body that a call under way holds."""

    bytes = 0


class GatewayDoor:
    """The way into the gateway; one per process.

    `inner` is the transport to providers, httpx2's own unless a test says otherwise. `app` is the whole application:
    its routes are asked for limits and told of usage, in the process.
    """

    def __init__(self, settings: Settings) -> None:
        """Open nothing before the first call."""
        self.app: ASGIApp | None = None
        self.inner: Any = None
        self._settings = settings
        self._inflow = Inflow(BYTES_IN_FLIGHT_MAX)
        self._calls = 0
        self._proxy: Proxy | None = None

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """The addresses below which it stands."""
        below = "/gateway/{provider}/{path:path}"
        return Route(below, self, methods=["GET", "POST"]), WebSocketRoute(below, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call: the provider's answer as it comes, or an error with a code and a message.

        404 for a provider or an operation that is not known, 400 and 422 for a body that cannot be metered, 401, 403,
        408, 413, 415, 429 when a limit is reached or the gateway is busy, 502 and 504 for a provider that does not
        answer, 503 while limits cannot be checked.
        """
        if scope["type"] == "websocket":
            # A realtime call is told why, before the handshake: a bare refusal would be taken for one of the key.
            await _refusal(OperationUnknown())(scope, receive, send)
            return
        if self._calls >= CALLS_MAX:
            await _refusal(UsageBusy())(scope, receive, send)
            return
        held = _Held()
        self._calls += 1
        try:
            answer = await self._answer(Request(scope, receive), held)
            await answer(scope, receive, send)
        finally:
            self._calls -= 1
            self._inflow.give_back(held.bytes)

    async def _answer(self, request: Request, held: "_Held") -> ASGIApp:
        try:
            return await self._passed_on(request, held)
        except DomainError as refused:
            return _refusal(refused)
        except ClientDisconnect:
            return Response(status_code=_STATUS_GONE)

    async def _passed_on(self, request: Request, held: "_Held") -> ASGIApp:
        serving: Serving = request.app.state.serving
        principal = await _caller(serving, request)
        from api.gateway import passing  # noqa: PLC0415 -- the meter and its HTTP client are loaded with the first call

        params = request.path_params
        found = passing.find(params["provider"], request.method, f"/{params['path']}")
        body = b""
        if request.method == "POST":
            body = passing.plain_body(await self._body(request, held))
        return await self._open().send(serving, request, principal, found, body)

    async def _body(self, request: Request, held: "_Held") -> bytes:
        """Read a body and hold its room. Raises BodyTooLarge, BodyTooSlow, EncodingUnknown, UsageBusy."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise EncodingUnknown
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > BODY_BYTES_MAX:
            raise BodyTooLarge(BODY_BYTES_MAX)
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await read_body(request, BODY_BYTES_MAX)
        except TimeoutError:
            raise BodyTooSlow from None
        self._inflow.take(len(body))
        held.bytes = len(body)
        return body

    def _open(self) -> "Proxy":
        if self._proxy is None:
            from api.gateway.proxy import Proxy  # noqa: PLC0415 -- an HTTP client is loaded with the first call

            assert self.app is not None, "the application is built"
            self._proxy = Proxy(self._settings, self.app, self.inner)
        return self._proxy

    async def close(self) -> None:
        """Wait until every call is recorded, and close the connections."""
        if self._proxy is not None:
            await self._proxy.aclose()


async def _caller(serving: Serving, request: Request) -> Principal:
    """Return who calls. Raises CredentialsMissing, CredentialsRejected, Forbidden, CallerUnverifiable."""
    given = [request.headers.get(name) for name in _KEY_HEADERS]
    credential = bearer(request.headers.get("authorization")) or next((each for each in given if each), None)
    try:
        principal = await serving.authenticator.authenticate(credential, serving.runtime.now())
    except DATABASE_ERRORS as fault:
        raise CallerUnverifiable from fault
    if not principal.may(Permission.GATEWAY) or principal.customer_id is None or principal.environment is None:
        raise Forbidden(Permission.GATEWAY)
    return principal


def _refusal(error: DomainError) -> Response:
    from tollgate_meter import gate  # noqa: PLC0415 -- loaded with the first refusal

    headers = {"retry-after": RETRY_AFTER_S} if error.kind in {Kind.BUSY, Kind.UNAVAILABLE} else {}
    status = _STATUS.get(type(error), HTTP_STATUS[error.kind])
    told = gate.refusal(status, gate.error_body(error.code, error.message), headers)
    return Response(told.body, told.status, told.headers)
