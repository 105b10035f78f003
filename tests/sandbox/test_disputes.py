"""Money that is taken back after it was collected, and money that the customer pushes."""

from typing import Any

import pytest

from tests.sandbox.world import World

DISPUTE_EVENTS = ("charge.dispute.created", "charge.dispute.funds_withdrawn")


async def _paid(world: World, test_id: str = "pm_card_visa") -> tuple[str, str]:
    """Collect 10.00 by an invoice and give the ids of invoice and charge."""
    customer = await world.customer()
    invoice = await world.opened(customer, 1000)
    await world.pay(invoice, await world.method(customer, test_id))
    return invoice, str((await world.intent_of(invoice)).latest_charge)


async def _debited(world: World) -> tuple[str, str]:
    invoice, charge = await _paid(world, "pm_usBankAccount_success")
    intent = (await world.intent_of(invoice)).id
    await world.control("POST", f"ach/{intent}", {"result": "succeed"})
    return intent, charge


async def _of_disputes(world: World) -> list[str]:
    return [kind for kind in await world.event_types() if kind.startswith("charge.dispute")]


async def test_a_dispute_takes_the_money_at_once_and_a_win_gives_it_back(world: World) -> None:
    invoice, charge = await _paid(world)
    made = await world.control("POST", f"disputes/{charge}", {"reason": "product_not_received"})
    assert (made["status"], made["amount"], made["reason"]) == ("needs_response", 1000, "product_not_received")
    assert (await world.api.v1.charges.retrieve_async(charge)).disputed is True
    won = await world.control("POST", f"verdicts/{made['id']}", {"result": "won"})
    assert won["status"] == "won"
    assert await _of_disputes(world) == [*DISPUTE_EVENTS, "charge.dispute.closed", "charge.dispute.funds_reinstated"]
    # The invoice stays as it was: what a dispute means for it is the merchant's to say.
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "paid"


@pytest.mark.parametrize(
    ("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost"), ("A receipt", "under_review")]
)
async def test_evidence_puts_a_dispute_under_review_or_decides_it(world: World, text: str, status: str) -> None:
    _, charge = await _paid(world)
    made = await world.control("POST", f"disputes/{charge}", {"amount": 400})
    after = await world.api.v1.disputes.update_async(made["id"], {"evidence": {"uncategorized_text": text}})
    assert (after.status, after.amount, after.evidence_details.submission_count) == (status, 400, 1)
    listed = await world.api.v1.disputes.list_async({"charge": charge})
    assert [each.id for each in listed.data] == [made["id"]]


async def test_evidence_is_kept_until_it_is_submitted_and_a_dispute_can_be_given_up(world: World) -> None:
    _, charge = await _paid(world)
    made = await world.control("POST", f"disputes/{charge}")
    given = await world.api.v1.disputes.update_async(
        made["id"], {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": False, "metadata": {"a": "1"}}
    )
    assert (given.status, given.evidence_details.has_evidence, given.metadata["a"]) == ("needs_response", True, "1")
    await world.api.v1.disputes.update_async(made["id"], {"metadata": {"a": "2"}})
    assert (await world.api.v1.disputes.close_async(made["id"])).status == "lost"
    again = await world.post(f"/v1/disputes/{made['id']}/close", "")
    late = await world.post(f"/v1/disputes/{made['id']}", "evidence[uncategorized_text]=x")
    assert (again.status_code, late.status_code) == (400, 400)
    assert (await world.api.v1.disputes.retrieve_async(made["id"])).metadata["a"] == "2"
    assert (await _of_disputes(world)).count("charge.dispute.closed") == 1


async def test_a_disputed_charge_is_not_refunded_until_the_dispute_is_won(world: World) -> None:
    _, charge = await _paid(world)
    made = await world.control("POST", f"disputes/{charge}")
    refused = await world.post("/v1/refunds", f"charge={charge}")
    assert refused.json()["error"]["code"] == "charge_disputed"
    assert (await world.api.v1.refunds.list_async({"charge": charge})).data == []
    await world.control("POST", f"verdicts/{made['id']}", {"result": "won"})
    assert (await world.post("/v1/refunds", f"charge={charge}")).status_code == 200


async def test_a_debit_is_returned_after_it_had_succeeded_and_that_is_final(world: World) -> None:
    intent, charge = await _debited(world)
    made = await world.control("POST", f"returns/{intent}", {"reason": "bank_cannot_process"})
    assert (made["status"], made["charge"], made["reason"]) == ("lost", charge, "bank_cannot_process")
    assert await _of_disputes(world) == [*DISPUTE_EVENTS, "charge.dispute.closed"]
    url = f"{world.server.url}/_sandbox/verdicts/{made['id']}"
    assert (await world.http.post(url, content='{"result": "won"}')).status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("disputes/{charge}", '{"amount": 1001}'),
        ("disputes/{charge}", '{"amount": 0}'),
        ("disputes/{charge}", '{"reason": "insufficient_funds"}'),
        ("returns/{charge}", "{}"),
        ("returns/{charge}", '{"reason": "fraudulent"}'),
        ("disputes/ch_none", "{}"),
        ("verdicts/dp_none", '{"result": "won"}'),
    ],
)
async def test_disputes_that_cannot_be_are_refused(world: World, path: str, body: str) -> None:
    _, charge = await _paid(world)
    answer = await world.http.post(f"{world.server.url}/_sandbox/{path.format(charge=charge)}", content=body)
    assert answer.status_code in {400, 404}
    assert await _of_disputes(world) == []


