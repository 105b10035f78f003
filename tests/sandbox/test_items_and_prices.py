"""Invoice items, products, prices and tax rates, and the smaller edits of invoices, customers and endpoints."""

from typing import Any

import pytest
import stripe

from tests.sandbox.world import World


async def refused(world: World, path: str, form: str) -> tuple[int, str | None]:
    """Send a form that must be refused; give status and parameter."""
    answer = await world.post(path, form)
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error"].get("param")


async def test_an_item_is_created_on_a_draft_listed_and_deleted(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada)
    items = world.api.v1.invoice_items
    made = await items.create_async({"customer": ada, "invoice": draft, "amount": 700, "description": "Seat"})
    assert (await items.retrieve_async(made.id)).amount == 700
    assert [item.id for item in (await items.list_async({"invoice": draft})).data] == [made.id]
    assert (await world.api.v1.invoices.retrieve_async(draft)).total == 700
    assert (await items.delete_async(made.id)).deleted is True
    assert (await world.api.v1.invoices.retrieve_async(draft)).total == 0
    assert (await world.event_types())[-1] == "invoiceitem.deleted"


async def test_a_pending_item_can_be_put_on_a_draft_and_taken_off_again(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada)
    item = await world.api.v1.invoice_items.create_async({"customer": ada, "amount": 700, "currency": "usd"})
    lines: Any = [{"invoice_item": item.id}]
    filled = await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})
    assert filled.total == 700
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})
    unassign: Any = [{"id": filled.lines.data[0].id, "behavior": "unassign"}]
    assert (await world.api.v1.invoices.remove_lines_async(draft, {"lines": unassign})).total == 0
    assert (await world.api.v1.invoice_items.retrieve_async(item.id)).invoice is None


async def test_a_line_may_be_priced_by_unit(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada)
    data: Any = {"currency": "usd", "unit_amount_decimal": "0.125", "product_data": {"name": "Tokens"}}
    lines: Any = [{"price_data": data, "quantity": 1001}]
    filled = await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})
    # 1,001 x 0.125 is 125.125 minor units: 125. With 1,004 it would be 125.5 and round up to 126.
    assert filled.total == 125
    lines[0]["quantity"] = 1004
    assert (await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})).total == 251


async def test_lines_that_make_no_sense_are_refused(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada)
    path = f"/v1/invoices/{draft}/add_lines"
    tax = "lines[0][tax_amounts][0]"
    rate = f"{tax}[tax_rate_data]"
    too_much = f"&{rate}[display_name]=x&{rate}[inclusive]=false&{rate}[percentage]=101"
    for form, status, param in (
        ("lines[0][description]=x", 400, "lines[0]"),
        ("lines[0][amount]=1&lines[0][pricing][price]=p", 400, "lines[0]"),
        ("lines[0][amount]=1&lines[0][quantity]=2", 400, "lines[0]"),
        ("lines[0][amount]=1&lines[0][period][start]=2&lines[0][period][end]=1", 400, "lines[0][period]"),
        ("lines[0][pricing][price]=price_x", 400, "lines[0][pricing]"),
        ("lines[0][amount]=1&lines[0][tax_rates][0]=txr_1", 501, None),
        (f"lines[0][amount]=1&{tax}[amount]=1&{tax}[taxable_amount]=1{too_much}", 400, f"{rate}[percentage]"),
        (f"lines[0][amount]=1&{tax}[amount]=1", 400, rate),
    ):
        assert await refused(world, path, form) == (status, param)
    assert (await world.api.v1.invoice_items.list_async()).data == []


async def test_taxes_are_joined_by_rate_and_inclusive_ones_do_not_add(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada)
    rate: Any = {"display_name": "VAT", "percentage": 20, "inclusive": True, "country": "GB"}
    # 12.00 and 6.00 including 20 %: 2.00 and 1.00 of tax are inside.
    amounts: Any = [(1200, 200, 1000), (600, 100, 500)]
    lines: Any = [
        {"amount": amount, "tax_amounts": [{"amount": tax, "taxable_amount": net, "tax_rate_data": rate}]}
        for amount, tax, net in amounts
    ]
    filled = await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})
    assert (filled.subtotal, filled.total, filled.total_excluding_tax) == (1800, 1800, 1500)
    joined: Any = filled.total_taxes
    assert [(tax.amount, tax.taxable_amount, tax.tax_behavior) for tax in joined] == [(300, 1500, "inclusive")]
    read = await world.api.v1.tax_rates.retrieve_async(joined[0].tax_rate_details.tax_rate)
    assert (read.display_name, read.percentage, read.active) == ("VAT", 20.0, False)
    assert len((await world.api.v1.tax_rates.list_async({"active": False})).data) == 1


