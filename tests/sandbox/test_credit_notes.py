"""Credit notes of the sandbox: an open invoice owes less, and nothing more than its rest can be credited."""

import pytest
import stripe

from tests.sandbox.world import World


async def test_what_is_due_becomes_less_and_the_rest_is_charged(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    note = await world.api.v1.credit_notes.create_async(
        {"invoice": invoice, "amount": 400, "metadata": {"credit_note_id": "cn_1"}}
    )
    assert (note.total, note.type, note.status, note.metadata) == (400, "pre_payment", "issued", note.metadata)
    # 10.00 - 4.00 = 6.00 are left, and no cent more can be credited.
    after = await world.api.v1.invoices.retrieve_async(invoice)
    assert (after.total, after.amount_remaining, after.pre_payment_credit_notes_amount) == (1000, 600, 400)
    with pytest.raises(stripe.InvalidRequestError) as over:
        await world.api.v1.credit_notes.create_async({"invoice": invoice, "amount": 601})
    assert over.value.param == "amount"
    await world.pay(invoice, await world.method(ada))
    assert (await world.intent_of(invoice)).amount_received == 600
    listed = await world.api.v1.credit_notes.list_async({"invoice": invoice})
    assert [each.id for each in listed.data] == [note.id]
    assert (await world.api.v1.credit_notes.retrieve_async(note.id)).amount == 400


async def test_an_invoice_that_is_credited_whole_is_paid_without_money(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    await world.api.v1.credit_notes.create_async({"invoice": invoice, "amount": 1000})
    after = await world.api.v1.invoices.retrieve_async(invoice)
    assert (after.status, after.amount_paid, after.amount_remaining) == ("paid", 0, 0)
    assert "charge.succeeded" not in await world.event_types()


async def test_a_draft_is_not_credited(world: World) -> None:
    ada = await world.customer()
    draft = await world.api.v1.invoices.create_async({"customer": ada, "currency": "usd", "auto_advance": False})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await world.api.v1.credit_notes.create_async({"invoice": draft.id, "amount": 1})
    assert refused.value.param == "invoice"
    assert not (await world.api.v1.credit_notes.list_async({"invoice": draft.id})).data
