"""What a refusal means outside: one table from its kind to an HTTP status and to a GraphQL problem."""

import re
from collections.abc import Mapping

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from domain.adapters.clock import new_id
from domain.db import ConnectionLost, unreachable_reason
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.usage.store import UNREACHABLE

HTTP_STATUS: dict[Kind, int] = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.LIMIT_REACHED: 429,
    Kind.PAYMENT_FAILED: 402,
    Kind.BUSY: 429,
    Kind.UNAVAILABLE: 503,
}

# The GraphQL type of each kind; api/graphql/problems.py defines them.
PROBLEM: dict[Kind, str] = {
    Kind.INVALID: "InvalidInput",
    Kind.UNAUTHENTICATED: "NotAuthenticated",
    Kind.FORBIDDEN: "NotPermitted",
    Kind.NOT_FOUND: "NotFound",
    Kind.CONFLICT: "Conflict",
    Kind.TOO_LARGE: "TooLarge",
    Kind.LIMIT_REACHED: "LimitReached",
    Kind.PAYMENT_FAILED: "PaymentFailed",
    Kind.BUSY: "Busy",
    Kind.UNAVAILABLE: "Unavailable",
}

CRASH_CODE = "internal_error"
CRASH_MESSAGE = "Something went wrong on our side. The request can be sent again with the same idempotency key."
RETRY_AFTER_S = "1"
REQUEST_ID = "X-Request-Id"
# Nothing else is written to the log, whoever sent it.
_A_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+-]{8,128}")
# What a statement or a connection raises while Postgres is out of reach or has just gone. It passes by itself.
PASSING_FAULTS = (ConnectionLost, *UNREACHABLE)
_log = structlog.get_logger()


@dataclass(eq=False)
class DatabaseUnreachable(DomainError):
    """The database does not answer now, and nothing is known to be done. Send the same request again in a moment."""

    code = "database_unreachable"
    kind = Kind.UNAVAILABLE


def problem_response(error: DomainError, *, status: int | None = None) -> Response:
    """Render a refusal as a problem document (RFC 9457): `{"type","title","status","code","detail"}`."""
    code = status or HTTP_STATUS[error.kind]
    headers = {}
    if error.kind in {Kind.BUSY, Kind.UNAVAILABLE}:
        headers["Retry-After"] = RETRY_AFTER_S
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return _document(PROBLEM[error.kind], code, error.code, error.message, headers)


def told_again(kind: Kind, code: str, message: str) -> Response:
    """Render a refusal as it was answered before."""
    return _document(PROBLEM[kind], HTTP_STATUS[kind], code, message)


def _document(title: str, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


async def on_refusal(_: Request, error: Exception) -> Response:
    """Answer a DomainError that left an endpoint."""
    assert isinstance(error, DomainError), "installed for DomainError only"
    return problem_response(error)


async def on_passing_fault(request: Request, error: Exception) -> Response:
    """Answer while Postgres is out of reach; the log line and the answer have the same id."""
    request_id = _request_id(request)
    _log.warning("database_unreachable", request=request_id, path=request.url.path, reason=unreachable_reason(error))
    answer = problem_response(DatabaseUnreachable())
    answer.headers[REQUEST_ID] = request_id
    return answer


async def on_crash(request: Request, error: Exception) -> Response:
    """Answer a programmer's error: the log has the trace, the caller only learns that it was not their fault.

    The id in the answer is that of the log line.
    """
    request_id = _request_id(request)
    _log.error("request_crashed", request=request_id, path=request.url.path, exc_info=error)
    return _document("InternalError", 500, CRASH_CODE, CRASH_MESSAGE, {REQUEST_ID: request_id})


def _request_id(request: Request) -> str:
    """Return the id that the caller or a proxy gave to a request, where it is one, else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if _A_REQUEST_ID.fullmatch(given) else str(new_id())
