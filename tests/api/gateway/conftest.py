"""The application with a gateway whose providers are one fake on a loopback port."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.gateway.door import GatewayDoor
from api.gateway.proxy import Proxy
from domain.access.roles import KEY_SCOPES
from domain.kernel.ids import CustomerId, encode
from tests.api.graphql.site import Site
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import Upstream, open_upstream

MERCHANT_KEYS = {
    "openai_key": "sk-merchant-openai",
    "anthropic_key": "sk-merchant-anthropic",
    "gemini_key": "merchant-gemini",
    "mistral_key": "merchant-mistral",
}


SAY: Any = [{"role": "user", "content": "Say good morning, please."}]
CHAT: Any = {"model": "gpt-5.1", "messages": SAY}


class ToLoopback(httpx2.AsyncBaseTransport):
    """Sends what is meant for a provider's host to a port of this machine, and remembers the host."""

    def __init__(self) -> None:
        self.url = ""
        self.hosts: list[str] = []
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the fake."""
        self.hosts.append(f"{request.url.scheme}://{request.url.host}")
        target = httpx2.URL(self.url)
        url = request.url.copy_with(scheme="http", host=target.host, port=target.port)
        return await self._inner.handle_async_request(
            httpx2.Request(
                request.method, url, headers=request.headers, content=request.content, extensions=request.extensions
            )
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def asgi_of(tollbooth: Tollbooth) -> ASGIApp:
    """Serve a Tollgate in memory as an application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked = httpx2.Request(
            request.method, str(request.url), headers=dict(request.headers), content=await request.body()
        )
        answer = tollbooth.answer(asked)
        headers = {"content-type": "application/json", **answer.headers}
        await Response(answer.content, answer.status_code, headers)(scope, receive, send)

    return app


@dataclass
class Gate:
    """The gateway, the provider behind it, and a customer with a key."""

    site: Site
    upstream: Upstream
    transport: ToLoopback
    customer_id: CustomerId
    key: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.site.host}/gateway"

    @property
    def door(self) -> GatewayDoor:
        """The gateway's own object."""
        found = self.site.app.state.gateway
        assert isinstance(found, GatewayDoor)
        return found

    async def settled(self) -> None:
        """Wait until everything is recorded."""
        proxy = self.door._proxy
        assert proxy is not None
        for tolls in proxy._tolls.values():
            await tolls.drain()

    async def usage(self, meter: str) -> str:
        """Return how much of a meter the customer has used."""
        query = (
            "query($id: ID!) { usage(customerId: $id) { subscriptions { cost { amount } meters { key quantity } } } }"
        )
        about = await self.site.read(query, self.site.member(self.customer_id), id=encode("customer", self.customer_id))
        [found] = about["usage"]["subscriptions"]
        if meter == "cost":
            return str(found["cost"]["amount"])
        return str(next(each["quantity"] for each in found["meters"] if each["key"] == meter))

    async def tables_with(self, text: str) -> list[str]:
        """Name the tables in which a text is stored, readable or as bytes."""
        async with self.site.runtime.db.transaction() as tx:
            driver = await tx.raw()
            names = await driver.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
                "AND relnamespace = 'public'::regnamespace ORDER BY relname"
            )
            search = "SELECT count(*) FROM {0} t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0"
            return [name for (name,) in names if await driver.fetchval(search.format(name), text, text.encode().hex())]


async def post(gate: Gate, path: str, body: Any = CHAT, **headers: str) -> httpx2.Response:
    """Send a body with the customer's key."""
    async with httpx2.AsyncClient(timeout=20) as http:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await http.post(
            f"{gate.url}{path}", content=content, headers={"authorization": f"Bearer {gate.key}", **headers}
        )


@pytest.fixture
async def tollbooth(gate: Gate) -> AsyncIterator[Tollbooth]:
    """Put a Tollgate in memory behind the gateway, by the contract of its routes."""
    tollbooth = Tollbooth()
    door = gate.door
    before, door._proxy = door._proxy, None
    settings = replace(door._settings, gateway_keys=("tg_test_key",))
    proxy = door._proxy = Proxy(settings, asgi_of(tollbooth), gate.transport)
    yield tollbooth
    for tolls in proxy._tolls.values():
        await tolls.aclose()
    door._proxy = before


@pytest.fixture(scope="session")
async def gateway_transport(quiet_site: Site) -> ToLoopback:
    """Set the gateway up once: the merchant's keys, the product's key, and where providers are."""
    transport = ToLoopback()
    # Those that hold and record usage, as far as there are such.
    scopes = {"usage:write", "limit:check"} & KEY_SCOPES
    product_key = await quiet_site.key(*scopes, product="llm")
    door = quiet_site.app.state.gateway
    door._settings = replace(door._settings, gateway_keys=(product_key,), **MERCHANT_KEYS)
    door.inner = transport
    return transport


@pytest.fixture
async def gate(quiet_server: Site, gateway_transport: ToLoopback) -> AsyncIterator[Gate]:
    """Make a customer on the Pro plan with a gateway key, and a provider."""
    world = quiet_server.world
    customer = await world.customer(on="2026-01-31")
    await world.subscribe(customer, "pro")
    key = await quiet_server.key("gateway", customer_id=customer.id)
    async with open_upstream() as upstream:
        gateway_transport.url = upstream.url
        gateway_transport.hosts.clear()
        yield Gate(quiet_server, upstream, gateway_transport, customer.id, key)
