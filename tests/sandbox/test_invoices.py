"""Invoices from draft to their final states, and what is refused on the way."""

from typing import Any

import pytest
import stripe

from tests.sandbox.world import World

TAX = {
    "display_name": "Sales tax",
    "percentage": 8.25,
    "inclusive": False,
    "country": "US",
    "state": "CA",
    "tax_type": "sales_tax",
}


async def test_an_invoice_goes_from_draft_to_paid_and_every_step_is_told(world: World) -> None:
    await world.listen("invoice.paid", "invoice.payment_succeeded", "payment_method.attached")
    ada = await world.customer(name="Ada", email="ada@example.com")
    card = await world.method(ada)
    draft = await world.api.v1.invoices.create_async(
        {
            "customer": ada,
            "currency": "usd",
            "auto_advance": False,
            "collection_method": "charge_automatically",
            "pending_invoice_items_behavior": "exclude",
            "number": "2026-000001",
            "metadata": {"invoice_id": "inv_1"},
        },
    )
    # 10.00 taxed at 8.25 % is 0.83 (0.825 rounded half up); 5.00 untaxed; 15.83 in all.
    lines: Any = [
        {
            "amount": 1000,
            "description": "Starter",
            "period": {"start": 1_767_225_600, "end": 1_769_904_000},
            "tax_amounts": [{"amount": 83, "taxable_amount": 1000, "tax_rate_data": TAX}],
        },
        {"amount": 500, "description": "Usage"},
    ]
    filled = await world.api.v1.invoices.add_lines_async(draft.id, {"lines": lines})
    assert (filled.subtotal, filled.total, filled.amount_due, filled.status) == (1500, 1583, 1583, "draft")
    assert filled.total_taxes is not None
    assert [(tax.amount, tax.taxable_amount) for tax in filled.total_taxes] == [(83, 1000)]

    opened = await world.api.v1.invoices.finalize_invoice_async(draft.id, {"auto_advance": False})
    assert (opened.status, opened.number, opened.amount_remaining) == ("open", "2026-000001", 1583)

    paid = await world.api.v1.invoices.pay_async(
        draft.id,
        {"payment_method": card, "off_session": True, "expand": ["payments.data.payment.payment_intent"]},
    )
    assert (paid.status, paid.amount_paid, paid.amount_remaining, paid.attempt_count) == ("paid", 1583, 0, 1)
    assert paid.payments is not None
    intent: Any = paid.payments.data[0].payment.payment_intent
    assert (intent.status, intent.amount_received, paid.payments.data[0].status) == ("succeeded", 1583, "paid")

    await world.drained()
    assert world.receiver.types() == ["invoice.paid", "invoice.payment_succeeded", "payment_method.attached"]
    snapshot: Any = next(event for event in world.receiver.events if event.type == "invoice.paid").data.object
    assert (snapshot.id, snapshot.metadata.invoice_id, snapshot.status) == (draft.id, "inv_1", "paid")


