"""What comes back of a provider's answer: its bytes as they come, without the merchant's key, and a few headers.

One that comes encoded, though a plain one was asked for, is passed on decoded: the key could not be found in it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx2
import structlog
from starlette.types import Receive, Scope, Send

# What a caller gets to see of a provider's headers; others name the merchant's account.
RESPONSE_HEADERS = (
    "content-type",
    "request-id",
    "x-request-id",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-should-retry",
)
# How long an answer is still read whose caller has left: one without a stream is written already. Of a stream it is the
# end alone that says what was used, thoughts that nobody sees included, and many callers go before it.
READ_ON_S, STREAM_READ_ON_S = 30.0, 2.0
_STREAM = "text/event-stream"
STRUCK_OUT = b"[key]"
_log = structlog.get_logger()


class KeyStriker:
    """Strikes a secret out of a stream, also where it is split; only what may be its beginning waits."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be passed on."""
        text = (self._held + chunk).replace(self._secret, STRUCK_OUT)
        waits = next((size for size in range(len(self._secret) - 1, 0, -1) if text.endswith(self._secret[:size])), 0)
        self._held = text[len(text) - waits :]
        return text[: len(text) - waits]

    def rest(self) -> bytes:
        """Return what waited and was no secret."""
        return self._held


def passed_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that the caller gets."""
    return [(name.encode(), headers[name].encode("latin-1")) for name in RESPONSE_HEADERS if name in headers]


class Relay:
    """Answers with what a provider answers. A provider that breaks off breaks the answer off; nothing is made up."""

    def __init__(self, answer: httpx2.Response, secret: str, provider: str, ends_at: float) -> None:
        """`ends_at` is the loop's time at which the answer is broken off."""
        self._answer = answer
        self._striker = KeyStriker(secret.encode())
        self._provider = provider
        self._ends_at = ends_at
        self._is_stream = answer.headers.get("content-type", "").startswith(_STREAM)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, and stop some time after its caller has left."""
        relaying = asyncio.ensure_future(self._relay(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((relaying, leaving), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((relaying,), timeout=STREAM_READ_ON_S if self._is_stream else READ_ON_S)
        finally:
            for task in (relaying, leaving):
                task.cancel()
            await asyncio.gather(relaying, leaving, return_exceptions=True)
            await self._answer.aclose()
        if not relaying.cancelled():
            relaying.result()

    async def _relay(self, send: Send) -> None:
        try:
            async with asyncio.timeout_at(self._ends_at):
                headers = passed_headers(self._answer.headers)
                await send({"type": "http.response.start", "status": self._answer.status_code, "headers": headers})
                async for chunk in self._chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": self._striker.rest(), "more_body": False})
        except (httpx2.TransportError, httpx2.StreamError, httpx2.DecodingError, TimeoutError) as fault:
            # Without an end the server closes the connection, and the caller knows that something is missing.
            _log.warning("gateway_answer_broken", provider=self._provider, error=type(fault).__name__)

    async def _chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_bytes():
            if passed := self._striker.feed(chunk):
                yield passed


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
