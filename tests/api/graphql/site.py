"""The real application in this process: real Postgres, outside parties in memory, credentials of every kind."""

import socket
from asyncio import create_task
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import uvicorn
from starlette.applications import Starlette

from api.app import create_app
from api.at_once import protocol_of
from api.direct import DirectProtocol
from api.serve import SOCKET_MESSAGE_BYTES_MAX
from domain.access import service as access
from domain.access.tokens import AUDIENCE, SECOND_FACTOR, sign_hs256
from domain.config import Settings
from domain.db import Database
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, encode
from domain.runtime import Runtime
from tests.waiting import until
from tests.world import World, runtime_of

SECRET, PEPPER = "s" * 32, "p" * 32


@dataclass
class Site:
    """A served application and the world behind it."""

    world: World
    app: Starlette
    client: httpx2.AsyncClient
    host: str

    @property
    def runtime(self) -> Runtime:
        """The application's runtime."""
        return self.world.runtime

    async def post(
        self, body: Any, token: str | None, *, path: str = "/graphql", headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Send a body, as it is or as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        given = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return await self.client.post(path, content=content, headers=given)

    async def run(self, document: str, token: str, **variables: Any) -> Any:
        """Execute a document and return the whole answer."""
        answer = await self.post({"query": document, "variables": variables}, token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read(self, document: str, token: str, **variables: Any) -> Any:
        """Execute a document that must succeed and return its data."""
        answer = await self.run(document, token, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def change(self, field: str, success: str, token: str, **given: Any) -> Any:
        """Execute a mutation with one input, and return its result with `__typename`."""
        name = field[0].upper() + field[1:]
        document = f"""mutation($input: {name}Input!) {{
            {field}(input: $input) {{ __typename {success} ... on Problem {{ code message }} }} }}"""
        return (await self.read(document, token, input=given))[field]

    def pass_time(self, by: timedelta) -> None:
        """Let the clock of the application show a later time from now on. Only for one that the test has to itself."""
        kept = self.runtime.now
        self.runtime.now = lambda: kept() + by

    def token(
        self, *, lives: timedelta = timedelta(hours=1), factors: Sequence[str] = (SECOND_FACTOR,), **claims: str
    ) -> str:
        """Sign a token from now on, of somebody who signed in with a second factor unless told."""
        now = self.runtime.now()
        times = {"iat": int(now.timestamp()), "exp": int((now + lives).timestamp())}
        issued = {
            "iss": self.runtime.settings.token_issuer,
            "aud": AUDIENCE,
            "sub": "someone",
            "amr": list(factors),
            **times,
        }
        return sign_hs256(SECRET, {**issued, **claims})

    def staff(self, role: str = "admin") -> str:
        """Sign a token of a member of staff."""
        return self.token(kind="staff", role=role)

    def member(self, customer_id: CustomerId, role: str = "owner", *, environment: str = "test") -> str:
        """Sign a token of somebody who works for a customer."""
        return self.token(kind="member", role=role, env=environment, customer=encode("customer", customer_id))

    async def key(
        self,
        *scopes: str,
        environment: Environment = Environment.TEST,
        customer_id: CustomerId | None = None,
        product: str | None = None,
    ) -> str:
        """Make an API key and return its secret."""
        async with self.runtime.db.transaction() as tx:
            _, secret = await access.create_key(
                tx,
                self.world.call,
                name="test key",
                environment=environment,
                scopes=scopes,
                product_key=product,
                customer_id=customer_id,
                pepper=PEPPER.encode(),
            )
        return secret


@asynccontextmanager
async def open_site(db: Database) -> AsyncIterator[Site]:
    """Serve the application without a network."""
    runtime = runtime_of(db)
    async with _lifespan(runtime, runtime.settings) as app:
        host = f"127.0.0.1:{runtime.settings.port}"
        async with direct_client(app, host) as client:
            yield Site(World(runtime), app, client, host)


def direct_client(app: Starlette, host: str) -> httpx2.AsyncClient:
    """Make a client that calls the application without a network, by the name of a host."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=f"http://{host}")


@asynccontextmanager
async def open_server(db: Database) -> AsyncIterator[Site]:
    """Serve the application as `tollgate serve` does, on a port of this machine."""
    runtime = runtime_of(db)
    # With the protocol named, asyncio turns off the waiting for more data on each connection.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        settings = replace(runtime.settings, port=port)
        app = create_app(settings, _opener(replace(runtime, settings=settings)))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol_of(app.state.at_once),
                ws=DirectProtocol,
                ws_max_size=SOCKET_MESSAGE_BYTES_MAX,
                ws_per_message_deflate=False,
                log_config=None,
            )
        )
        task = create_task(server.serve([listener]))
        await until(lambda: server.started or task.done(), "the start of the server")
        try:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield Site(World(app.state.runtime), app, client, f"127.0.0.1:{port}")
        finally:
            server.should_exit = True
            await task


def _opener(runtime: Runtime) -> Any:
    async def opened(_: Settings) -> Runtime:
        return runtime

    return opened


@asynccontextmanager
async def _lifespan(runtime: Runtime, settings: Settings) -> AsyncIterator[Starlette]:
    app = create_app(settings, _opener(runtime))
    async with app.router.lifespan_context(app):
        yield app
