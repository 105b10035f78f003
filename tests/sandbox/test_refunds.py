"""Refunds of cards and bank debits."""

from typing import Any

import pytest
import stripe

from tests.sandbox.world import World


async def paid(world: World, test_id: str = "pm_card_visa") -> str:
    """Pay an invoice of 10.00 and give its payment intent."""
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    await world.pay(invoice, await world.method(ada, test_id))
    return (await world.intent_of(invoice)).id


async def test_parts_are_refunded_until_nothing_is_left(world: World) -> None:
    intent = await paid(world)
    first = await world.api.v1.refunds.create_async({"payment_intent": intent, "amount": 400})
    assert (first.status, first.amount) == ("succeeded", 400)
    with pytest.raises(stripe.InvalidRequestError) as over:
        # 600 are left of 1000.
        await world.api.v1.refunds.create_async({"payment_intent": intent, "amount": 601})
    assert over.value.param == "amount"
    rest = await world.api.v1.refunds.create_async({"payment_intent": intent, "reason": "requested_by_customer"})
    assert rest.amount == 600
    with pytest.raises(stripe.InvalidRequestError) as again:
        await world.api.v1.refunds.create_async({"payment_intent": intent})
    assert again.value.code == "charge_already_refunded"
    params: Any = {"expand": ["refunds"]}
    charge = await world.api.v1.charges.retrieve_async(str(first.charge), params)
    assert (charge.amount_refunded, charge.refunded) == (1000, True)
    assert charge.refunds is not None
    assert [refund.id for refund in charge.refunds.data] == [rest.id, first.id]
    listed = await world.api.v1.refunds.list_async({"payment_intent": intent})
    assert [refund.id for refund in listed.data] == [rest.id, first.id]
    assert (await world.event_types()).count("charge.refunded") == 2


async def test_a_refund_that_fails_later_can_be_made_again(world: World) -> None:
    intent = await paid(world, "pm_card_refundFail")
    refund = await world.api.v1.refunds.create_async({"payment_intent": intent})
    assert refund.status == "succeeded"
    await world.control("POST", f"refunds/{refund.id}", {"result": "fail", "reason": "lost_or_stolen_card"})
    failed = await world.api.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "lost_or_stolen_card")
    charge = await world.api.v1.charges.retrieve_async(str(refund.charge))
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert "refund.failed" in await world.event_types()
    assert (await world.api.v1.refunds.create_async({"payment_intent": intent})).status == "succeeded"


async def test_the_refund_of_a_bank_debit_is_pending_and_succeeds_without_an_event(world: World) -> None:
    ada = await world.customer()
    invoice = await world.opened(ada, 1000)
    await world.pay(invoice, await world.method(ada, "pm_usBankAccount_success"))
    intent = (await world.intent_of(invoice)).id
    with pytest.raises(stripe.InvalidRequestError) as early:
        await world.api.v1.refunds.create_async({"payment_intent": intent})
    assert early.value.code == "charge_not_refundable"
    await world.control("POST", f"ach/{intent}", {"result": "settle"})
    refund = await world.api.v1.refunds.create_async({"payment_intent": intent})
    assert refund.status == "pending"
    events = await world.event_types()
    await world.control("POST", f"refunds/{refund.id}", {"result": "settle"})
    assert (await world.api.v1.refunds.retrieve_async(refund.id)).status == "succeeded"
    assert await world.event_types() == events


async def test_a_pending_card_refund_settles_by_itself(world: World) -> None:
    intent = await paid(world, "pm_card_pendingRefund")
    await world.control("POST", "ach", {"settle_after_s": 0})
    refund = await world.api.v1.refunds.create_async({"payment_intent": intent})
    assert refund.status == "pending"

    async def settled() -> bool:
        return (await world.api.v1.refunds.retrieve_async(refund.id)).status == "succeeded"

    await world.until(settled)
    assert (await world.event_types())[-1] == "refund.updated"
