"""Customers, their payment methods and setup intents."""

from typing import Any

import pytest
import stripe

from tests.sandbox.world import World

MANDATE: Any = {"customer_acceptance": {"type": "online", "online": {"ip_address": "127.0.0.1", "user_agent": "test"}}}


async def test_attaching_a_test_id_makes_a_new_method_each_time(world: World) -> None:
    ada = await world.customer()
    first, second = await world.method(ada), await world.method(ada)
    assert first != second
    assert first.startswith("pm_")
    card = (await world.api.v1.payment_methods.retrieve_async(first)).card
    assert card is not None
    assert (card.brand, card.last4, card.funding) == ("visa", "4242", "credit")
    listed = await world.api.v1.customers.payment_methods.list_async(ada)
    assert [method.id for method in listed.data] == [second, first]
    assert (await world.event_types()).count("payment_method.attached") == 2


async def test_attaching_again_changes_nothing_and_elsewhere_is_refused(world: World) -> None:
    ada, bob = await world.customer(), await world.customer()
    card = await world.method(ada)
    events = await world.event_types()
    assert await world.method(ada, card) == card
    with pytest.raises(stripe.InvalidRequestError):
        await world.method(bob, card)
    assert await world.event_types() == events


async def test_a_foreign_method_cannot_pay(world: World) -> None:
    ada, bob = await world.customer(), await world.customer()
    card = await world.method(bob)
    invoice = await world.opened(ada, 1000)
    with pytest.raises(stripe.InvalidRequestError):
        await world.pay(invoice, card)
    assert (await world.api.v1.invoices.retrieve_async(invoice)).attempted is False


async def test_a_detached_method_never_comes_back(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    settings: Any = {"invoice_settings": {"default_payment_method": card}}
    await world.api.v1.customers.update_async(ada, settings)
    invoice = await world.opened(ada, 1000)
    detached = await world.api.v1.payment_methods.detach_async(card)
    assert detached.customer is None
    customer = await world.api.v1.customers.retrieve_async(ada)
    assert customer.invoice_settings is not None
    assert customer.invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError):
        await world.method(ada, card)
    with pytest.raises(stripe.InvalidRequestError):
        await world.pay(invoice, card)
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.customers.update_async(ada, settings)
    assert "charge.failed" not in await world.event_types()