async def test_products_and_prices_are_created_changed_and_listed(world: World) -> None:
    product = await world.api.v1.products.create_async({"id": "starter", "name": "Starter"})
    assert await refused(world, "/v1/products", "id=starter&name=x") == (400, "id")
    changed = await world.api.v1.products.update_async(product.id, {"description": "For one", "metadata": {"a": "1"}})
    assert (changed.name, changed.description) == ("Starter", "For one")
    assert (await world.api.v1.products.retrieve_async("starter")).description == "For one"
    assert [each.id for each in (await world.api.v1.products.list_async({"active": True})).data] == ["starter"]
    params: Any = {"product": "starter", "currency": "usd", "unit_amount": 500, "lookup_key": "s"}
    price = await world.api.v1.prices.create_async(params)
    assert await refused(world, "/v1/prices", "product=starter&currency=usd&unit_amount=5&lookup_key=s") == (
        400,
        "lookup_key",
    )
    for form in (
        "currency=usd&unit_amount=5",
        "product=starter&currency=usd",
        "product=starter&currency=usd&unit_amount=-1",
    ):
        assert (await refused(world, "/v1/prices", form))[0] == 400
    metered = "product=starter&currency=usd&unit_amount=5&recurring[interval]=month&recurring[usage_type]=metered"
    assert (await refused(world, "/v1/prices", metered))[0] == 501
    await world.api.v1.prices.update_async(price.id, {"active": False, "nickname": "old"})
    listed = await world.api.v1.prices.list_async({"lookup_keys": ["s"], "active": False})
    assert [(each.id, each.nickname) for each in listed.data] == [(price.id, "old")]
    assert (await world.api.v1.prices.retrieve_async(price.id)).active is False
    types = await world.event_types()
    assert types == ["product.created", "product.updated", "price.created", "price.updated"]


