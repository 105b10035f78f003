"""Read a request's body, no further than its bound."""

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


@dataclass(eq=False)
class BodyTooLarge(DomainError):
    """The body of this request has at most {bytes_max} bytes. Send less at once."""

    code = "body_too_large"
    kind = Kind.TOO_LARGE
    bytes_max: int


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
