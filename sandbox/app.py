"""The ASGI application: who may come in, and which part answers. The first file to read.

`/v1/…` is Stripe's API (`acting`), `/_sandbox/…` the control endpoints (`control`), `/` a page to look at (`page`).
"""

import hmac
from contextlib import suppress
from pathlib import Path

from sandbox import clock, control, page
from sandbox.acting import Actor, Request, refusal
from sandbox.contract_index import api_version
from sandbox.deliveries import Courier
from sandbox.errors import StripeError, malformed
from sandbox.replies import Receive, Reply, Scope, Send, json_reply, read_body, write
from sandbox.store import Store

HOSTS = ("127.0.0.1", "localhost", "[::1]")
DEFAULT_KEY = "sk_test_sandbox"
KEYS_KEPT_S = 86_400


class Sandbox:
    """The application with its lifetime: the store is open and deliveries run between startup and shutdown."""

    def __init__(self, data: Path, port: int, api_key: str = DEFAULT_KEY) -> None:
        assert api_key.startswith("sk_test_")
        self._data = data
        self._hosts = {f"{host}:{port}" for host in HOSTS}
        self._api_key = api_key
        self._store: Store | None = None
        self._courier: Courier | None = None
        self._actor: Actor | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            with suppress(ConnectionResetError):
                await write(send, await self._answer(scope, receive))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self) -> None:
        """Open the data and begin delivering."""
        self._store = Store(self._data)
        with self._store.transaction():
            self._store.forget_keys(clock.now() - KEYS_KEPT_S)
        self._courier = Courier(self._store)
        self._actor = Actor(self._store)
        self._courier.start()

    async def stop(self) -> None:
        """Stop delivering and close the data."""
        assert self._courier is not None
        assert self._store is not None
        await self._courier.stop()
        self._store.close()

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._welcome(headers):
            return json_reply(403, {"error": {"type": "invalid_request_error", "message": "Foreign host or origin."}})
        body = await read_body(receive)
        if body is None:
            return refusal(malformed("The request body is larger than 4 MiB."))
        request = Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), body, headers)
        assert self._store is not None
        if request.path == "/":
            return self._page(request)
        try:
            self._authenticate(headers)
        except StripeError as error:
            return refusal(error)
        return await self._route(request)

    def _page(self, request: Request) -> Reply:
        """Show or act; a post must name the page as its origin, which browsers do and other pages cannot."""
        assert self._store is not None
        assert self._courier is not None
        try:
            if request.verb == "GET":
                return page.show(self._store, request.query)
            _check_post(request)
            return page.act(self._store, request.body)
        except StripeError as error:
            return refusal(error)
        finally:
            self._courier.wake()

    def _welcome(self, headers: dict[str, str]) -> bool:
        """Refuse names that only a rebound or foreign web page would use."""
        if headers.get("host", "").lower() not in self._hosts:
            return False
        origin = headers.get("origin")
        return origin is None or origin.lower().removeprefix("http://") in self._hosts

    def _authenticate(self, headers: dict[str, str]) -> None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), self._api_key.encode()):
            message = (
                f"Invalid API Key provided: {key[:12]}{'*' * 8}"
                if key
                else "You did not provide an API key. Provide it in the Authorization header, using Bearer auth."
            )
            raise StripeError(401, "invalid_request_error", message, begun=False)
        version = headers.get("stripe-version", api_version())
        if version != api_version():
            raise malformed(f"Invalid Stripe API version: {version}. The sandbox speaks {api_version()} only.")
        if "stripe-account" in headers:
            raise StripeError(403, "invalid_request_error", "The sandbox has no connected accounts.", begun=False)

    async def _route(self, request: Request) -> Reply:
        assert self._actor is not None
        assert self._courier is not None
        assert self._store is not None
        try:
            if request.path.startswith("/_sandbox/"):
                return json_reply(*control.answer(self._store, request.verb, request.path, request.body))
            return await self._actor.answer(request)
        except StripeError as error:
            return refusal(error)
        finally:
            self._courier.wake()


def _check_post(request: Request) -> None:
    """Raise StripeError for what is no post from the page itself."""
    if request.verb != "POST":
        raise StripeError(405, "invalid_request_error", "The page is read or posted to.", begun=False)
    if request.headers.get("origin", "").lower() != f"http://{request.headers['host'].lower()}":
        raise StripeError(403, "invalid_request_error", "The page takes its own forms only.", begun=False)