async def test_an_open_invoice_has_a_client_secret_to_confirm_with(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    params: Any = {"expand": ["confirmation_secret", "payments"]}
    read = await world.api.v1.invoices.retrieve_async(invoice, params)
    intent = await world.intent_of(invoice)
    assert read.confirmation_secret is not None
    assert read.confirmation_secret.client_secret == intent.client_secret
    assert (intent.status, intent.amount) == ("requires_payment_method", 1000)
    plain = await world.api.v1.invoices.retrieve_async(invoice)
    assert "payments" not in plain


async def test_a_bare_confirmation_of_the_intent_pays_the_invoice(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    invoice = await world.opened(ada, 1000)
    intent = await world.intent_of(invoice)
    await world.api.v1.payment_intents.confirm_async(intent.id, {"payment_method": card})
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "paid"


@pytest.mark.parametrize(
    ("calls", "status", "event"),
    [
        (["void_invoice"], "void", "invoice.voided"),
        (["mark_uncollectible"], "uncollectible", "invoice.marked_uncollectible"),
        (["mark_uncollectible", "void_invoice"], "void", "invoice.voided"),
        (["send_invoice"], "open", "invoice.sent"),
    ],
)
async def test_an_open_invoice_moves_as_the_table_says(world: World, calls: list[str], status: str, event: str) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    for name in calls:
        answer = await getattr(world.api.v1.invoices, f"{name}_async")(invoice)
    assert answer.status == status
    assert (await world.event_types())[-1] == event


@pytest.mark.parametrize("final", ["void", "paid"])
@pytest.mark.parametrize("name", ["void_invoice", "mark_uncollectible", "finalize_invoice", "pay", "delete"])
async def test_paid_and_void_are_final(world: World, final: str, name: str) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    invoice = await world.opened(ada, 1000)
    if final == "paid":
        await world.pay(invoice, card)
    else:
        await world.api.v1.invoices.void_invoice_async(invoice)
    events = await world.event_types()
    with pytest.raises(stripe.InvalidRequestError):
        await getattr(world.api.v1.invoices, f"{name}_async")(invoice)
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == final
    assert await world.event_types() == events


async def test_an_uncollectible_invoice_can_still_be_paid(world: World) -> None:
    ada = await world.customer()
    card = await world.method(ada)
    invoice = await world.opened(ada, 1000)
    await world.api.v1.invoices.mark_uncollectible_async(invoice)
    assert (await world.pay(invoice, card)).status == "paid"


async def test_a_draft_can_be_edited_and_deleted_and_an_open_invoice_cannot(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada, 1000)
    changed = await world.api.v1.invoices.update_async(draft, {"description": "March", "metadata": {"a": "1"}})
    assert (changed.description, dict(changed.to_dict()["metadata"])) == ("March", {"a": "1"})
    assert (await world.api.v1.invoices.delete_async(draft)).deleted is True
    with pytest.raises(stripe.InvalidRequestError) as gone:
        await world.api.v1.invoices.retrieve_async(draft)
    assert gone.value.http_status == 404
    opened = await world.opened(ada, 1000)
    lines: Any = [{"amount": 1}]
    with pytest.raises(stripe.InvalidRequestError) as late:
        await world.api.v1.invoices.add_lines_async(opened, {"lines": lines})
    assert late.value.code == "invoice_not_editable"
    assert (await world.api.v1.invoices.retrieve_async(opened)).total == 1000


async def test_the_251st_line_is_refused_and_none_of_its_request_stays(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada, *[10] * 249)
    lines: Any = [{"amount": 10}, {"amount": 10}]
    with pytest.raises(stripe.InvalidRequestError):
        await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})
    filled = await world.api.v1.invoices.add_lines_async(draft, {"lines": lines[:1]})
    # 250 lines of 0.10 are 25.00; ten of them are embedded, the rest is paged.
    assert (filled.total, len(filled.lines.data), filled.lines.has_more) == (2500, 10, True)
    page = await world.api.v1.invoices.line_items.list_async(draft, {"limit": 100})
    assert len([line async for line in page.auto_paging_iter()]) == 250


async def test_a_total_below_the_minimum_is_paid_at_once_and_owed_on_the_balance(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 30)
    read = await world.api.v1.invoices.retrieve_async(invoice)
    assert (read.status, read.amount_due, read.ending_balance) == ("paid", 0, 30)
    assert (await world.api.v1.customers.retrieve_async(ada)).balance == 30
    assert "invoice.payment_succeeded" not in await world.event_types()


async def test_credit_on_the_balance_is_taken_first_and_a_negative_total_becomes_credit(world: World) -> None:
    ada = await world.customer(balance=-300)
    first = await world.api.v1.invoices.retrieve_async(await world.opened(ada, 1000))
    assert (first.amount_due, first.starting_balance, first.ending_balance) == (700, -300, 0)
    second = await world.api.v1.invoices.retrieve_async(await world.opened(ada, -200))
    assert (second.status, second.amount_due, second.ending_balance) == ("paid", 0, -200)


