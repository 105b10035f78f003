"""Subscriptions that begin and end in Stripe."""

from typing import Any

import pytest
import stripe

from tests.sandbox.world import World


async def price(world: World, amount: int = 2900) -> str:
    """Create a monthly price and give its id."""
    recurring: Any = {"interval": "month"}
    product: Any = {"name": "Starter"}
    params: Any = {"currency": "usd", "unit_amount": amount, "recurring": recurring, "product_data": product}
    return (await world.api.v1.prices.create_async(params)).id


async def subscriber(world: World, test_id: str = "pm_card_visa") -> str:
    """Create a customer with a default method and give its id."""
    ada = await world.customer()
    card = await world.method(ada, test_id)
    await world.api.v1.customers.update_async(ada, {"invoice_settings": {"default_payment_method": card}})
    return ada


async def test_a_subscription_is_created_updated_and_deleted(world: World) -> None:
    await world.listen(
        "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"
    )
    ada = await subscriber(world)
    items: Any = [{"price": await price(world), "quantity": 2}]
    made = await world.api.v1.subscriptions.create_async({"customer": ada, "items": items, "metadata": {"plan": "s"}})
    assert made.status == "active"
    item = made.to_dict()["items"]["data"][0]
    assert (item["quantity"], item["price"]["unit_amount"]) == (2, 2900)
    # A month has 28 to 31 days of 86,400 s.
    assert 2_419_200 <= item["current_period_end"] - item["current_period_start"] <= 2_678_400

    invoice = await world.api.v1.invoices.retrieve_async(str(made.latest_invoice))
    # Two at 29.00.
    assert (invoice.status, invoice.total, invoice.billing_reason) == ("paid", 5800, "subscription_create")
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == made.id

    ending = await world.api.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
    assert ending.cancel_at_period_end is True
    ended = await world.api.v1.subscriptions.cancel_async(made.id)
    assert (ended.status, ended.ended_at is not None) == ("canceled", True)
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.subscriptions.cancel_async(made.id)
    await world.drained()
    assert world.receiver.types() == [
        "customer.subscription.created",
        "customer.subscription.deleted",
        "customer.subscription.updated",
    ]
    assert (await world.api.v1.subscriptions.list_async({"customer": ada})).data == []
    assert len((await world.api.v1.subscriptions.list_async({"status": "all"})).data) == 1


async def test_a_decline_leaves_it_incomplete_until_the_first_invoice_is_paid(world: World) -> None:
    ada = await subscriber(world, "pm_card_chargeCustomerFail")
    items: Any = [{"price": await price(world)}]
    made = await world.api.v1.subscriptions.create_async({"customer": ada, "items": items})
    assert made.status == "incomplete"
    await world.pay(str(made.latest_invoice), await world.method(ada))
    assert (await world.api.v1.subscriptions.retrieve_async(made.id)).status == "active"
    assert (await world.event_types())[-2:] == ["customer.subscription.updated", "invoice.payment_succeeded"]


async def test_a_decline_refuses_everything_with_error_if_incomplete(world: World) -> None:
    ada = await subscriber(world, "pm_card_chargeCustomerFail")
    params: Any = {"customer": ada, "items": [{"price": await price(world)}], "payment_behavior": "error_if_incomplete"}
    events = await world.event_types()
    with pytest.raises(stripe.CardError):
        await world.api.v1.subscriptions.create_async(params)
    assert (await world.api.v1.subscriptions.list_async({"status": "all"})).data == []
    assert await world.event_types() == events


async def test_a_trial_costs_nothing_yet(world: World) -> None:
    ada = await world.customer()
    params: Any = {"customer": ada, "items": [{"price": await price(world)}], "trial_period_days": 14}
    made = await world.api.v1.subscriptions.create_async(params)
    invoice = await world.api.v1.invoices.retrieve_async(str(made.latest_invoice))
    assert (made.status, invoice.status, invoice.total) == ("trialing", "paid", 0)
    # 14 days of 86,400 s.
    assert (made.trial_end or 0) - made.start_date == 1_209_600


async def test_items_change_without_prorations_only(world: World) -> None:
    ada = await subscriber(world)
    items: Any = [{"price": await price(world)}]
    made = await world.api.v1.subscriptions.create_async({"customer": ada, "items": items})
    old = made.to_dict()["items"]["data"][0]["id"]
    change: Any = {"items": [{"id": old, "quantity": 5}]}
    with pytest.raises(stripe.APIError):
        await world.api.v1.subscriptions.update_async(made.id, change)
    change["proration_behavior"] = "none"
    changed = await world.api.v1.subscriptions.update_async(made.id, change)
    assert [(item["id"], item["quantity"]) for item in changed.to_dict()["items"]["data"]] == [(old, 5)]


