"""From a clock to a paid invoice through public doors: GraphQL, a websocket, the events route, and Stripe's API."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.make import at
from tests.stories.processes import Processes, llm_events, until

WITHIN_S = 120.0
START = "2026-01-31"
USAGE_CHANGED = """subscription($id: ID!) {
  usageChanged(customerId: $id) {
    sequence
    usage { version subscriptions { plan cost { amount currency } meters { meter { key } quantity events } } }
  }
}"""
CUSTOMER = """query($id: ID!) {
  customer(id: $id) {
    paymentMethods { kind brand last4 isDefault }
    subscriptions { id status source endedAt product { key } plan { key } }
    billingEvents(first: 100) { nodes { type } }
    invoices(first: 10) { nodes {
      number state issuedAt total { amount currency } amountPaid { amount }
      lines { kind description quantity unit amount { amount } derivation }
    } }
  }
}"""


class Watcher:
    """One open subscription over graphql-transport-ws."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def frame(self) -> Any:
        """Return the next frame; pings are answered on the way."""
        while True:
            message = json.loads(await self._socket.recv())
            if message["type"] == "ping":
                await self._socket.send('{"type": "pong"}')
                continue
            assert message["type"] == "next", message
            assert "errors" not in message["payload"], message
            return message["payload"]["data"]["usageChanged"]


@asynccontextmanager
async def watching(processes: Processes, customer_id: str) -> AsyncIterator[Watcher]:
    """Watch a customer's usage as graphql-ws does."""
    url = f"ws{processes.stack.api_url.removeprefix('http')}/graphql"
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(url, subprotocols=[protocol], proxy=None) as socket:
        credentials = {"authorization": f"Bearer {processes.client.token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": credentials}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": USAGE_CHANGED, "variables": {"id": customer_id}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield Watcher(socket)


async def _customer(processes: Processes, customer_id: str) -> Any:
    return await processes.client.read(CUSTOMER, id=customer_id)


async def _invoices(processes: Processes, customer_id: str, *states: str) -> list[Any]:
    """Return a customer's invoices, oldest first, once they are in these states."""

    async def look() -> list[Any]:
        nodes = (await _customer(processes, customer_id))["invoices"]["nodes"][::-1]
        return nodes if [node["state"] for node in nodes] == list(states) else []

    return await until(look, WITHIN_S, f"invoices that are {states}")


async def _status(processes: Processes, customer_id: str, product: str, status: str) -> Any:
    """Return a customer's subscription of a product, once it has a status."""

    async def look() -> Any:
        found = (await _customer(processes, customer_id))["subscriptions"]
        return next((each for each in found if (each["product"]["key"], each["status"]) == (product, status)), None)

    return await until(look, WITHIN_S, f"a subscription of {product} that is {status}")


async def _subjects(processes: Processes, email: str, count: int) -> list[str]:
    async def look() -> list[Any]:
        found = await processes.messages(email)
        return found if len(found) == count else []

    return sorted(mail["subject"] for mail in await until(look, WITHIN_S, f"{count} mails"))


async def _stripe_customer(processes: Processes, customer_id: str) -> str:
    found = await processes.list_at_stripe("/v1/customers")
    [mine] = [each["id"] for each in found if each["metadata"]["customer_id"] == customer_id]
    return str(mine)


async def test_usage_is_seen_live_and_ends_in_a_paid_invoice_that_explains_itself(processes: Processes) -> None:
    clock_id = await processes.clock(START)
    customer_id, email = await processes.customer(clock_id)
    async with processes.product() as product, watching(processes, customer_id) as watcher:
        snapshot = await watcher.frame()
        assert snapshot["sequence"] == 1
        assert snapshot["usage"]["subscriptions"][0]["plan"] == "pro"
        frames = [snapshot]
        for batch in ("first", "second"):
            names = [f"{batch}-{number}" for number in range(5)]
            events = llm_events(customer_id, names, at(START), input_tokens=100_000, output_tokens=20_000)
            assert [verdict["status"] for verdict in await product.send(events)] == ["counted"] * 5
            frames.append(await watcher.frame())
        assert [verdict["status"] for verdict in await product.send(events)] == ["duplicate"] * 5
    assert [frame["sequence"] for frame in frames] == [1, 2, 3]
    [live] = frames[-1]["usage"]["subscriptions"]
    # 1,000,000 input tokens at 1.25 and 200,000 output tokens at 10.00 per million: 1.25 + 2.00.
    assert live["cost"] == {"amount": "3.25", "currency": "USD"}
    meters = {each["meter"]["key"]: (each["quantity"], each["events"]) for each in live["meters"]}
    assert meters["input_tokens"] == ("1000000", 10)
    assert meters["output_tokens"] == ("200000", 10)

    await processes.advance(clock_id, "2026-02-28")
    await until(lambda: processes.arrived(clock_id), WITHIN_S, "the end of the period")
    first, second = await _invoices(processes, customer_id, "PAID", "PAID")
    assert [first["number"], second["number"]] == ["TEST-2026-000001", "TEST-2026-000002"]
    assert second["issuedAt"] == "2026-02-28T00:00:00Z"
    # The fee of 79.00 in advance, then the usage of the month before.
    assert first["total"] == {"amount": "79.00", "currency": "USD"}
    assert second["total"] == second["amountPaid"] | {"currency": "USD"} == {"amount": "82.25", "currency": "USD"}
    [usage] = [line for line in second["lines"] if line["kind"] == "USAGE"]
    assert (usage["quantity"], usage["unit"], usage["amount"]["amount"]) == ("3.25", "USD", "3.25")
    assert usage["derivation"]["counted"]["input_tokens"] == "1000000"
    assert [(rate["pool"], rate["amount"]) for rate in usage["derivation"]["rates"] if rate["pool"] == "output"] == [
        ("output", "10")
    ]
    assert usage["derivation"]["events"] == "10"
    assert await _subjects(processes, email, 4) == [
        "Invoice TEST-2026-000001 from Tollgate Demo: 79.00 USD",
        "Invoice TEST-2026-000002 from Tollgate Demo: 82.25 USD",
        "Payment received for invoice TEST-2026-000001",
        "Payment received for invoice TEST-2026-000002",
    ]