async def test_amounts_of_nine_digits_are_refused(world: World) -> None:
    ada = await world.customer()
    draft = await world.draft(ada, 99_999_999)
    lines: Any = [{"amount": 1}]
    too_large: Any = [{"amount": 100_000_000}]
    with pytest.raises(stripe.InvalidRequestError) as line:
        await world.api.v1.invoices.add_lines_async(draft, {"lines": too_large})
    assert line.value.code == "amount_too_large"
    await world.api.v1.invoices.add_lines_async(draft, {"lines": lines})
    with pytest.raises(stripe.InvalidRequestError) as total:
        await world.api.v1.invoices.finalize_invoice_async(draft)
    assert total.value.code == "amount_too_large"
    assert (await world.api.v1.invoices.retrieve_async(draft)).status == "draft"


async def test_unknown_currencies_and_used_numbers_are_refused(world: World) -> None:
    ada = await world.customer()
    with pytest.raises(stripe.InvalidRequestError) as currency:
        await world.api.v1.invoices.create_async({"customer": ada, "currency": "xxx"})
    assert currency.value.param == "currency"
    await world.draft(ada, number="A-1")
    with pytest.raises(stripe.InvalidRequestError) as number:
        await world.draft(ada, number="A-1")
    assert number.value.param == "number"


async def test_paying_outside_of_stripe_cancels_the_intent(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000, collection_method="send_invoice", days_until_due=30)
    paid = await world.api.v1.invoices.pay_async(invoice, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_remaining, paid.amount_paid_off_stripe) == ("paid", 0, 1000)
    assert (await world.intent_of(invoice)).status == "canceled"
    types = await world.event_types()
    assert "invoice.paid" in types
    assert "invoice.payment_succeeded" not in types


async def test_a_sent_invoice_is_due_after_its_days(world: World) -> None:
    ada = await world.customer()
    with pytest.raises(stripe.InvalidRequestError):
        await world.draft(ada, collection_method="send_invoice")
    invoice = await world.opened(ada, 1000, collection_method="send_invoice", days_until_due=30)
    read = await world.api.v1.invoices.retrieve_async(invoice)
    # 30 days of 86,400 s after finalization.
    assert read.due_date == (read.status_transitions.finalized_at or 0) + 2_592_000


async def test_pending_items_are_included_only_when_asked_for(world: World) -> None:
    ada = await world.customer()
    product = await world.api.v1.products.create_async({"name": "Seat"})
    price = await world.api.v1.prices.create_async({"product": product.id, "currency": "usd", "unit_amount": 250})
    items = world.api.v1.invoice_items
    await items.create_async({"customer": ada, "currency": "usd", "pricing": {"price": price.id}, "quantity": 3})
    assert (await world.api.v1.invoices.retrieve_async(await world.draft(ada))).total == 0
    taken = await world.draft(ada, pending_invoice_items_behavior="include")
    invoice = await world.api.v1.invoices.retrieve_async(taken)
    # Three seats at 2.50.
    assert (invoice.total, invoice.lines.data[0].quantity) == (750, 3)
    await world.api.v1.invoices.remove_lines_async(
        taken,
        {"lines": [{"id": invoice.lines.data[0].id, "behavior": "delete"}]},
    )
    assert (await world.api.v1.invoices.retrieve_async(taken)).total == 0


async def test_invoices_are_listed_by_customer_status_and_time(world: World) -> None:
    ada, bob = await world.customer(), await world.customer()
    first = await world.opened(ada, 1000)
    second = await world.draft(ada, 1000)
    await world.draft(bob, 1000)
    invoices = world.api.v1.invoices
    assert [each.id for each in (await invoices.list_async({"customer": ada})).data] == [second, first]
    assert [each.id for each in (await invoices.list_async({"status": "open"})).data] == [first]
    created = (await invoices.retrieve_async(first)).created
    assert len((await invoices.list_async({"created": {"gte": created}})).data) == 3
    assert (await invoices.list_async({"created": {"lt": created}})).data == []
