"""The Stripe adapter: against the sandbox, and its translation of what the sandbox does not say."""

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from domain.adapters import clock, stripe_objects
from domain.adapters.stripe import StripeGateway, StripeKeyMalformed
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.period import Period
from domain.payments.port import (
    GatewayEnvironmentDiffers,
    GatewayInvoiceState,
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
    PayState,
    PushedInvoice,
    PushedLine,
)
from tests import make
from tests.domain.payments.gateways import API_KEY, Probe, SandboxProbe

_LINES = (
    PushedLine("A month in advance", 2_900, period=Period(make.at("2026-01-15"), make.at("2026-02-15"))),
    PushedLine("Credit", -400),
)


def _pushed(gateway_customer_id: str, lines: tuple[PushedLine, ...] = _LINES, **changed: Any) -> PushedInvoice:
    values: dict[str, Any] = {
        "customer_id": CustomerId(make.new_id()),
        "invoice_id": InvoiceId(make.new_id()),
        "environment": Environment.TEST,
        "gateway_customer_id": gateway_customer_id,
        "number": "TEST-2026-000001",
        "currency": "USD",
        "total_minor": 2_500,
        "tax_minor": 0,
        "lines": lines,
    }
    return PushedInvoice(**(values | changed))


async def _customer(gateway: PaymentGateway) -> str:
    return await gateway.ensure_customer(CustomerId(make.new_id()), Environment.TEST, key=f"cus:{make.new_id()}")


async def _open(gateway: PaymentGateway, customer: str, lines: tuple[PushedLine, ...] = _LINES) -> str:
    made = await gateway.create_invoice(_pushed(customer, lines), key="create")
    await gateway.add_lines(made, lines, key="lines")
    await gateway.finalise_invoice(made, key="finalise")
    return made


async def test_a_customer_that_is_deleted_pays_with_nothing_and_is_deleted_again(gateway: PaymentGateway) -> None:
    customer, other = await _customer(gateway), await _customer(gateway)
    method = await gateway.attach_method(customer, "pm_card_visa", key="attach")
    kept = await gateway.attach_method(other, "pm_card_visa", key="attach:other")
    await gateway.delete_customer(customer, key="forget")
    gone = await gateway.fetch_method(method.id)
    assert gone is None or gone.gateway_customer_id is None
    # The first reply was lost: the same call, and one after its key was forgotten.
    await gateway.delete_customer(customer, key="forget")
    await gateway.delete_customer(customer, key="forget:later")
    listed = await gateway.listing.list_customers(Period(make.at("2000-01-01"), make.at("2100-01-01")), after=None)
    assert [each.id for each in listed.items if each.id in {customer, other}] == [other]
    left = await gateway.fetch_method(kept.id)
    assert left is not None
    assert left.gateway_customer_id == other


async def test_an_invoice_goes_from_an_empty_draft_to_paid(gateway: PaymentGateway, probe: Probe) -> None:
    customer = await _customer(gateway)
    method = await gateway.attach_method(customer, "pm_card_visa", key="attach")
    pushed = _pushed(customer)
    made = await gateway.create_invoice(pushed, key="create")
    draft = await gateway.fetch_invoice(made)
    assert draft is not None
    assert (draft.state, draft.total_minor, draft.invoice_id) == (GatewayInvoiceState.DRAFT, 0, pushed.invoice_id)
    assert draft.customer_id == pushed.customer_id
    await gateway.add_lines(made, _LINES, key="lines")
    opened = await gateway.finalise_invoice(made, key="finalise")
    # 29.00 - 4.00 = 25.00
    assert (opened.state, opened.currency, opened.total_minor, opened.remaining_minor) == ("open", "USD", 2_500, 2_500)
    assert opened.outcome is None
    paid = await gateway.pay(made, method.id, key="pay:1")
    assert paid.state is PayState.PAID
    seen = await gateway.fetch_invoice(made)
    assert seen is not None
    assert (seen.state, seen.remaining_minor) == ("paid", 0)
    assert seen.outcome is not None
    assert seen.outcome.state is PayState.PAID
    assert await probe.charges() == [2_500]