async def test_a_charge_is_disputed_once_and_only_when_it_has_succeeded(world: World) -> None:
    _, charge = await _paid(world)
    await world.control("POST", f"disputes/{charge}")
    _, pending = await _paid(world, "pm_usBankAccount_success")
    for each in (charge, pending):
        answer = await world.http.post(f"{world.server.url}/_sandbox/disputes/{each}", content="{}")
        assert answer.status_code == 400
    assert (await _of_disputes(world)).count("charge.dispute.created") == 1


async def test_stripes_disputing_card_disputes_by_itself(world: World) -> None:
    invoice, _ = await _paid(world, "pm_card_createDispute")
    assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "paid"

    async def _disputed() -> bool:
        return await _of_disputes(world) == list(DISPUTE_EVENTS)

    await world.until(_disputed)


async def test_a_bank_transfer_pays_the_invoice_it_comes_for(world: World) -> None:
    invoice = await world.opened(await world.customer(), 250_000, collection_method="send_invoice", days_until_due=30)
    paid = await world.control("POST", f"bank_transfers/{invoice}", {"network": "swift"})
    assert (paid["status"], paid["amount_paid"], paid["amount_remaining"]) == ("paid", 250_000, 0)
    charge = await world.api.v1.charges.retrieve_async(str((await world.intent_of(invoice)).latest_charge))
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.type == "customer_balance"
    types = await world.event_types()
    assert types.count("customer_cash_balance_transaction.created") == 2
    assert types.count("invoice.paid") == 1
    for path in (f"bank_transfers/{invoice}", f"disputes/{charge.id}"):
        again = await world.http.post(f"{world.server.url}/_sandbox/{path}", content="{}")
        assert again.status_code == 400
    assert (await world.event_types()).count("invoice.paid") == 1


async def test_transfers_gather_until_they_cover_the_oldest_sent_invoice(world: World) -> None:
    customer = await world.customer()
    sent: dict[str, object] = {"collection_method": "send_invoice", "days_until_due": 30}
    first, second = await world.opened(customer, 3_000, **sent), await world.opened(customer, 1_000, **sent)
    charged = await world.opened(customer, 500)

    async def transfer(target: str, amount: int) -> None:
        await world.control("POST", f"bank_transfers/{target}", {"amount": amount})

    async def states() -> list[str]:
        found = [await world.api.v1.invoices.retrieve_async(each) for each in (first, second, charged)]
        return [str(each.status) for each in found]

    await transfer(customer, 900)
    assert await states() == ["open", "open", "open"]
    # 9.00 + 2.00 covers the second one alone, and 1.00 stays.
    await transfer(customer, 200)
    assert await states() == ["open", "paid", "open"]
    await transfer(first, 2_950)
    # 1.00 + 29.50 - 30.00.
    assert await states() == ["paid", "paid", "open"]
    balance = await world.api.v1.customers.cash_balance.retrieve_async(customer)
    assert balance.available is not None
    assert balance.available["usd"] == 50
    moved = await world.api.v1.customers.cash_balance_transactions.list_async(customer, {"limit": 2})
    assert [(each.type, each.net_amount, each.ending_balance) for each in moved.data] == [
        ("applied_to_payment", -3_000, 50),
        ("funded", 2_950, 3_050),
    ]
    # What is there pays the next one as it is finalised.
    await world.control("POST", f"bank_transfers/{customer}", {"amount": 950})
    third = await world.opened(customer, 1_000, **sent)
    assert (await world.api.v1.invoices.retrieve_async(third)).status == "paid"
    for body in ('{"amount": 0}', "{}"):
        refused = await world.http.post(f"{world.server.url}/_sandbox/bank_transfers/{customer}", content=body)
        assert refused.status_code == 400


async def test_a_customer_has_one_account_to_transfer_to(world: World) -> None:
    customer = await world.customer()
    given: Any = {"bank_transfer": {"type": "us_bank_transfer"}, "currency": "usd", "funding_type": "bank_transfer"}
    first = await world.api.v1.customers.funding_instructions.create_async(customer, given)
    again = await world.api.v1.customers.funding_instructions.create_async(customer, given)
    assert first.to_dict() == again.to_dict()
    [address] = first.bank_transfer.financial_addresses
    assert address.aba is not None
    assert (address.aba.bank_name, len(address.aba.account_number)) == ("US Test Bank", 12)
    euros = "bank_transfer[type]=eu_bank_transfer&currency=eur&funding_type=bank_transfer"
    refused = await world.post(f"/v1/customers/{customer}/funding_instructions", euros)
    assert refused.status_code == 400


async def test_a_transfer_in_another_currency_or_while_a_debit_is_on_its_way_is_refused(world: World) -> None:
    customer = await world.customer()
    euros = await world.opened(customer, 1000, currency="eur")
    processing = await world.opened(customer, 1000)
    await world.pay(processing, await world.method(customer, "pm_usBankAccount_success"))
    for invoice in (euros, processing):
        answer = await world.http.post(f"{world.server.url}/_sandbox/bank_transfers/{invoice}", content="{}")
        assert answer.status_code == 400
        assert (await world.api.v1.invoices.retrieve_async(invoice)).status == "open"