async def test_deleting_a_customer_ends_its_subscriptions(world: World) -> None:
    ada = await subscriber(world)
    items: Any = [{"price": await price(world)}]
    made = await world.api.v1.subscriptions.create_async({"customer": ada, "items": items})
    await world.api.v1.customers.delete_async(ada)
    assert (await world.api.v1.subscriptions.retrieve_async(made.id)).status == "canceled"
    assert "customer.subscription.deleted" in await world.event_types()


async def test_what_a_subscription_cannot_be_is_refused(world: World) -> None:
    ada = await world.customer()
    monthly = await price(world)
    one_time: Any = {"currency": "usd", "unit_amount": 5, "product_data": {"name": "Once"}}
    once = (await world.api.v1.prices.create_async(one_time)).id
    yearly: Any = {
        "currency": "usd",
        "unit_amount": 5,
        "recurring": {"interval": "year"},
        "product_data": {"name": "Y"},
    }
    annual = (await world.api.v1.prices.create_async(yearly)).id
    for form, status in (
        (f"customer={ada}", 400),
        (f"customer={ada}&items[0][quantity]=1", 400),
        (f"customer={ada}&items[0][price]={once}", 400),
        (f"customer={ada}&items[0][price]={monthly}&items[1][price]={annual}", 400),
        # No method to charge.
        (f"customer={ada}&items[0][price]={monthly}", 400),
        (f"customer={ada}&items[0][price]={monthly}&collection_method=send_invoice", 400),
        (f"customer={ada}&items[0][price]={monthly}&trial_end=now&trial_period_days=1", 400),
        (f"customer={ada}&items[0][price]={monthly}&cancel_at=min_period_end", 501),
        (f"customer={ada}&items[0][price]={monthly}&payment_behavior=pending_if_incomplete", 501),
    ):
        assert (await world.post("/v1/subscriptions", form)).status_code == status
    assert (await world.api.v1.subscriptions.list_async({"status": "all"})).data == []
    assert (await world.api.v1.invoices.list_async()).data == []


async def test_a_sent_or_deferred_first_invoice_stays_open(world: World) -> None:
    ada = await world.customer()
    items: Any = [{"price": await price(world)}]
    sent: Any = {"customer": ada, "items": items, "collection_method": "send_invoice", "days_until_due": 7}
    active = await world.api.v1.subscriptions.create_async(sent)
    later: Any = {"customer": ada, "items": items, "payment_behavior": "default_incomplete"}
    incomplete = await world.api.v1.subscriptions.create_async(later)
    assert (active.status, incomplete.status) == ("active", "incomplete")
    opened = await world.api.v1.invoices.list_async({"subscription": active.id})
    assert [(invoice.status, invoice.total) for invoice in opened.data] == [("open", 2900)]
    listed = await world.api.v1.subscriptions.list_async({"status": "incomplete"})
    assert [subscription.id for subscription in listed.data] == [incomplete.id]


async def test_items_are_added_and_removed_and_an_end_is_set(world: World) -> None:
    ada = await subscriber(world)
    items: Any = [{"price": await price(world)}]
    made = await world.api.v1.subscriptions.create_async({"customer": ada, "items": items})
    old = made.to_dict()["items"]["data"][0]["id"]
    data: Any = {"currency": "usd", "unit_amount": 100, "recurring": {"interval": "month"}}
    data["product"] = (await world.api.v1.products.create_async({"name": "Extra"})).id
    change: Any = {
        "items": [{"id": old, "deleted": True}, {"price_data": data, "quantity": 3}],
        "proration_behavior": "none",
        "cancel_at": made.start_date + 86_400,
        "description": "changed",
        "default_payment_method": await world.method(ada),
        "cancellation_details": {"comment": "bye"},
    }
    changed = await world.api.v1.subscriptions.update_async(made.id, change)
    assert [item["quantity"] for item in changed.to_dict()["items"]["data"]] == [3]
    assert (changed.cancel_at, changed.description) == (made.start_date + 86_400, "changed")
    for wrong in ([{"id": "si_x"}], [{"id": changed.to_dict()["items"]["data"][0]["id"], "deleted": True}]):
        change = {"items": wrong, "proration_behavior": "none"}
        with pytest.raises(stripe.InvalidRequestError):
            await world.api.v1.subscriptions.update_async(made.id, change)
    with pytest.raises(stripe.APIError):
        await world.api.v1.subscriptions.cancel_async(made.id, {"prorate": True})
    await world.api.v1.subscriptions.cancel_async(made.id)
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.subscriptions.update_async(made.id, {"description": "late"})
