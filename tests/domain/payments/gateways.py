"""The same questions to two gateways: the one in memory, and the Stripe adapter against a sandbox process."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from api.local.children import answers_http
from api.local.ports import free_port
from api.local.processes import wait_until
from domain.adapters.memory import MemoryGateway, When
from domain.adapters.stripe import StripeGateway
from domain.payments.dispute import RETURNS
from domain.payments.listed import GatewayDispute
from domain.payments.port import PaymentGateway
from tests import make
from tests.waiting import PATIENCE_S

API_KEY = "sk_test_of_the_tests"
ROOT = Path(__file__).resolve().parents[3]
# The SDK sends a request at most three times under one key: losing all of them loses the call.
TRIES = 3
_OPERATIONS = {
    "ensure_customer": "POST /v1/customers",
    "create_invoice": "POST /v1/invoices",
    "add_lines": "POST /v1/invoices/{invoice}/add_lines",
    "finalise_invoice": "POST /v1/invoices/{invoice}/finalize",
    "pay": "POST /v1/invoices/{invoice}/pay",
    "create_refund": "POST /v1/refunds",
    "fetch_invoice": "GET /v1/invoices/{invoice}",
}


class Probe(Protocol):
    """What a test does to a gateway from outside, and what it counts there."""

    async def lose(self, operation: str, when: When) -> None:
        """Lose the next call of an operation, before or after it acts."""
        ...

    async def charges(self) -> list[int]:
        """Return the amounts that were taken from anybody."""
        ...

    async def invoices(self) -> list[str]:
        """Return the states of all invoices."""
        ...

    async def settle(self, gateway_invoice_id: str, *, succeeds: bool) -> None:
        """End a bank debit."""
        ...

    async def pay_outside(self, gateway_invoice_id: str) -> None:
        """Pay an invoice by other means."""
        ...

    async def dispute(self, gateway_payment_id: str, reason: str, minor: int | None = None) -> str:
        """Dispute a payment, or return a debit; return the dispute's id."""
        ...

    async def decide(self, gateway_dispute_id: str, status: str) -> None:
        """End a dispute: won or lost."""
        ...


class MemoryProbe:
    """Looks into the gateway in memory."""

    def __init__(self, gateway: MemoryGateway) -> None:
        self.gateway = gateway

    async def lose(self, operation: str, when: When) -> None:
        """See Probe."""
        self.gateway.lose(operation, when)

    async def charges(self) -> list[int]:
        """See Probe."""
        return [amount for _, amount in self.gateway.charges]

    async def invoices(self) -> list[str]:
        """See Probe."""
        return [str(copy.state) for copy in self.gateway.copies.values()]

    async def settle(self, gateway_invoice_id: str, *, succeeds: bool) -> None:
        """See Probe."""
        self.gateway.settle(gateway_invoice_id, succeeds=succeeds)

    async def pay_outside(self, gateway_invoice_id: str) -> None:
        """See Probe."""
        self.gateway.pay_outside(gateway_invoice_id)

    async def dispute(self, gateway_payment_id: str, reason: str, minor: int | None = None) -> str:
        """See Probe."""
        status = "lost" if reason in RETURNS else "needs_response"
        paid = self.gateway.paid_by(gateway_payment_id) if minor is None else minor
        opened_at = make.at("2026-01-15T12:00")
        made = GatewayDispute(
            id=self.gateway.new_id("dp"),
            status=status,
            reason=reason,
            currency="USD",
            amount_minor=paid,
            gateway_payment_id=gateway_payment_id,
            created_at=opened_at,
            evidence_due_at=opened_at + timedelta(days=7),
        )
        self.gateway.listing.disputes[made.id] = made
        return made.id

    async def decide(self, gateway_dispute_id: str, status: str) -> None:
        """See Probe."""
        held = self.gateway.listing.disputes
        held[gateway_dispute_id] = dataclasses.replace(held[gateway_dispute_id], status=status)