async def test_every_write_acts_once_for_its_key(gateway: PaymentGateway, probe: Probe) -> None:
    customer_id = CustomerId(make.new_id())
    first, again = [await gateway.ensure_customer(customer_id, Environment.TEST, key="cus") for _ in range(2)]
    assert first == again
    methods = [await gateway.attach_method(first, "pm_card_visa", key="attach") for _ in range(2)]
    assert methods[0] == methods[1]
    pushed = _pushed(first)
    made, repeated = [await gateway.create_invoice(pushed, key="create") for _ in range(2)]
    assert made == repeated
    for _ in range(2):
        await gateway.add_lines(made, _LINES, key="lines")
    assert [(await gateway.finalise_invoice(made, key="finalise")).total_minor for _ in range(2)] == [2_500, 2_500]
    outcomes = [await gateway.pay(made, methods[0].id, key="pay") for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    assert await probe.charges() == [2_500]


async def test_a_key_is_refused_with_another_input(gateway: PaymentGateway, probe: Probe) -> None:
    customer = await _customer(gateway)
    made = await gateway.create_invoice(_pushed(customer), key="create")
    await gateway.add_lines(made, _LINES, key="lines")
    with pytest.raises(GatewayRefused):
        await gateway.add_lines(made, (PushedLine("Another", 1),), key="lines")
    seen = await gateway.fetch_invoice(made)
    assert seen is not None
    assert seen.total_minor == 2_500
    assert await probe.invoices() == ["draft"]


@pytest.mark.parametrize(
    ("token", "state", "code"),
    [
        ("pm_card_chargeDeclinedInsufficientFunds", "declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedLostCard", "declined", "lost_card"),
        ("pm_card_authenticationRequired", "action_required", "authentication_required"),
        ("pm_usBankAccount_success", "processing", None),
    ],
)
async def test_a_charge_that_does_not_succeed_is_an_outcome_and_is_replayed(
    gateway: PaymentGateway, probe: Probe, token: str, state: str, code: str | None
) -> None:
    customer = await _customer(gateway)
    method = await gateway.attach_method(customer, token, key="attach")
    made = await _open(gateway, customer)
    outcome = await gateway.pay(made, method.id, key="pay")
    assert outcome.state == state
    assert (outcome.decline.decline_code if outcome.decline else None) == code
    assert (await gateway.pay(made, method.id, key="pay")).state == state
    assert await probe.invoices() == ["open"]
    assert await probe.charges() == []


async def test_what_is_paid_is_not_paid_again(gateway: PaymentGateway, probe: Probe) -> None:
    customer = await _customer(gateway)
    method = await gateway.attach_method(customer, "pm_card_visa", key="attach")
    made = await _open(gateway, customer)
    await gateway.pay(made, method.id, key="pay:1")
    with pytest.raises(GatewayRefused):
        await gateway.pay(made, method.id, key="pay:2")
    assert await probe.charges() == [2_500]


async def test_a_draft_can_be_found_by_our_id_and_deleted_twice(gateway: PaymentGateway, probe: Probe) -> None:
    customer = await _customer(gateway)
    pushed = _pushed(customer)
    made = await gateway.create_invoice(pushed, key="create")
    found = await gateway.find_draft(customer, pushed.invoice_id)
    assert found is not None
    assert found.id == made
    assert await gateway.find_draft(customer, InvoiceId(make.new_id())) is None
    await gateway.delete_draft(made)
    await gateway.delete_draft(made)
    assert await gateway.fetch_invoice(made) is None
    assert await gateway.find_draft(customer, pushed.invoice_id) is None
    # The number is free again.
    await gateway.create_invoice(pushed, key="create:2")
    assert "draft" in await probe.invoices()


async def test_an_opened_invoice_is_not_deleted(gateway: PaymentGateway, probe: Probe) -> None:
    customer = await _customer(gateway)
    made = await _open(gateway, customer)
    with pytest.raises(GatewayRefused):
        await gateway.delete_draft(made)
    assert await probe.invoices() == ["open"]


async def test_what_does_not_exist_is_none(gateway: PaymentGateway) -> None:
    assert await gateway.fetch_invoice("in_missing") is None
    assert await gateway.fetch_method("pm_missing") is None
    assert await gateway.fetch_subscription("sub_missing") is None


async def test_a_customer_of_the_other_environment_is_refused(gateway: PaymentGateway, probe: Probe) -> None:
    with pytest.raises(GatewayEnvironmentDiffers):
        await gateway.ensure_customer(CustomerId(make.new_id()), Environment.LIVE, key="cus")
    with pytest.raises(GatewayEnvironmentDiffers):
        await gateway.create_invoice(_pushed("cus_1", environment=Environment.LIVE), key="create")
    assert await probe.invoices() == []


@pytest.mark.parametrize(
    ("key", "environment"), [("sk_test_1", "test"), ("rk_test_1", "test"), ("sk_live_1", "live"), ("rk_live_1", "live")]
)
def test_a_key_tells_its_environment(key: str, environment: str) -> None:
    assert StripeGateway(key).environment == environment


@pytest.mark.parametrize("key", ["", "pk_test_1", "sk_", "whsec_1"])
def test_what_is_no_secret_key_is_refused(key: str) -> None:
    with pytest.raises(StripeKeyMalformed):
        StripeGateway(key)


async def test_tax_is_sent_to_the_cent(stripe_gateway: StripeGateway) -> None:
    customer = await _customer(stripe_gateway)
    # 19 % of 29.00 is 5.51.
    made = await _open(stripe_gateway, customer, (PushedLine("A month", 2_900, 551), PushedLine("Untaxed", 100)))
    seen = await stripe_gateway.fetch_invoice(made)
    assert seen is not None
    assert (seen.total_minor, seen.tax_minor) == (3_551, 551)


async def test_nothing_personal_is_sent(stripe_gateway: StripeGateway, sandbox: SandboxProbe) -> None:
    customer = await _customer(stripe_gateway)
    kept = await sandbox.ask("GET", f"/v1/customers/{customer}")
    assert kept["email"] is None
    assert kept["name"] is None
    assert set(kept["metadata"]) == {"customer_id", "environment"}
    made = await _open(stripe_gateway, customer)
    invoice = await sandbox.ask("GET", f"/v1/invoices/{made}")
    assert (invoice["auto_advance"], invoice["number"]) == (False, "TEST-2026-000001")


@pytest.mark.parametrize("status", [500, 429, 409, 401])
async def test_an_answer_that_says_nothing_is_unavailable(
    stripe_gateway: StripeGateway, sandbox: SandboxProbe, status: int
) -> None:
    fault = {"kind": "error", "operation": "POST /v1/customers", "status": status, "times": 9}
    await sandbox.ask("POST", "/_sandbox/faults", content=json.dumps(fault))
    with pytest.raises(GatewayUnavailable) as refused:
        await _customer(stripe_gateway)
    assert API_KEY not in str(refused.value)


async def test_an_unreachable_gateway_is_unavailable() -> None:
    gateway = StripeGateway(API_KEY, "http://127.0.0.1:9")
    with pytest.raises(GatewayUnavailable):
        await gateway.pending_deliveries()
    with pytest.raises(GatewayUnavailable):
        await gateway.fetch_method("pm_1")
    await gateway.close()


async def test_events_are_listed_by_type(stripe_gateway: StripeGateway) -> None:
    customer = await _customer(stripe_gateway)
    made = await _open(stripe_gateway, customer)
    now = clock.now()  # The sandbox lives in real time.
    around = Period(now - timedelta(hours=1), now + timedelta(hours=1))
    types = ["invoice.finalized", "customer.created"]
    events = await stripe_gateway.listing.list_events(around, types, after=None)
    assert {(event.type, event.object_id) for event in events.items} == {
        ("invoice.finalized", made),
        ("customer.created", customer),
    }
    assert all(json.loads(event.payload)["id"] == event.id for event in events.items)
    assert events.last_id is None
    last = await stripe_gateway.listing.list_events(around, types, after=events.items[0].id)
    assert [event.id for event in last.items] == [events.items[1].id]
    before = Period(now - timedelta(hours=2), now - timedelta(hours=1))
    assert (await stripe_gateway.listing.list_events(before, types, after=None)).items == []


async def test_pending_deliveries_are_the_sandboxs(stripe_gateway: StripeGateway) -> None:
    assert await stripe_gateway.pending_deliveries() == 0
    assert await StripeGateway("sk_test_1").pending_deliveries() is None


async def test_a_subscription_made_in_stripe_is_read(stripe_gateway: StripeGateway, sandbox: SandboxProbe) -> None:
    customer = await _customer(stripe_gateway)
    method = await stripe_gateway.attach_method(customer, "pm_card_visa", key="attach")
    product = await sandbox.ask("POST", "/v1/products", data={"name": "Edge"})
    price = {
        "product": product["id"],
        "currency": "usd",
        "unit_amount": "2900",
        "recurring[interval]": "month",
        "lookup_key": "edge:starter:month",
    }
    made = await sandbox.ask("POST", "/v1/prices", data=price)
    given = {"customer": customer, "items[0][price]": made["id"], "default_payment_method": method.id}
    subscription = await sandbox.ask("POST", "/v1/subscriptions", data=given)
    seen = await stripe_gateway.fetch_subscription(subscription["id"])
    assert seen is not None
    assert (seen.status, seen.plan, seen.currency) == ("active", "edge:starter:month", "USD")
    assert seen.gateway_customer_id == customer
    assert seen.period is not None
    assert seen.period.start == seen.started_at
    foreign = await stripe_gateway.fetch_invoice(subscription["latest_invoice"])
    assert foreign is not None
    assert (foreign.invoice_id, foreign.gateway_subscription_id) == (None, subscription["id"])


def test_importing_the_adapter_does_not_import_stripe() -> None:
    code = "import sys, domain.adapters.stripe, domain.adapters.stripe_events; sys.exit('stripe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 -- our own interpreter


def _invoice(status: str, intent: dict[str, Any] | None) -> dict[str, Any]:
    payments = [{"is_default": True, "payment": {"type": "payment_intent", "payment_intent": intent}}] if intent else []
    return {"status": status, "payments": {"data": payments}}


@pytest.mark.parametrize(
    ("intent", "state"),
    [
        (None, None),
        ({"status": "requires_payment_method", "last_payment_error": None}, None),
        ({"status": "requires_payment_method", "last_payment_error": {"code": "card_declined"}}, "declined"),
        (
            {"status": "requires_payment_method", "last_payment_error": {"code": "authentication_required"}},
            "action_required",
        ),
        ({"status": "requires_action"}, "action_required"),
        ({"status": "processing"}, "processing"),
        ({"status": "succeeded"}, "processing"),
        ({"status": "canceled"}, None),
    ],
)
def test_an_open_invoice_shows_what_its_payment_came_to(intent: dict[str, Any] | None, state: str | None) -> None:
    outcome = stripe_objects.outcome_of(_invoice("open", intent and {"id": "pi_1"} | intent))
    assert (outcome.state if outcome else None) == state


def test_a_subscription_of_several_prices_names_no_plan() -> None:
    price = {"lookup_key": "edge:starter:month"}
    found = {
        "id": "sub_1",
        "status": "trialing",
        "customer": {"id": "cus_1"},
        "currency": "usd",
        "start_date": 0,
        "billing_cycle_anchor": 0,
        "items": {"data": [{"price": price}, {"price": price}]},
        "metadata": {},
    }
    assert stripe_objects.subscription(found).plan is None
    assert stripe_objects.subscription(found).period is None
    assert stripe_objects.subscription(found | {"metadata": {"plan": "edge:pro:year"}}).plan == "edge:pro:year"
