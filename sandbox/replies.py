"""Answers on their way out, and the raw HTTP around them."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_MAX = 4 * 1024 * 1024
DROPPED_LENGTH = b"1000000"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `dropped` closes the connection instead of completing it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: bool = False
    kind: str = "application/json"


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Make an answer from a JSON value."""
    return Reply(status, msgspec.json.encode(body), headers or {})


async def read_body(receive: Receive) -> bytes | None:
    """Read a request's body; None when it is larger than 4 MiB. ConnectionResetError when the client left before."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            # A part of a request is none: acting on it would save a wrong answer under its idempotency key.
            raise ConnectionResetError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_MAX:
            return None
    return body


async def write(send: Send, reply: Reply) -> None:
    """Send an answer; a dropped one promises a body and ends without it, which closes the connection."""
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in reply.headers.items()]
    headers.append((b"content-type", reply.kind.encode()))
    length = DROPPED_LENGTH if reply.dropped else str(len(reply.body)).encode()
    headers.append((b"content-length", length))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if not reply.dropped:
        await send({"type": "http.response.body", "body": reply.body})
