"""Read a request's body, no further than its bound."""

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

# A decoder repeats a word that is none of those allowed, however long it is.
WHY_LENGTH_MAX = 200


@dataclass(eq=False)
class BodyTooLarge(DomainError):
    """The body of this request has at most {bytes_max} bytes. Send less at once."""

    code = "body_too_large"
    kind = Kind.TOO_LARGE
    bytes_max: int


@dataclass(eq=False)
class BodyMalformed(DomainError):
    """The body is not JSON of the right shape: {why}. The fields of each route are in /api/openapi.json."""

    code = "body_malformed"
    kind = Kind.INVALID
    why: str


def malformed(fault: Exception) -> BodyMalformed:
    """Say where a body differs from what is taken: what its decoder said, no longer than WHY_LENGTH_MAX."""
    return BodyMalformed(str(fault)[:WHY_LENGTH_MAX].rstrip("."))


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return the whole body. Raises BodyTooLarge as soon as it is longer than `bytes_max`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise BodyTooLarge(bytes_max)
    return bytes(body)


async def receive_body(receive: Receive, bytes_max: int) -> bytes:
    """Return the whole body of an ASGI request. Raises BodyTooLarge as `read_body`, and ClientDisconnect."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > bytes_max:
            raise BodyTooLarge(bytes_max)
    return body
