"""Staff find the invoices and credit notes of all customers by what is known of them, and add them up."""

from typing import Any

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_FIND = """query($filter: InvoiceFilter, $first: Int! = 20, $after: String) {
    invoices(filter: $filter, first: $first, after: $after) { nodes { number state total { amount } customerId }
    pageInfo { hasNextPage endCursor } } }"""
_SUMS = """query($filter: InvoiceFilter) { invoiceTotals(filter: $filter) {
    environment currency state count net { amount } tax { amount } total { amount }
    creditApplied { amount } credited { amount } amountDue { amount } } }"""
_NOTES = """query($filter: CreditNoteFilter) {
    creditNotes(filter: $filter) { nodes { number invoiceId total { amount } } }
    creditNoteTotals(filter: $filter) { environment currency kind count net { amount } tax { amount }
    total { amount } offset { amount } credited { amount } refund { amount } toWallets { amount } } }"""
_ISSUED = "... on CreditNoteIssued { creditNote { id number } }"


async def _numbers(site: Site, token: str, **wanted: Any) -> list[str]:
    found = (await site.read(_FIND, token, filter=wanted))["invoices"]["nodes"]
    return [each["number"].removeprefix("TEST-2026-00000") if each["number"] else each["state"] for each in found]


async def _check_pages(site: Site, token: str) -> None:
    """Page by page it is the same list: nothing twice, nothing left out."""
    paged, after = [], None
    for _ in range(4):
        found = (await site.read(_FIND, token, first=1, after=after))["invoices"]
        paged += [each["number"] for each in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
    assert found["pageInfo"]["hasNextPage"] is False
    whole = (await site.read(_FIND, token))["invoices"]["nodes"]
    assert paged == [each["number"] for each in whole]


async def test_invoices_of_all_customers_are_found_and_added_up(site: Site) -> None:
    world = site.world
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31", card=None)
    await world.subscribe(ada, "pro")  # 1: 79.00, paid at once.
    await world.subscribe(bob, "starter", product="edge")  # 2: 29.00, not paid: there is no card.
    await world.advance(to="2026-03-01")  # On 28 February 3 and 4, in either order.
    finance, names = site.staff("finance"), [encode("customer", each.id) for each in (ada, bob)]

    assert sorted(await _numbers(site, finance)) == ["1", "2", "3", "4"]
    assert await _numbers(site, finance, number="TEST-2026-000002") == ["2"]
    assert await _numbers(site, finance, number="TEST-2026-00000") == []
    january = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    assert await _numbers(site, finance, issued=january, states=["OPEN"]) == ["2"]
    assert await _numbers(site, finance, paid=january) == ["1"]
    assert sorted(await _numbers(site, finance, due={"start": "2026-02-28T00:00:00Z"})) == ["3", "4"]
    assert sorted(await _numbers(site, finance, product="llm", issued=january)) == ["1"]
    assert sorted(await _numbers(site, finance, customerId=names[1], states=["OPEN", "PAID"], issued=january)) == ["2"]
    dear = {"amount": "29.01", "currency": "USD"}
    assert await _numbers(site, finance, totalAtLeast=dear, issued=january) == ["1"]
    assert await _numbers(site, finance, totalAtMost=dear, issued=january) == ["2"]
    assert await _numbers(site, finance, environment="LIVE") == []
    assert await _numbers(site, finance, currency="EUR") == []
    assert await _numbers(site, finance, collectionMethod="SEND") == []
    assert await _numbers(site, finance, kind="STATEMENT") == []

    await _check_pages(site, finance)

    totals = (await site.read(_SUMS, finance, filter={"issued": january}))["invoiceTotals"]
    nothing = {"amount": "0.00"}
    row = {
        "environment": "TEST",
        "currency": "USD",
        "count": 1,
        "tax": nothing,
        "creditApplied": nothing,
        "credited": nothing,
    }
    of_bob = {"amount": "29.00"}
    of_ada = {"amount": "79.00"}
    assert totals == [
        {**row, "state": "OPEN", "net": of_bob, "total": of_bob, "amountDue": of_bob},
        {**row, "state": "PAID", "net": of_ada, "total": of_ada, "amountDue": nothing},
    ]


async def test_credit_notes_of_all_customers_are_found_and_added_up(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    finance = site.staff("finance")
    [invoice] = (await site.read("{ invoices { nodes { id lines { id } } } }", finance))["invoices"]["nodes"]
    part = {"lineId": invoice["lines"][0]["id"], "amount": {"amount": "9.00", "currency": "USD"}}
    given = {"invoiceId": invoice["id"], "parts": [part], "reason": "GOODWILL", "idempotencyKey": "n1"}
    issued = await site.change("issueCreditNote", _ISSUED, finance, **given, kind="CUSTOMER_CREDIT")
    number = issued["creditNote"]["number"]

    found = await site.read(_NOTES, finance, filter={"reason": "GOODWILL", "invoiceId": invoice["id"]})
    nine, nothing = {"amount": "9.00"}, {"amount": "0.00"}
    assert found["creditNotes"]["nodes"] == [{"number": number, "invoiceId": invoice["id"], "total": nine}]
    assert found["creditNoteTotals"] == [
        {
            "environment": "TEST",
            "currency": "USD",
            "kind": "CUSTOMER_CREDIT",
            "count": 1,
            "net": nine,
            "tax": nothing,
            "total": nine,
            "offset": nothing,
            "credited": nine,
            "refund": nothing,
            "toWallets": nothing,
        }
    ]
    for other in ({"reason": "DUPLICATE"}, {"kind": "REFUND"}, {"number": f"{number}0"}, {"currency": "EUR"}):
        assert await site.read(_NOTES, finance, filter=other) == {"creditNotes": {"nodes": []}, "creditNoteTotals": []}
    wanted = {"number": number, "customerId": encode("customer", ada.id), "environment": "TEST"}
    assert len((await site.read(_NOTES, finance, filter=wanted))["creditNotes"]["nodes"]) == 1


async def test_nonsense_is_refused_and_a_member_finds_its_own_customers_only(site: Site) -> None:
    ada, bob = await site.world.customer(on="2026-01-31"), await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await site.world.subscribe(bob, "basic")
    for wanted, code in (
        ({"number": ""}, "filter_refused"),
        ({"currency": "dollars"}, "currency_unknown"),
        ({"product": "toys"}, "product_not_found"),
        ({"customerId": "cus_1"}, "id_malformed"),
        ({"customerId": f"cus_{'0' * 26}"}, "customer_not_found"),
        ({"totalAtLeast": {"amount": "0.001", "currency": "USD"}}, "amount_malformed"),
    ):
        answer = await site.run(_FIND, site.staff("viewer"), filter=wanted)
        assert [each["extensions"]["code"] for each in answer["errors"]] == [code], wanted

    member, names = site.member(ada.id, "viewer"), [encode("customer", each.id) for each in (ada, bob)]
    mine = (await site.read(_FIND, member))["invoices"]["nodes"]
    assert [each["customerId"] for each in mine] == [names[0]]
    [summed] = (await site.read(_SUMS, member))["invoiceTotals"]
    assert (summed["count"], summed["total"]["amount"]) == (1, "79.00")
    foreign = await site.run(_FIND, member, filter={"customerId": names[1]})
    assert [each["extensions"]["code"] for each in foreign["errors"]] == ["customer_not_found"]
    assert (await site.read(_SUMS, member, filter={"environment": "LIVE"}))["invoiceTotals"] == []


async def test_what_is_still_due_is_added_up_as_each_invoice_says_it(site: Site) -> None:
    bob = await site.world.customer(on="2026-01-31", card=None)
    await site.world.subscribe(bob, "starter", product="edge")
    finance = site.staff("finance")
    [invoice] = (await site.read("{ invoices { nodes { id lines { id } } } }", finance))["invoices"]["nodes"]
    part = {"lineId": invoice["lines"][0]["id"], "amount": {"amount": "9.00", "currency": "USD"}}
    given = {"invoiceId": invoice["id"], "parts": [part], "reason": "GOODWILL", "idempotencyKey": "n1"}
    await site.change("issueCreditNote", _ISSUED, finance, **given, kind="OFFSET")

    [of_all] = (await site.read(_SUMS, finance, filter={"states": ["OPEN"]}))["invoiceTotals"]
    [each] = (await site.read("{ invoices { nodes { amountDue { amount } } } }", finance))["invoices"]["nodes"]
    # A note of 9.00 took that much off the 29.00 before they were paid.
    assert (of_all["total"], of_all["credited"]) == ({"amount": "29.00"}, {"amount": "9.00"})
    assert of_all["amountDue"] == each["amountDue"] == {"amount": "20.00"}