class SandboxProbe:
    """Speaks to the sandbox as Stripe's dashboard and its control endpoints would."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=10)

    async def ask(self, verb: str, path: str, **given: Any) -> Any:
        """Send one request and return its JSON."""
        answer = await self.http.request(verb, path, **given)
        assert answer.is_success, answer.text
        return answer.json()

    async def lose(self, operation: str, when: When) -> None:
        """See Probe."""
        fault = {"kind": "drop", "operation": _OPERATIONS[operation], "when": when, "times": TRIES}
        await self.ask("POST", "/_sandbox/faults", content=json.dumps(fault))

    async def charges(self) -> list[int]:
        """See Probe."""
        events = await self.ask("GET", "/v1/events", params={"type": "charge.succeeded", "limit": 100})
        return [event["data"]["object"]["amount"] for event in events["data"]]

    async def invoices(self) -> list[str]:
        """See Probe."""
        found = await self.ask("GET", "/v1/invoices", params={"limit": 100})
        return [invoice["status"] for invoice in found["data"]]

    async def settle(self, gateway_invoice_id: str, *, succeeds: bool) -> None:
        """See Probe."""
        payments = await self.ask("GET", "/v1/invoice_payments", params={"invoice": gateway_invoice_id})
        intent = payments["data"][0]["payment"]["payment_intent"]
        result = {"result": "succeed" if succeeds else "fail"}
        await self.ask("POST", f"/_sandbox/ach/{intent}", content=json.dumps(result))

    async def pay_outside(self, gateway_invoice_id: str) -> None:
        """See Probe."""
        await self.ask("POST", f"/v1/invoices/{gateway_invoice_id}/pay", data={"paid_out_of_band": "true"})

    async def dispute(self, gateway_payment_id: str, reason: str, minor: int | None = None) -> str:
        """See Probe."""
        kind = "returns" if reason in RETURNS else "disputes"
        given = {"reason": reason} | ({"amount": minor} if minor is not None else {})
        made = await self.ask("POST", f"/_sandbox/{kind}/{gateway_payment_id}", content=json.dumps(given))
        return str(made["id"])

    async def decide(self, gateway_dispute_id: str, status: str) -> None:
        """See Probe."""
        await self.ask("POST", f"/_sandbox/verdicts/{gateway_dispute_id}", content=json.dumps({"result": status}))


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a sandbox of this run's own."""
    port = free_port()
    data = tmp_path_factory.mktemp("sandbox")
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(data), "--api-key", API_KEY]
    process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603 -- the repository's own module
    is_up = answers_http(port, "/")
    try:
        assert wait_until(lambda: is_up() or process.poll() is not None, PATIENCE_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture
async def sandbox(sandbox_url: str) -> AsyncIterator[SandboxProbe]:
    """Give the sandbox, empty."""
    probe = SandboxProbe(sandbox_url)
    await probe.ask("POST", "/_sandbox/reset")
    await probe.ask("POST", "/_sandbox/ach", content='{"settle_after_s": null}')
    yield probe
    await probe.http.aclose()


@pytest.fixture
async def stripe_gateway(sandbox: SandboxProbe) -> AsyncIterator[StripeGateway]:
    """Give the Stripe adapter on an empty sandbox."""
    gateway = StripeGateway(API_KEY, str(sandbox.http.base_url))
    yield gateway
    await gateway.close()


@pytest.fixture
def memory_gateway() -> MemoryGateway:
    """Give a gateway in memory."""
    return MemoryGateway()


@pytest.fixture(params=["memory", "sandbox"])
def both(request: pytest.FixtureRequest) -> tuple[PaymentGateway, Probe]:
    """Give one gateway after the other, with its probe."""
    if request.param == "memory":
        memory: MemoryGateway = request.getfixturevalue("memory_gateway")
        return memory, MemoryProbe(memory)
    return request.getfixturevalue("stripe_gateway"), request.getfixturevalue("sandbox")


@pytest.fixture
def gateway(both: tuple[PaymentGateway, Probe]) -> PaymentGateway:
    """Give the gateway."""
    return both[0]


@pytest.fixture
def probe(both: tuple[PaymentGateway, Probe]) -> Probe:
    """Give its probe."""
    return both[1]
