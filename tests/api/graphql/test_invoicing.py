"""Staff void, write off and credit invoices through the API, once per idempotency key."""

from typing import Any

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_INVOICES = """query($id: ID!) { customer(id: $id) {
    credit { amount currency }
    creditNotes(first: 5) { nodes { number total { amount } lines { lineId quantity amount { amount } } } }
    invoices(first: 5) { nodes {
        id state number voidReason amountDue { amount } creditApplied { amount } credited { amount }
        lines { id } creditNotes { id number }
    } } } }"""
_ISSUED = """... on CreditNoteIssued { creditNote {
    id number total { amount } offset { amount } credited { amount } refund { amount } } }"""
_VOIDED = "... on InvoiceVoided { invoice { state number } regenerated { state total { amount } } }"
_DOCUMENT = "query($id: ID!) { creditNote(id: $id) { document { url name } } }"
_NOTE = "query($id: ID!) { creditNote(id: $id) { number kind reason } }"


async def _customer(site: Site) -> tuple[str, dict[str, Any]]:
    ada = await site.world.customer(on="2026-01-31", card=None)
    await site.world.subscribe(ada, "pro")
    return encode("customer", ada.id), await _read(site, encode("customer", ada.id))


async def _read(site: Site, customer: str) -> dict[str, Any]:
    found: dict[str, Any] = (await site.read(_INVOICES, site.staff("finance"), id=customer))["customer"]
    return found


async def test_a_credit_note_is_issued_once_for_its_key_and_lowers_what_is_due(site: Site) -> None:
    customer, before = await _customer(site)
    [invoice] = before["invoices"]["nodes"]
    part = {"lineId": invoice["lines"][0]["id"], "amount": {"amount": "9.00", "currency": "USD"}}
    given = {"invoiceId": invoice["id"], "parts": [part], "reason": "GOODWILL", "kind": "OFFSET"}
    first = await site.change("issueCreditNote", _ISSUED, site.staff("finance"), **given, idempotencyKey="n1")
    again = await site.change("issueCreditNote", _ISSUED, site.staff("finance"), **given, idempotencyKey="n1")
    assert first == again
    note = first["creditNote"]
    assert (note["number"], note["total"]["amount"], note["offset"]["amount"]) == (
        "TEST-CN-2026-000001",
        "9.00",
        "9.00",
    )
    after = await _read(site, customer)
    [lowered] = after["invoices"]["nodes"]
    # 79.00 - 9.00.
    assert (lowered["amountDue"]["amount"], lowered["credited"]["amount"]) == ("70.00", "9.00")
    assert lowered["creditNotes"] == [{"id": note["id"], "number": note["number"]}]
    [listed] = after["creditNotes"]["nodes"]
    assert [(line["quantity"], line["amount"]["amount"]) for line in listed["lines"]] == [("1", "9.00")]
    found = await site.read(_NOTE, site.staff("viewer"), id=note["id"])
    assert found["creditNote"] == {"number": note["number"], "kind": "OFFSET", "reason": "GOODWILL"}
    assert (await site.read(_DOCUMENT, site.staff("viewer"), id=note["id"]))["creditNote"]["document"] is None
    await site.world.drain()
    document = (await site.read(_DOCUMENT, site.staff("viewer"), id=note["id"]))["creditNote"]["document"]
    assert document["name"] == f"{note['number']}.pdf"
    linked = await site.client.get(document["url"])
    assert (linked.status_code, linked.headers["content-type"]) == (200, "application/pdf")
    wrong = {**given, "parts": [{**part, "amount": {"amount": "9.00", "currency": "EUR"}}]}
    refused = await site.change("issueCreditNote", _ISSUED, site.staff("finance"), **wrong, idempotencyKey="n2")
    assert refused["code"] == "credit_malformed"


async def test_a_void_invoice_is_derived_anew_and_a_replay_gives_the_same_two(site: Site) -> None:
    customer, before = await _customer(site)
    [invoice] = before["invoices"]["nodes"]
    given = {"invoiceId": invoice["id"], "reason": "DUPLICATE", "regenerate": True, "idempotencyKey": "v1"}
    voided = await site.change("voidInvoice", _VOIDED, site.staff("finance"), **given)
    assert voided["invoice"] == {"state": "VOID", "number": "TEST-2026-000001"}
    assert voided["regenerated"] == {"state": "DRAFT", "total": {"amount": "79.00"}}
    assert await site.change("voidInvoice", _VOIDED, site.staff("finance"), **given) == voided
    after = await _read(site, customer)
    assert [(each["state"], each["voidReason"]) for each in after["invoices"]["nodes"]] == [
        ("DRAFT", None),
        ("VOID", "DUPLICATE"),
    ]
    # The draft is recomputed and opened at once.
    draft = after["invoices"]["nodes"][0]["id"]
    done = "... on DraftRecomputed { invoice { state } }"
    recomputed = await site.change("recomputeDraft", done, site.staff("finance"), invoiceId=draft)
    assert recomputed["invoice"] == {"state": "DRAFT"}
    opened = "... on InvoiceFinalised { invoice { state number } }"
    for _ in range(2):
        finalised = await site.change(
            "finaliseInvoice", opened, site.staff("finance"), invoiceId=draft, idempotencyKey="f1"
        )
        assert finalised["invoice"] == {"state": "OPEN", "number": "TEST-2026-000002"}


async def test_an_invoice_is_written_off_by_finance_and_not_by_support(site: Site) -> None:
    customer, before = await _customer(site)
    [invoice] = before["invoices"]["nodes"]
    done = "... on InvoiceWrittenOff { invoice { state } }"
    given = {"invoiceId": invoice["id"], "idempotencyKey": "w1"}
    refused = await site.change("markInvoiceUncollectible", done, site.staff("support"), **given)
    assert refused["code"] == "forbidden"
    assert (await _read(site, customer))["invoices"]["nodes"] == [invoice]
    for _ in range(2):
        given_up = await site.change("markInvoiceUncollectible", done, site.staff("finance"), **given)
        assert given_up["invoice"] == {"state": "UNCOLLECTIBLE"}
