"""What the adapter believes of Stripe, asked of servers that are not ours as well.

Only what `localstripe` knows is asked here: customers, cards, payment intents, refunds and signed events.
"""

import asyncio
from typing import Any

import httpx
import pytest
import stripe

from domain.adapters import clock, stripe_events, stripe_objects
from domain.adapters.stripe import StripeGateway
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.payments.port import GatewayRefused, PayState
from tests import make
from tests.domain.adapters.targets import Hook, hook, localstripe_gateway, localstripe_url, target, test_mode_gateway
from tests.domain.payments.gateways import API_KEY, SandboxProbe

__all__ = ["hook", "localstripe_gateway", "localstripe_url", "target", "test_mode_gateway"]

NEWS_WITHIN_S = 15
SECRET = "whsec_of_the_tests"


async def _customer(target: StripeGateway) -> str:
    return await target.ensure_customer(CustomerId(make.new_id()), Environment.TEST, key=f"cus:{make.new_id()}")


async def _charge(target: StripeGateway, token: str, amount: int) -> Any:
    """Charge a card of a new customer through a bare payment intent."""
    customer = await _customer(target)
    method = await target.attach_method(customer, token, key=f"attach:{make.new_id()}")
    given: Any = {
        "amount": amount,
        "currency": "usd",
        "customer": customer,
        "payment_method": method.id,
        "confirm": True,
        "off_session": True,
    }
    return await target.api.v1.payment_intents.create_async(given)


async def test_a_card_is_attached_read_and_detached(target: StripeGateway) -> None:
    customer = await _customer(target)
    method = await target.attach_method(customer, "pm_card_visa", key=f"attach:{make.new_id()}")
    assert (method.kind, method.brand, method.last4, method.gateway_customer_id) == ("card", "visa", "4242", customer)
    seen = await target.fetch_method(method.id)
    assert seen is not None
    assert (seen.id, seen.gateway_customer_id) == (method.id, customer)
    await target.desk.detach_method(method.id, key=f"detach:{make.new_id()}")
    gone = await target.fetch_method(method.id)
    assert gone is None or gone.gateway_customer_id is None


async def test_an_unknown_card_is_refused(target: StripeGateway) -> None:
    customer = await _customer(target)
    with pytest.raises(GatewayRefused):
        await target.attach_method(customer, "pm_none", key=f"attach:{make.new_id()}")


async def test_a_card_is_charged_and_refunded_in_part(target: StripeGateway) -> None:
    intent = await _charge(target, "pm_card_visa", 1_000)
    assert (intent.status, intent.amount, intent.currency) == ("succeeded", 1_000, "usd")
    given: Any = {"payment_intent": intent.id, "amount": 400}
    made = stripe_objects.refund((await target.api.v1.refunds.create_async(given)).to_dict())
    assert (made.status, made.currency, made.amount_minor) == ("succeeded", "USD", 400)


async def test_more_than_is_left_is_not_refunded(target: StripeGateway, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["target"] == "localstripe":
        pytest.skip("localstripe 1.15 refunds more than is left of a charge")
    intent = await _charge(target, "pm_card_visa", 1_000)
    part: Any = {"payment_intent": intent.id, "amount": 400}
    await target.api.v1.refunds.create_async(part)
    # 10.00 - 4.00 = 6.00 is left, so 6.01 is too much.
    over: Any = {"payment_intent": intent.id, "amount": 601}
    with pytest.raises(stripe.InvalidRequestError):
        await target.api.v1.refunds.create_async(over)
    kept = await target.api.v1.refunds.list_async({"payment_intent": intent.id})
    assert [refund.amount for refund in kept.data] == [400]


async def test_a_card_that_declines_is_read_as_a_decline(target: StripeGateway) -> None:
    with pytest.raises(stripe.CardError) as refused:
        await _charge(target, "pm_card_chargeCustomerFail", 1_000)
    error = refused.value
    assert error.http_status == 402
    body: Any = error.json_body
    outcome = stripe_objects.refusal(body["error"], None)
    assert outcome.state is PayState.DECLINED
    assert outcome.decline is not None
    assert outcome.decline.code == "card_declined"


async def _watch(request: pytest.FixtureRequest, hook: Hook) -> str:
    """Register the hook with the server under test and give the signing secret."""
    if request.node.callspec.params["target"] == "test mode":
        pytest.skip("Stripe's test mode cannot reach an endpoint on loopback")
    if request.node.callspec.params["target"] == "sandbox":
        probe: SandboxProbe = request.getfixturevalue("sandbox")
        form = {"url": hook.url, "enabled_events[]": "customer.created"}
        return str((await probe.ask("POST", "/v1/webhook_endpoints", data=form))["secret"])
    form = {"url": hook.url, "secret": SECRET, "events[]": "customer.created"}
    url = f"{request.getfixturevalue('localstripe_url')}/_config/webhooks/tests"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {API_KEY}"}, trust_env=False) as http:
        assert (await http.post(url, data=form)).is_success
    return SECRET


async def _news_of(hook: Hook, customer: str) -> tuple[bytes, str]:
    """Wait for the event of one customer; localstripe still tells of those of earlier tests."""
    async with asyncio.timeout(NEWS_WITHIN_S):
        while True:
            body, signature = await hook.got.get()
            if customer.encode() in body:
                return body, signature


async def test_a_signed_event_is_verified_and_a_changed_one_is_not(
    target: StripeGateway, hook: Hook, request: pytest.FixtureRequest
) -> None:
    secret = await _watch(request, hook)
    customer = await _customer(target)
    body, signature = await _news_of(hook, customer)
    now = clock.now()  # The signature carries the server's real time.
    event = stripe_events.verify(body, signature, [secret], now)
    assert (event.type, event.object_kind, event.object_id) == ("customer.created", "customer", customer)
    with pytest.raises(stripe_events.SignatureRejected):
        stripe_events.verify(body.replace(b"customer", b"consumer"), signature, [secret], now)