async def test_a_debit_that_fails_later_and_a_card_added_at_stripe_are_followed(processes: Processes) -> None:
    await processes.control("ach", {"settle_after_s": None})
    customer_id, email = await processes.customer(None, card="pm_usBankAccount_success")

    async def on_its_way() -> bool:
        return bool(await processes.rows.fetchval("SELECT count(*) FROM payment_attempt WHERE state = 'processing'"))

    await until(on_its_way, WITHIN_S, "a debit on its way")
    [intent] = await processes.list_at_stripe("/v1/payment_intents")
    # Days later the bank sends it back: invoice.payment_failed.
    await processes.control(f"ach/{intent['id']}", {"result": "fail"})
    await _status(processes, customer_id, "llm", "PAST_DUE")
    [unpaid] = await _invoices(processes, customer_id, "OPEN")
    assert await _subjects(processes, email, 2) == [
        f"Invoice {unpaid['number']} from Tollgate Demo: 79.00 USD",
        f"Payment failed for invoice {unpaid['number']}",
    ]
    # A card that the customer adds on Stripe's own pages: payment_method.attached, and what is open is collected.
    at_stripe = await _stripe_customer(processes, customer_id)
    await processes.at_stripe("POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": at_stripe})
    await _invoices(processes, customer_id, "PAID")
    await _status(processes, customer_id, "llm", "ACTIVE")
    methods = (await _customer(processes, customer_id))["paymentMethods"]
    assert {(method["kind"], method["last4"]) for method in methods} == {("us_bank_account", "6789"), ("card", "4242")}


async def test_what_is_paid_and_subscribed_at_stripe_is_known_by_its_webhooks(processes: Processes) -> None:
    customer_id, email = await processes.customer(None, card="pm_card_chargeCustomerFail")
    at_stripe = await _stripe_customer(processes, customer_id)
    await _status(processes, customer_id, "llm", "PAST_DUE")
    [unpaid] = await _invoices(processes, customer_id, "OPEN")
    # Nothing of ours asks again: only invoice.paid can tell that the money came another way.
    [copy] = await processes.list_at_stripe("/v1/invoices", customer=at_stripe)
    await processes.at_stripe("POST", f"/v1/invoices/{copy['id']}/pay", {"paid_out_of_band": "true"})
    await _invoices(processes, customer_id, "PAID")
    await _status(processes, customer_id, "llm", "ACTIVE")
    assert await _subjects(processes, email, 3) == [
        f"Invoice {unpaid['number']} from Tollgate Demo: 79.00 USD",
        f"Payment failed for invoice {unpaid['number']}",
        f"Payment received for invoice {unpaid['number']}",
    ]
    # A subscription that Stripe bills: customer.subscription.created, and .deleted.
    price = {
        "currency": "usd",
        "unit_amount": 2900,
        "recurring[interval]": "month",
        "product_data[name]": "Starter",
        "lookup_key": "edge:starter:month",
    }
    price_id = (await processes.at_stripe("POST", "/v1/prices", price))["id"]
    card = (await processes.at_stripe("POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": at_stripe}))["id"]
    wanted = {"customer": at_stripe, "items[0][price]": price_id, "default_payment_method": card}
    made = await processes.at_stripe("POST", "/v1/subscriptions", wanted)
    mirrored = await _status(processes, customer_id, "edge", "ACTIVE")
    assert (mirrored["source"], mirrored["plan"]["key"]) == ("STRIPE", "starter")
    await processes.at_stripe("DELETE", f"/v1/subscriptions/{made['id']}")
    ended = await _status(processes, customer_id, "edge", "CANCELED")
    assert ended["endedAt"] is not None
    # The invoice that Stripe made for it is none of ours.
    await _invoices(processes, customer_id, "PAID")
