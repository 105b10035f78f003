"""Payments that are refused, that ask for the customer, or that settle days later."""

from typing import Any

import pytest
import stripe

from tests.sandbox.world import World

PREFIX = "pm_card_chargeDeclined"


@pytest.mark.parametrize(
    ("test_id", "code", "decline_code", "advice_code"),
    [
        (PREFIX, "card_declined", "generic_decline", "try_again_later"),
        (f"{PREFIX}InsufficientFunds", "card_declined", "insufficient_funds", "try_again_later"),
        (f"{PREFIX}LostCard", "card_declined", "lost_card", "do_not_try_again"),
        (f"{PREFIX}StolenCard", "card_declined", "stolen_card", "do_not_try_again"),
        (f"{PREFIX}ExpiredCard", "expired_card", "expired_card", "confirm_card_data"),
        (f"{PREFIX}IncorrectCvc", "incorrect_cvc", "incorrect_cvc", "confirm_card_data"),
        (f"{PREFIX}ProcessingError", "processing_error", "processing_error", "try_again_later"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline", "try_again_later"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required", None),
    ],
)
async def test_a_decline_leaves_the_invoice_open_and_says_why(
    world: World,
    test_id: str,
    code: str,
    decline_code: str,
    advice_code: str | None,
) -> None:
    ada = await world.customer()
    card = await world.method(ada, test_id)
    invoice = await world.opened(ada, 1000)
    with pytest.raises(stripe.CardError) as refused:
        await world.pay(invoice, card)
    assert refused.value.http_status == 402
    error: Any = refused.value.error
    assert (refused.value.code, error.decline_code, getattr(error, "advice_code", None)) == (
        code,
        decline_code,
        advice_code,
    )
    intent = await world.intent_of(invoice)
    assert (intent.id, intent.status, intent.payment_method) == (
        error.payment_intent.id,
        "requires_payment_method",
        None,
    )
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == decline_code
    read = await world.api.v1.invoices.retrieve_async(invoice)
    assert (read.status, read.amount_remaining, read.attempt_count, read.next_payment_attempt) == (
        "open",
        1000,
        1,
        None,
    )
    types = await world.event_types()
    assert types.count("invoice.payment_failed") == 1
    assert ("invoice.payment_action_required" in types) == (code == "authentication_required")
    assert "invoice.paid" not in types


async def test_another_card_pays_after_a_decline_and_later_attempts_do_not_count(world: World) -> None:
    ada = await world.customer()
    bad, good = await world.method(ada, PREFIX), await world.method(ada)
    invoice = await world.opened(ada, 1000)
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await world.pay(invoice, bad)
    paid = await world.pay(invoice, good)
    assert (paid.status, paid.attempt_count) == ("paid", 1)
    charges = await world.api.v1.charges.list_async({"payment_intent": (await world.intent_of(invoice)).id})
    assert [charge.status for charge in charges.data] == ["succeeded", "failed", "failed"]


async def test_a_saved_card_can_be_told_to_decline_and_to_recover(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    await world.control("POST", f"payment_methods/{card}", {"behaviour": "do_not_honor"})
    invoice = await world.opened(ada, 1000)
    with pytest.raises(stripe.CardError):
        await world.pay(invoice, card)
    await world.control("POST", f"payment_methods/{card}", {"behaviour": "succeeds"})
    assert (await world.pay(invoice, card)).status == "paid"
    url = f"{world.server.url}/_sandbox/payment_methods/{card}"
    assert (await world.http.post(url, content=b'{"behaviour": "account_closed"}')).status_code == 400


@pytest.mark.parametrize(("result", "status"), [("succeed", "paid"), ("fail", "open")])
async def test_on_session_authentication_waits_for_the_customer(world: World, result: str, status: str) -> None:
    ada = await world.customer()
    card = await world.method(ada, "pm_card_authenticationRequired")
    invoice = await world.opened(ada, 1000)
    with pytest.raises(stripe.CardError) as asked:
        await world.api.v1.invoices.pay_async(invoice, {"payment_method": card, "off_session": False})
    assert asked.value.code == "invoice_payment_intent_requires_action"
    intent = await world.intent_of(invoice)
    assert intent.status == "requires_action"
    await world.control("POST", f"authenticate/{intent.id}", {"result": result})
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == status


async def test_a_bank_debit_is_processing_until_it_settles(world: World) -> None:
    ada = await world.customer()
    account = await world.method(ada, "pm_usBankAccount_success")
    invoice = await world.opened(ada, 1000)
    sent = await world.pay(invoice, account)
    intent = await world.intent_of(invoice)
    assert (sent.status, sent.attempted, intent.status) == ("open", True, "processing")
    with pytest.raises(stripe.InvalidRequestError):
        await world.pay(invoice, account)
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.invoices.void_invoice_async(invoice)
    await world.control("POST", f"ach/{intent.id}", {"result": "settle"})
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "paid"
    types = await world.event_types()
    assert [types.count(name) for name in ("charge.pending", "charge.succeeded", "invoice.paid")] == [1, 1, 1]
    assert "invoice.payment_succeeded" in types


@pytest.mark.parametrize(
    ("test_id", "code"),
    [
        ("pm_usBankAccount_accountClosed", "account_closed"),
        ("pm_usBankAccount_noAccount", "no_account"),
        ("pm_usBankAccount_insufficientFunds", "insufficient_funds"),
        ("pm_usBankAccount_debitNotAuthorized", "debit_not_authorized"),
    ],
)
async def test_a_bank_debit_fails_when_it_settles_by_itself(world: World, test_id: str, code: str) -> None:
    await world.control("POST", "ach", {"settle_after_s": 0})
    ada = await world.customer()
    account = await world.method(ada, test_id)
    invoice = await world.opened(ada, 1000)
    assert (await world.pay(invoice, account)).status == "open"

    async def failed() -> bool:
        return (await world.intent_of(invoice)).status == "requires_payment_method"

    await world.until(failed)
    intent = await world.intent_of(invoice)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == code
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "open"
    assert (await world.event_types()).count("invoice.payment_failed") == 1


async def test_a_debit_that_hangs_is_failed_only_when_told(world: World) -> None:
    await world.control("POST", "ach", {"settle_after_s": 0})
    ada = await world.customer()
    account = await world.method(ada, "pm_usBankAccount_processing")
    invoice = await world.opened(ada, 1000)
    await world.pay(invoice, account)
    await world.customer()
    intent = await world.intent_of(invoice)
    assert intent.status == "processing"
    await world.control("POST", f"ach/{intent.id}", {"result": "fail"})
    assert (await world.intent_of(invoice)).status == "requires_payment_method"


async def test_a_bank_account_takes_dollars_only(world: World) -> None:
    ada = await world.customer()
    account = await world.method(ada, "pm_usBankAccount_success")
    invoice = await world.opened(ada, 1000, currency="eur")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.pay(invoice, account)
    assert refused.value.code == "payment_method_currency_mismatch"
    assert (await world.intent_of(invoice)).latest_charge is None


async def test_a_bare_intent_below_the_minimum_is_refused(world: World) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.api.v1.payment_intents.create_async({"amount": 49, "currency": "usd"})
    assert refused.value.code == "amount_too_small"
    ada = await world.customer()
    card = await world.method(ada)
    params: Any = {"amount": 50, "currency": "usd", "customer": ada, "payment_method": card, "confirm": True}
    assert (await world.api.v1.payment_intents.create_async(params)).status == "succeeded"
    listed = await world.api.v1.payment_intents.list_async({"customer": ada})
    assert [(intent.amount, intent.status) for intent in listed.data] == [(50, "succeeded")]
