"""Staff read what customers owed at any instant, by age: to the cent the ledger's receivables."""

from typing import Any

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_ASKED = """query($before: DateTime!) {
    receivables(environment: TEST, before: $before) { currency invoices current { amount } days1To30 { amount }
        days31To60 { amount } days61To90 { amount } older { amount } owedBack { amount } total { amount } }
    ledgerBalances(environment: TEST, before: $before) { account balance { amount } } }"""
_INVOICES = "{ invoices { nodes { id state lines { id } receivedPayments { attemptId } } } }"
_ISSUED = "... on CreditNoteIssued { creditNote { id } }"
_ORDERED = "... on RefundOrdered { refund { id } }"
_RECORDED = "... on PaymentRecorded { invoice { state } }"
_REVERSED = "... on RecordedPaymentReversed { invoice { state } }"


async def _owed(site: Site, day: str) -> dict[str, Any]:
    """Read what is not zero of what is owed just before a day, and check that it is the ledger's balance."""
    data = await site.read(_ASKED, site.staff("finance"), before=f"{day}T00:00:00Z")
    balances = {each["account"]: each["balance"]["amount"] for each in data["ledgerBalances"]}
    [found] = data["receivables"] or [{"currency": "USD", "invoices": 0, "total": {"amount": "0.00"}}]
    assert found["total"]["amount"] == balances.get("RECEIVABLE", "0.00")
    amounts = {name: each["amount"] for name, each in found.items() if isinstance(each, dict)}
    return {name: amount for name, amount in amounts.items() if amount != "0.00"}


async def _credit(site: Site, invoice: dict[str, Any], amount: str, kind: str) -> str:
    part = {"lineId": invoice["lines"][0]["id"], "amount": {"amount": amount, "currency": "USD"}}
    given = {"invoiceId": invoice["id"], "parts": [part], "reason": "GOODWILL", "idempotencyKey": f"{kind}{amount}"}
    issued = await site.change("issueCreditNote", _ISSUED, site.staff("finance"), **given, kind=kind)
    return str(issued["creditNote"]["id"])


async def test_what_is_owed_grows_old_and_is_lowered_by_notes_payments_and_refunds(site: Site) -> None:
    world, finance = site.world, site.staff("finance")
    ada, bob = await world.customer(on="2026-01-01"), await world.customer(on="2026-01-01", card=None)
    await world.subscribe(ada, "pro")  # 79.00, paid at once.
    started = await world.subscribe(bob, "starter", product="edge")  # 29.00, which nobody pays.
    await world.cancel(started)
    assert await _owed(site, "2026-01-01") == {}
    assert await _owed(site, "2026-01-02") == {"days1To30": "29.00", "total": "29.00"}
    unpaid, paid = (await site.read(_INVOICES, finance))["invoices"]["nodes"]

    # Of Bob's 29.00 a note takes 4.00 off; of Ada's 79.00 a refund of 9.00 is owed until it has left.
    await world.advance(to="2026-01-05")
    await _credit(site, unpaid, "4.00", "OFFSET")
    note = await _credit(site, paid, "9.00", "REFUND")
    assert await _owed(site, "2026-01-06") == {"days1To30": "25.00", "owedBack": "9.00", "total": "16.00"}
    wish = {"creditNoteId": note, "reason": "REQUESTED_BY_CUSTOMER", "idempotencyKey": "r"}
    await site.change("refundCreditNote", _ORDERED, finance, **wish)
    await world.drain()
    assert await _owed(site, "2026-01-06") == {"days1To30": "25.00", "total": "25.00"}

    # A cheque that bounces leaves it as old as it was.
    await world.advance(to="2026-01-10")
    amount = {"amount": "25.00", "currency": "USD"}
    cheque = {"invoiceId": unpaid["id"], "amount": amount, "method": "CHEQUE", "reference": "1", "idempotencyKey": "c"}
    await site.change("recordPayment", _RECORDED, finance, **cheque, receivedAt="2026-01-10T00:00:00Z")
    assert await _owed(site, "2026-01-11") == {}
    [attempt] = (await site.read(_INVOICES, finance))["invoices"]["nodes"][0]["receivedPayments"]
    await world.advance(to="2026-01-20")
    taken = {"attemptId": attempt["attemptId"], "reason": "BOUNCED", "idempotencyKey": "b"}
    await site.change("reverseRecordedPayment", _REVERSED, finance, **taken)
    assert await _owed(site, "2026-01-11") == {}
    assert await _owed(site, "2026-01-21") == {"days1To30": "25.00", "total": "25.00"}
    # Due on 1 January: 1 February is 31 days later, 3 March 61, 2 April 91.
    for day, age in (("2026-02-01", "days31To60"), ("2026-03-03", "days61To90"), ("2026-04-02", "older")):
        assert (await _owed(site, day))[age] == "25.00"


async def test_what_is_owed_is_for_staff_who_read_the_books(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-01")
    asked = '{ receivables(environment: TEST, before: "2026-02-01T00:00:00Z") { currency } }'
    for token in (site.staff("support"), site.member(ada.id)):
        refused = await site.run(asked, token)
        assert [each["extensions"]["code"] for each in refused["errors"]] == ["forbidden"]
    assert (await site.read(asked, site.staff("finance")))["receivables"] == []


async def test_what_one_customer_owed_at_an_instant_is_told_apart(site: Site) -> None:
    world, finance = site.world, site.staff("finance")
    ada, bob = [await world.customer(on="2026-01-01", card=None) for _ in range(2)]
    await world.subscribe(ada, "pro")  # 79.00
    await world.subscribe(bob, "starter", product="edge")  # 29.00
    asked = """query($c: ID, $e: Environment! = TEST) {
        receivables(environment: $e, before: "2026-01-02T00:00:00Z", customerId: $c) { total { amount } } }"""
    for customer, owed in ((None, "108.00"), (ada, "79.00"), (bob, "29.00")):
        name = encode("customer", customer.id) if customer else None
        assert await site.read(asked, finance, c=name) == {"receivables": [{"total": {"amount": owed}}]}
    refused = await site.run(asked, finance, c=encode("customer", ada.id), e="LIVE")
    assert [each["extensions"]["code"] for each in refused["errors"]] == ["customer_not_found"]
