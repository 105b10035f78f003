"""What the reading routes share: who asks, which permission that needs, parameters, and exact numbers in JSON."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import bearer
from api.context import Serving
from domain.access.roles import Permission
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, decode
from domain.kernel.values import dataclass

_encoder = msgspec.json.Encoder()
_DIGITS_MAX = 18
_E = TypeVar("_E", bound=StrEnum)


@dataclass(eq=False)
class ParameterRefused(DomainError):
    """The parameter `{name}` is {allowed}."""

    code = "parameter_refused"
    kind = Kind.INVALID
    name: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a document: who asks of which process, and with which parameters."""

    serving: Serving
    call: Call
    request: Request

    @property
    def customer_id(self) -> CustomerId:
        """The customer in the path. Raises IdMalformed."""
        return CustomerId(decode("customer", self.request.path_params["user_id"]))

    def text(self, name: str) -> str | None:
        """Return a parameter as it was sent, or None. Raises ParameterRefused for what is no text."""
        sent: str | None = self.request.query_params.get(name)
        if sent is not None and not sent.isprintable():
            raise ParameterRefused(name, "printable text")
        return sent

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        """Read a whole number within bounds. Raises ParameterRefused."""
        sent = self.text(name)
        if sent is None:
            return default
        if sent.isascii() and sent.isdigit() and len(sent) <= _DIGITS_MAX and least <= int(sent) <= most:
            return int(sent)
        raise ParameterRefused(name, f"a whole number from {least:,} to {most:,}")

    def number(self, name: str, default: Decimal) -> Decimal:
        """Read a decimal of at least 0, exactly. Raises ParameterRefused."""
        sent = self.text(name)
        if sent is None:
            return default
        try:
            value = Decimal(sent) if len(sent) <= _DIGITS_MAX else None
        except InvalidOperation:
            value = None
        if value is None or not value.is_finite() or value < 0:
            raise ParameterRefused(name, f"a number of at least 0 with at most {_DIGITS_MAX} characters")
        return value

    def word(self, name: str, default: _E) -> _E:
        """Read one of some words. Raises ParameterRefused."""
        sent = self.text(name)
        if sent is None:
            return default
        words = type(default)
        if sent not in set(words):
            raise ParameterRefused(name, f"one of: {', '.join(words)}")
        return words(sent)


@dataclass(frozen=True, slots=True)
class Read:
    """One route that only reads: its path, the permission it needs, and what makes its document."""

    path: str
    permission: Permission
    document: Callable[[Asked], Awaitable[object]]

    @property
    def route(self) -> Route:
        """The route, for the application."""
        return Route(self.path, self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """Find out who asks, and answer with the document. What it holds is of this moment, and kept by nobody."""
        serving: Serving = request.app.state.serving
        credential = bearer(request.headers.get("authorization"))
        call = serving.runtime.call(await serving.authenticator.authenticate(credential, serving.runtime.now()))
        call.need(self.permission)
        body = _encoder.encode(await self.document(Asked(serving, call, request)))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")


def number(value: Decimal | None) -> msgspec.Raw | None:
    """Write a JSON number with exactly the digits that say something: 15.75, 0.00611, 5000."""
    if value is None:
        return None
    text = f"{value:f}"
    return msgspec.Raw((text.rstrip("0").rstrip(".") if "." in text else text).encode())


def percent(value: Decimal | None) -> msgspec.Raw | None:
    """Write a percentage as a JSON number with a digit after the point at least: 16.0, 10.5."""
    if value is None:
        return None
    whole, _, digits = f"{value:f}".partition(".")
    return msgspec.Raw(f"{whole}.{digits.rstrip('0') or '0'}".encode())


def instant(value: datetime | None) -> str | None:
    """Write an instant in UTC."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