async def test_the_default_method_pays_when_none_is_named(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    invoice = await world.opened(ada, 1000)
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.invoices.pay_async(invoice)
    await world.api.v1.customers.update_async(ada, {"invoice_settings": {"default_payment_method": card}})
    assert (await world.api.v1.invoices.pay_async(invoice)).status == "paid"


async def test_a_setup_intent_attaches_the_method_it_succeeds_with(world: World) -> None:
    ada = await world.customer()
    setup = await world.api.v1.setup_intents.create_async({"customer": ada, "usage": "off_session"})
    assert (setup.status, setup.usage) == ("requires_payment_method", "off_session")
    done = await world.api.v1.setup_intents.confirm_async(setup.id, {"payment_method": "pm_card_mastercard"})
    assert done.status == "succeeded"
    method = await world.api.v1.payment_methods.retrieve_async(str(done.payment_method))
    assert method.customer == ada
    assert (await world.event_types())[-2:] == ["payment_method.attached", "setup_intent.succeeded"]
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.setup_intents.confirm_async(setup.id, {"payment_method": "pm_card_visa"})


async def test_a_setup_intent_refuses_a_card_that_declines(world: World) -> None:
    ada = await world.customer()
    params: Any = {"customer": ada, "payment_method": "pm_card_chargeDeclinedLostCard", "confirm": True}
    with pytest.raises(stripe.CardError) as refused:
        await world.api.v1.setup_intents.create_async(params)
    error: Any = refused.value.error
    assert (error.decline_code, error.setup_intent.status) == ("lost_card", "requires_payment_method")
    assert (await world.event_types())[-1] == "setup_intent.setup_failed"
    assert (await world.api.v1.customers.payment_methods.list_async(ada)).data == []


async def test_a_setup_intent_may_wait_for_authentication(world: World) -> None:
    ada = await world.customer()
    params: Any = {"customer": ada, "payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True}
    setup = await world.api.v1.setup_intents.create_async(params)
    assert setup.status == "requires_action"
    await world.control("POST", f"authenticate/{setup.id}", {"result": "succeed"})
    done = await world.api.v1.setup_intents.retrieve_async(setup.id)
    assert done.status == "succeeded"
    # Once set up, this card pays off session without asking again.
    invoice = await world.opened(ada, 1000)
    assert (await world.pay(invoice, str(done.payment_method))).status == "paid"


async def test_a_bank_account_needs_a_mandate(world: World) -> None:
    ada = await world.customer()
    params: Any = {"customer": ada, "payment_method": "pm_usBankAccount_success", "confirm": True}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.api.v1.setup_intents.create_async(params)
    assert refused.value.param == "mandate_data"
    params["mandate_data"] = MANDATE
    setup = await world.api.v1.setup_intents.create_async(params)
    mandate = await world.api.v1.mandates.retrieve_async(str(setup.mandate))
    assert (setup.status, mandate.status, mandate.payment_method) == ("succeeded", "active", setup.payment_method)


async def test_a_method_is_made_from_a_test_number_and_updated(world: World) -> None:
    ada = await world.customer()
    params: Any = {"type": "card", "card": {"number": "5555555555554444"}, "billing_details": {"name": "Ada"}}
    made = await world.api.v1.payment_methods.create_async(params)
    assert (made.card.brand if made.card else None, made.billing_details.name) == ("mastercard", "Ada")
    await world.method(ada, made.id)
    changed = await world.api.v1.payment_methods.update_async(made.id, {"card": {"exp_month": 1, "exp_year": 2040}})
    assert changed.card is not None
    assert (changed.card.exp_month, changed.card.exp_year) == (1, 2040)
    assert (await world.event_types())[-1] == "payment_method.updated"
    unknown: Any = {"type": "card", "card": {"number": "4000000000000001"}}
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.payment_methods.create_async(unknown)
    bank = await world.method(ada, "pm_usBankAccount_success")
    with pytest.raises(stripe.InvalidRequestError, match="no card to update"):
        await world.api.v1.payment_methods.update_async(bank, {"card": {"exp_year": 2040}})


async def test_a_customer_is_updated_unset_and_deleted(world: World) -> None:
    ada = await world.customer(name="Ada", email="ada@example.com", metadata={"a": "1", "b": "2"})
    await world.method(ada)
    params: Any = {"name": "", "metadata": {"a": ""}, "address": {"country": "US"}}
    changed = await world.api.v1.customers.update_async(ada, params)
    assert (changed.name, changed.email) == (None, "ada@example.com")
    assert changed.to_dict()["metadata"] == {"b": "2"}
    update = (await world.api.v1.events.list_async({"type": "customer.updated"})).data[0]
    # Only what changed: the name, the metadata key that went, the address that came.
    assert update.data.to_dict()["previous_attributes"] == {"name": "Ada", "metadata": {"a": "1"}, "address": None}
    assert (await world.api.v1.customers.delete_async(ada)).deleted is True
    assert (await world.api.v1.customers.retrieve_async(ada)).deleted is True
    assert (await world.api.v1.customers.list_async()).data == []
    assert (await world.event_types())[-2:] == ["payment_method.detached", "customer.deleted"]
    with pytest.raises(stripe.InvalidRequestError):
        await world.draft(ada, 1000)


async def test_metadata_has_bounds(world: World) -> None:
    for metadata in ({"k" * 41: "v"}, {"k": "v" * 501}, {f"k{place}": "v" for place in range(51)}):
        with pytest.raises(stripe.InvalidRequestError):
            await world.customer(metadata=metadata)
    assert (await world.api.v1.customers.list_async()).data == []


async def test_a_bank_account_is_attached_once_its_micro_deposits_are_told(world: World) -> None:
    ada = await world.customer()
    options: Any = {"us_bank_account": {"verification_method": "microdeposits"}}
    setup = await world.api.v1.setup_intents.create_async(
        {
            "customer": ada,
            "automatic_payment_methods": {"enabled": True},
            "excluded_payment_method_types": ["card"],
            "payment_method_options": options,
        }
    )
    assert setup.payment_method_types == ["us_bank_account"]
    # Options may say something else than how an account is verified.
    plain = await world.post(
        "/v1/setup_intents", "payment_method_options[us_bank_account][mandate_options][collection_method]=paper"
    )
    assert (plain.status_code, plain.json()["payment_method_options"]) == (200, {})
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.setup_intents.confirm_async(setup.id, {"payment_method": "pm_card_visa"})
    waits = await world.api.v1.setup_intents.confirm_async(
        setup.id, {"payment_method": "pm_usBankAccount_success", "mandate_data": MANDATE}
    )
    assert waits.next_action is not None
    assert (waits.status, waits.next_action.type) == ("requires_action", "verify_with_microdeposits")
    assert (await world.event_types()).count("payment_method.attached") == 0
    for wrong, code in (([10, 11], "amounts_mismatch"), ([32], "amounts_invalid")):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await world.api.v1.setup_intents.verify_microdeposits_async(setup.id, {"amounts": wrong})
        assert refused.value.code == f"payment_method_microdeposit_verification_{code}"
    done = await world.api.v1.setup_intents.verify_microdeposits_async(setup.id, {"descriptor_code": "SM11AA"})
    assert done.status == "succeeded"
    assert (await world.event_types()).count("payment_method.attached") == 1
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.setup_intents.verify_microdeposits_async(setup.id, {"amounts": [32, 45]})
