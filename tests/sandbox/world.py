"""A sandbox on a loopback port, the real stripe client that talks to it, and a receiver for its webhooks."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stripe
import uvicorn
from stripe import HTTPXClient, StripeClient

from sandbox.__main__ import listen
from sandbox.app import Sandbox
from tests.sandbox.conformance import faults
from tests.waiting import until

KEY = "sk_test_of_the_tests"


@dataclass
class Server:
    """A running sandbox; `stop` and a new one over the same data make a restart."""

    data: Path
    url: str
    _server: uvicorn.Server
    _task: asyncio.Task[None]

    @classmethod
    async def start(cls, data: Path) -> "Server":
        """Listen on a free port of 127.0.0.1."""
        listener = listen(0)
        port = listener.getsockname()[1]
        app = Sandbox(data, port, KEY)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
        task = asyncio.create_task(server._serve([listener]))
        await until(lambda: server.started or task.done(), "the start of the sandbox")
        return cls(data, f"http://127.0.0.1:{port}", server, task)

    async def stop(self) -> None:
        """Close the port and the data."""
        self._server.should_exit = True
        await self._task


@dataclass
class Receiver:
    """An HTTP endpoint that verifies and keeps what it is sent. `answers` are the next statuses, then 200."""

    secret: str = ""
    answers: list[int] = field(default_factory=list)
    events: list[stripe.Event] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    refused: int = 0
    url: str = ""
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:-2]]
                headers = {name.lower(): value for name, _, value in lines}
                payload = await reader.readexactly(int(headers["content-length"]))
                status = self._take(payload, headers["stripe-signature"])
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def _take(self, payload: bytes, signature: str) -> int:
        event = stripe.Webhook.construct_event(payload, signature, self.secret)
        self.signatures.append(signature)
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.events.append(event)
        else:
            self.refused += 1
        return status

    def types(self) -> list[str]:
        """Give the types of what was accepted, sorted because deliveries have no order."""
        return sorted(event.type for event in self.events)


@dataclass
class World:
    """Everything a test needs; every answer and event is checked against the response classes at the end."""

    server: Server
    http: httpx.AsyncClient
    receiver: Receiver
    faults: list[str] = field(default_factory=list)
    last: httpx.Response | None = None
    _clients: list[HTTPXClient] = field(default_factory=list)
    api: StripeClient = field(init=False)

    @classmethod
    async def begin(cls, server: Server) -> "World":
        """Use a sandbox that is running, without whatever it held; debits settle only when told."""
        stripe.enable_telemetry = False
        headers = {"Authorization": f"Bearer {KEY}"}
        http = httpx.AsyncClient(headers=headers, trust_env=False, verify=False)  # noqa: S501 -- loopback without TLS.
        world = cls(server, http, Receiver())
        world.connect()
        await world.control("POST", "reset")
        await world.control("POST", "ach", {"settle_after_s": None})
        return world

    def connect(self) -> None:
        """Make a client of the sandbox that runs now."""
        client = HTTPXClient(timeout=10, verify_ssl_certs=False)
        client._client_async.event_hooks = {"response": [self._look]}
        self._clients.append(client)
        url = self.server.url
        addresses: Any = {"api": url, "files": url, "connect": url, "meter_events": url}
        self.api = StripeClient(KEY, http_client=client, base_addresses=addresses)

    async def _look(self, response: httpx.Response) -> None:
        """Remember the last answer and check it; a dropped one is the caller's to see."""
        self.last = response
        try:
            await response.aread()
        except httpx.HTTPError:
            return
        self.faults += faults(response.json())

    async def restart(self) -> None:
        """Stop the sandbox and start it again on the same data."""
        await self.server.stop()
        self.server = await Server.start(self.server.data)
        self.connect()

    async def end(self) -> None:
        """Read every event once, so that all are checked, then close all connections."""
        await self.event_types()
        await self.http.aclose()
        for client in self._clients:
            await client.close_async()  # type: ignore[no-untyped-call]
        await self.receiver.stop()

    async def control(self, verb: str, path: str, body: Any = None) -> Any:
        """Send a control request and give its JSON."""
        response = await self.http.request(verb, f"{self.server.url}/_sandbox/{path}", content=json.dumps(body or {}))
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, form: str, **headers: str) -> httpx.Response:
        """Send a form as it stands, without the SDK."""
        content_type = {"Content-Type": "application/x-www-form-urlencoded"}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"{self.server.url}{path}", content=form, headers=content_type | sent)

    async def listen(self, *types: str, version: str | None = None) -> stripe.WebhookEndpoint:
        """Register the receiver for events, all of them unless some are named."""
        await self.receiver.start()
        params: Any = {"url": self.receiver.url, "enabled_events": list(types) or ["*"]}
        if version:
            params["api_version"] = version
        endpoint = await self.api.v1.webhook_endpoints.create_async(params)
        self.receiver.secret = str(endpoint.secret)
        return endpoint

    async def drained(self) -> None:
        """Wait until no delivery is pending."""
        await self.until(self._nothing_pending)

    async def until(self, holds: Callable[[], Any]) -> None:
        """Wait until a condition holds."""
        await until(holds, "what the sandbox does by itself")

    async def _nothing_pending(self) -> bool:
        return bool((await self.control("GET", "deliveries/pending"))["pending"] == 0)

    async def customer(self, **params: Any) -> str:
        """Create a customer and give its id."""
        return (await self.api.v1.customers.create_async(params)).id  # type: ignore[arg-type]

    async def method(self, customer: str, test_id: str = "pm_card_visa") -> str:
        """Attach a test method and give the new id."""
        return (await self.api.v1.payment_methods.attach_async(test_id, {"customer": customer})).id

    async def draft(self, customer: str, *amounts: int, **params: Any) -> str:
        """Create a draft with a line for each amount and give its id."""
        given: Any = {"customer": customer, "currency": "usd", **params}
        invoice = await self.api.v1.invoices.create_async(given)
        if amounts:
            lines: Any = [{"amount": amount} for amount in amounts]
            await self.api.v1.invoices.add_lines_async(invoice.id, {"lines": lines})
        return invoice.id

    async def opened(self, customer: str, *amounts: int, **params: Any) -> str:
        """Create and finalize an invoice and give its id."""
        invoice = await self.draft(customer, *amounts, **params)
        await self.api.v1.invoices.finalize_invoice_async(invoice)
        return invoice

    async def pay(self, invoice: str, method: str, key: str | None = None) -> stripe.Invoice:
        """Pay an invoice off session."""
        options: Any = {"idempotency_key": key} if key else {}
        return await self.api.v1.invoices.pay_async(invoice, {"payment_method": method, "off_session": True}, options)

    async def intent_of(self, invoice: str) -> stripe.PaymentIntent:
        """Read the payment intent of an invoice."""
        payments = await self.api.v1.invoice_payments.list_async({"invoice": invoice})
        return await self.api.v1.payment_intents.retrieve_async(str(payments.data[0].payment.payment_intent))

    async def event_types(self) -> list[str]:
        """Give the types of all events, oldest first."""
        page = await self.api.v1.events.list_async({"limit": 100})
        types: list[str] = [event.type async for event in page.auto_paging_iter()]
        return types[::-1]