async def test_a_draft_takes_terms_texts_and_methods(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    draft = await world.draft(ada)
    params: Any = {
        "collection_method": "send_invoice",
        "due_date": 2_000_000_000,
        "footer": "Thank you",
        "default_payment_method": card,
        "payment_settings": {"payment_method_types": ["card"]},
        "number": "N-1",
    }
    changed = await world.api.v1.invoices.update_async(draft, params)
    assert (changed.due_date, changed.footer, changed.default_payment_method) == (2_000_000_000, "Thank you", card)
    unset: Any = {"number": "", "footer": "", "collection_method": "charge_automatically"}
    again = await world.api.v1.invoices.update_async(draft, unset)
    assert (again.number, again.footer) == (None, None)
    path = f"/v1/invoices/{draft}"
    assert await refused(world, path, "due_date=2000000000") == (400, "due_date")
    assert await refused(world, path, "number=" + "9" * 27) == (400, "number")
    for form in ("auto_advance=true", "payment_settings[default_mandate]=m", "discounts[0][coupon]=c"):
        assert (await refused(world, path, form))[0] == 501
    await world.api.v1.payment_methods.detach_async(card)
    assert (await world.api.v1.invoices.retrieve_async(draft)).default_payment_method is None


async def test_an_open_invoice_takes_metadata_only(world: World) -> None:
    invoice = await world.opened(await world.customer(), 1000)
    changed = await world.api.v1.invoices.update_async(invoice, {"metadata": {"a": "1"}})
    assert changed.to_dict()["metadata"] == {"a": "1"}
    assert (await refused(world, f"/v1/invoices/{invoice}", "description=x"))[0] == 400
    assert (await refused(world, f"/v1/invoices/{invoice}/finalize", "auto_advance=true"))[0] == 501


async def test_a_draft_is_finalized_when_it_is_sent(world: World) -> None:
    draft = await world.draft(await world.customer(), 1000)
    sent = await world.api.v1.invoices.send_invoice_async(draft)
    # The first number of a customer ends in 0001.
    assert (sent.status, str(sent.number)[-5:]) == ("open", "-0001")
    await world.api.v1.invoices.void_invoice_async(draft)
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.invoices.send_invoice_async(draft)


async def test_a_customer_takes_every_field(world: World) -> None:
    ada = await world.customer(preferred_locales=["en"], tax_exempt="exempt", balance=5, email="a@example.com")
    settings: Any = {"footer": "Hello", "custom_fields": [{"name": "PO", "value": "7"}], "default_payment_method": ""}
    params: Any = {"balance": 7, "tax_exempt": "", "preferred_locales": ["de"], "invoice_settings": settings}
    changed = await world.api.v1.customers.update_async(ada, params)
    assert (changed.balance, changed.tax_exempt, changed.preferred_locales) == (7, "none", ["de"])
    assert changed.invoice_settings is not None
    assert changed.invoice_settings.footer == "Hello"
    found = await world.api.v1.customers.list_async({"email": "a@example.com"})
    assert [customer.id for customer in found.data] == [ada]
    bob = await world.customer()
    card = await world.method(bob)
    form = f"invoice_settings[default_payment_method]={card}"
    assert await refused(world, f"/v1/customers/{ada}", form) == (400, "invoice_settings[default_payment_method]")
    read = await world.api.v1.customers.payment_methods.retrieve_async(bob, card)
    assert read.id == card
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.customers.payment_methods.retrieve_async(ada, card)
    params = {"customer": bob, "type": "card"}
    assert [method.id for method in (await world.api.v1.payment_methods.list_async(params)).data] == [card]


async def test_an_endpoint_is_changed_and_its_version_is_bounded(world: World) -> None:
    endpoint = await world.listen("customer.created")
    changed = await world.api.v1.webhook_endpoints.update_async(
        endpoint.id,
        {"url": "http://localhost:9/x", "enabled_events": ["*"], "description": "d", "metadata": {"a": "1"}},
    )
    assert (changed.url, changed.enabled_events, changed.description) == ("http://localhost:9/x", ["*"], "d")
    path, target = "/v1/webhook_endpoints", "url=http://127.0.0.1/&enabled_events[0]=*"
    assert await refused(world, path, f"{target}&api_version=2020-08-27") == (400, "api_version")
    assert await refused(world, path, "url=http://[x/&enabled_events[0]=*") == (400, "url")
    for _ in range(15):
        assert (await world.post(path, target)).status_code == 200
    assert (await refused(world, path, target))[0] == 400


async def test_bare_intents_save_their_method_and_can_be_cancelled(world: World) -> None:
    ada = await world.customer()
    params: Any = {"amount": 500, "currency": "usd", "customer": ada, "setup_future_usage": "off_session"}
    intent = await world.api.v1.payment_intents.create_async(params)
    assert (await refused(world, f"/v1/payment_intents/{intent.id}/confirm", ""))[0] == 400
    cancelled = await world.api.v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    assert (await refused(world, f"/v1/payment_intents/{intent.id}/confirm", "payment_method=pm_card_visa"))[0] == 400
    invoice = await world.opened(ada, 1000)
    assert (await refused(world, f"/v1/payment_intents/{(await world.intent_of(invoice)).id}/cancel", ""))[0] == 400
    form = f"amount=500&currency=usd&customer={ada}&payment_method=pm_card_chargeDeclined&confirm=true"
    assert (await refused(world, "/v1/payment_intents", form))[0] == 402
    params |= {"payment_method": "pm_card_visa", "confirm": True}
    saved = await world.api.v1.payment_intents.create_async(params)
    assert (await world.api.v1.payment_methods.retrieve_async(str(saved.payment_method))).customer == ada
    del params["setup_future_usage"]
    spent = await world.api.v1.payment_intents.create_async(params)
    with pytest.raises(stripe.InvalidRequestError):
        await world.method(ada, str(spent.payment_method))


async def test_a_setup_intent_can_be_cancelled_and_listed(world: World) -> None:
    ada = await world.customer()
    setup = await world.api.v1.setup_intents.create_async({"customer": ada})
    assert await refused(world, f"/v1/setup_intents/{setup.id}/confirm", "") == (400, "payment_method")
    assert (await world.api.v1.setup_intents.cancel_async(setup.id)).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.setup_intents.cancel_async(setup.id)
    listed = await world.api.v1.setup_intents.list_async({"customer": ada})
    assert [each.id for each in listed.data] == [setup.id]
    params: Any = {"customer": ada, "payment_method": "pm_card_authenticationRequired", "confirm": True}
    waiting = await world.api.v1.setup_intents.create_async(params)
    await world.control("POST", f"authenticate/{waiting.id}", {"result": "fail"})
    failed = await world.api.v1.setup_intents.retrieve_async(waiting.id)
    assert (failed.status, failed.next_action) == ("requires_payment_method", None)


async def test_the_payments_of_all_invoices_are_listed_by_intent(world: World) -> None:
    ada = await world.customer()
    first, _ = await world.opened(ada, 1000), await world.opened(ada, 2000)
    intent = await world.intent_of(first)
    payment: Any = {"type": "payment_intent", "payment_intent": intent.id}
    listed = await world.api.v1.invoice_payments.list_async({"payment": payment})
    assert [each.invoice for each in listed.data] == [first]
    assert (await world.api.v1.invoice_payments.retrieve_async(listed.data[0].id)).amount_requested == 1000


async def test_refunds_have_bounds_and_metadata(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    await world.pay(invoice, await world.method(ada))
    intent = await world.intent_of(invoice)
    assert await refused(world, "/v1/refunds", f"payment_intent={intent.id}&amount=0") == (400, "amount")
    assert await refused(world, "/v1/refunds", "amount=1") == (400, "payment_intent")
    both = f"payment_intent={intent.id}&charge={intent.latest_charge}"
    assert await refused(world, "/v1/refunds", both) == (400, "payment_intent")
    refund = await world.api.v1.refunds.create_async({"charge": str(intent.latest_charge), "amount": 1})
    changed = await world.api.v1.refunds.update_async(refund.id, {"metadata": {"a": "1"}})
    assert changed.to_dict()["metadata"] == {"a": "1"}
    url = f"{world.server.url}/_sandbox/refunds/{refund.id}"
    for body in (b'{"result":"settle"}', b'{"result":"fail","reason":"whim"}', b"{}"):
        assert (await world.http.post(url, content=body)).status_code == 400
