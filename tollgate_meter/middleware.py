"""Meter the LLM calls of a Starlette, FastAPI or any other ASGI app that passes them on to providers.

    app = MeterMiddleware(app, tolls=tolls, customer_of=lambda scope: scope["state"]["customer_id"])

A call is found by its path, checked before the app sees it, and recorded when its answer has passed. An app's own paths
are named in `Terms.routes`. Requests that are no such calls pass untouched.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tollgate_meter import gate
from tollgate_meter.client import Tolls
from tollgate_meter.gate import NOT_BILLED, Refusal, Terms
from tollgate_meter.passage import Passage
from tollgate_meter.reading import CALLER_LEFT
from tollgate_meter.request import MeteredCall

BODY_BYTES_MAX = 33_554_432
# A whole body arrives within this time.
BODY_WITHIN_S = 60.0
CRASHED = 500
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
CustomerOf = Callable[[Scope], str | Awaitable[str | None] | None]


class MeterMiddleware:
    """Wraps an app. `customer_of` is given the scope of a request and returns, or awaits, the id of its customer.

    None refuses the call; NOT_BILLED lets it pass and records nothing.
    """

    def __init__(
        self,
        app: App,
        *,
        tolls: Tolls,
        customer_of: CustomerOf,
        terms: Terms | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        """Meter what passes to `app`."""
        self._app = app
        self._tolls = tolls
        self._customer_of = customer_of
        self._terms = terms or Terms()
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, metered if it is a call."""
        is_http = scope["type"] == "http"
        candidates = gate.candidates_of(self._terms, scope["method"], "", scope["path"]) if is_http else ()
        if not candidates:
            await self._app(scope, receive, send)
            return
        body = await self._body(receive)
        if isinstance(body, Refusal):
            await _answer(send, body)
        elif body is not None:
            call = gate.call_of(self._terms, candidates, scope["path"], body)
            await self._pass_on(scope, _Again(receive, body), send, call)

    async def _pass_on(self, scope: Scope, receive: "_Again", send: Send, call: MeteredCall | None) -> None:
        customer = await self._customer(scope) if call is not None else NOT_BILLED
        if call is None or customer == NOT_BILLED:
            await self._app(scope, receive, send)
            return
        opened = await self._opened(call, customer)
        if isinstance(opened, Passage):
            await self._metered(scope, _Again(receive.rest, call.body), send, opened)
        else:
            await _answer(send, opened)

    async def _opened(self, call: MeteredCall, customer: str | None) -> Passage | Refusal:
        """Hold what a call can use."""
        if customer is None:
            return gate.customer_unknown()
        try:
            gate.check_listed(self._terms, call)
            hold = await self._tolls.reserve(customer, gate.held_properties(call))
        except gate.REFUSALS as refused:
            return gate.refusal_from(refused)
        return Passage(call, hold, self._tolls)

    async def _customer(self, scope: Scope) -> str | None:
        found = self._customer_of(scope)
        return await found if inspect.isawaitable(found) else found

    async def _body(self, receive: Receive) -> bytes | Refusal | None:
        """Return the whole body, the refusal of one that is too large or too slow, or None when the caller left."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._body_bytes_max:
                        return gate.refusal(413, gate.error_body("body_too_large", "This request is too large."), {})
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            return gate.refusal(408, gate.error_body("body_too_slow", "The request did not arrive in time."), {})

    async def _metered(self, scope: Scope, receive: "_Again", send: Send, passage: Passage) -> None:
        answer = _Watched(send, passage)
        try:
            await self._app(_scope_with(scope, passage.call), receive, answer.send)
        except asyncio.CancelledError:
            receive.has_left = True
            raise
        finally:
            # Does nothing where the answer came to its end.
            passage.end(is_complete=False, status=CALLER_LEFT if receive.has_left else CRASHED)


class _Again:
    """Gives a body that was read once more, in one piece, then whatever the server says."""

    def __init__(self, rest: Receive, body: bytes) -> None:
        self.rest = rest
        self.has_left = False
        self._body: bytes | None = body

    async def __call__(self) -> Message:
        """Receive a message."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self.rest()
        self.has_left = self.has_left or message["type"] == "http.disconnect"
        return message


class _Watched:
    """The answer of one call, as the app sends it."""

    def __init__(self, send: Send, passage: Passage) -> None:
        self._send = send
        self._passage = passage

    async def send(self, message: Message) -> None:
        """Look at a part of the answer, and pass it on at once."""
        if message["type"] == "http.response.start":
            message = self._start(message)
        elif message["type"] == "http.response.body":
            passed = self._passage.feed(message.get("body", b""))
            if message.get("more_body", False):
                if not passed:
                    return
            else:
                passed += self._passage.rest()
                self._passage.end(is_complete=True)
            message = {**message, "body": passed}
        await self._send(message)

    def _start(self, message: Message) -> Message:
        headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
        found = dict(headers)
        self._passage.answered(
            message["status"],
            found.get(b"content-type", b"").decode("latin-1"),
            is_encoded=found.get(b"content-encoding", b"identity") != b"identity",
        )
        if self._passage.call.hides_usage:
            message = {**message, "headers": [pair for pair in headers if pair[0] != b"content-length"]}
        return message


def _scope_with(scope: Scope, call: MeteredCall) -> Scope:
    """Give the request the length of the body that the app reads, and ask for an answer that can be read here."""
    dropped = {b"content-length", b"transfer-encoding", b"accept-encoding"}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in dropped]
    headers += [(b"content-length", str(len(call.body)).encode()), (b"accept-encoding", b"identity")]
    return {**scope, "headers": headers}


async def _answer(send: Send, refusal: Refusal) -> None:
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    headers.append((b"content-length", str(len(refusal.body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": False})
