"""Staff refund what a credit note owes, once per idempotency key; its customer sees where it stands."""

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_INVOICES = """query($id: ID!) { customer(id: $id) { invoices(first: 5) { nodes {
    id lines { id } refunds { id status reason endedAt amount { amount currency } } } } } }"""
_ISSUED = "... on CreditNoteIssued { creditNote { id refund { amount } } }"
_ORDERED = "... on RefundOrdered { refund { id status amount { amount } } refunds { id status amount { amount } } }"


async def test_a_refund_is_ordered_once_sent_and_shown_on_its_invoice(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await site.world.drain()
    customer, finance = encode("customer", ada.id), site.staff("finance")
    before = await site.read(_INVOICES, finance, id=customer)
    [invoice] = before["customer"]["invoices"]["nodes"]
    assert invoice["refunds"] == []
    part = {"lineId": invoice["lines"][0]["id"], "amount": {"amount": "9.00", "currency": "USD"}}
    given = {"invoiceId": invoice["id"], "parts": [part], "reason": "GOODWILL", "kind": "REFUND"}
    issued = await site.change("issueCreditNote", _ISSUED, finance, **given, idempotencyKey="n1")
    assert issued["creditNote"]["refund"]["amount"] == "9.00"

    wish = {"creditNoteId": issued["creditNote"]["id"], "reason": "REQUESTED_BY_CUSTOMER"}
    part_of_it = {**wish, "amount": {"amount": "4.00", "currency": "USD"}, "idempotencyKey": "r1"}
    first = await site.change("refundCreditNote", _ORDERED, finance, **part_of_it)
    again = await site.change("refundCreditNote", _ORDERED, finance, **part_of_it)
    assert first == again
    assert first["refunds"] == [first["refund"]]
    assert (first["refund"]["status"], first["refund"]["amount"]["amount"]) == ("PENDING", "4.00")
    too_much = {**part_of_it, "amount": {"amount": "5.01", "currency": "USD"}, "idempotencyKey": "r2"}
    assert (await site.change("refundCreditNote", _ORDERED, finance, **too_much))["code"] == "refund_too_large"
    # 9.00 - 4.00.
    rest = await site.change("refundCreditNote", _ORDERED, finance, **wish, idempotencyKey="r3")
    assert rest["refund"]["amount"]["amount"] == "5.00"

    await site.world.drain()
    after = await site.read(_INVOICES, site.staff("viewer"), id=customer)
    [shown] = after["customer"]["invoices"]["nodes"]
    assert [(each["status"], each["amount"]["amount"]) for each in shown["refunds"]] == [
        ("SUCCEEDED", "4.00"),
        ("SUCCEEDED", "5.00"),
    ]
    assert all(each["endedAt"] for each in shown["refunds"])
    assert [each.amount_minor for each in site.world.gateway.listing.refunds] == [400, 500]
