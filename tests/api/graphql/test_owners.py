"""From what a list of all customers shows, staff reach whose it is; nobody else reaches further than before."""

from domain.access.roles import Permission
from domain.kernel.ids import encode
from tests.api.graphql.site import Site
from tests.statements import counted

_WHOSE = """{ invoices { nodes { id customer { id name } } }
    payments { nodes { customer { id } invoice { id number } } }
    creditNotes { nodes { customer { id } invoice { id } } } }"""
_ISSUED = "... on CreditNoteIssued { creditNote { id customer { id } invoice { id } } }"


async def test_whose_an_invoice_a_payment_and_a_credit_note_are_is_shown_without_a_second_query(site: Site) -> None:
    world, finance = site.world, site.staff("finance")
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    await world.subscribe(bob, "basic")
    names = [encode("customer", each.id) for each in (ada, bob)]
    invoices = [encode("invoice", (await world.invoices(each))[0].id) for each in (ada, bob)]
    lines = (await site.read("{ invoices { nodes { lines { id } } } }", finance))["invoices"]["nodes"]
    part = {"lineId": lines[1]["lines"][0]["id"], "amount": {"amount": "9.00", "currency": "USD"}}
    given = {"invoiceId": invoices[0], "parts": [part], "reason": "GOODWILL", "idempotencyKey": "n1"}
    issued = await site.change("issueCreditNote", _ISSUED, finance, **given, kind="CUSTOMER_CREDIT")
    assert issued["creditNote"]["customer"]["id"] == names[0]
    assert issued["creditNote"]["invoice"]["id"] == invoices[0]

    with counted(site.runtime.db) as statements:
        found = await site.read(_WHOSE, finance)
    assert [(each["id"], each["customer"]["id"]) for each in found["invoices"]["nodes"]] == [
        (invoices[1], names[1]),
        (invoices[0], names[0]),
    ]
    assert [(each["customer"]["id"], each["invoice"]["id"]) for each in found["payments"]["nodes"]] == [
        (names[1], invoices[1]),
        (names[0], invoices[0]),
    ]
    assert found["creditNotes"]["nodes"] == [{"customer": {"id": names[0]}, "invoice": {"id": invoices[0]}}]
    # Three lists, and of those who and what they lead to not one statement for each row.
    assert len(statements) <= 8


async def test_a_member_reaches_its_own_and_a_key_only_what_its_scopes_say(site: Site) -> None:
    ada, bob = await site.world.customer(on="2026-01-31"), await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await site.world.subscribe(bob, "basic")
    mine = await site.read(_WHOSE, site.member(ada.id, "viewer"))
    assert {each["customer"]["id"] for each in mine["invoices"]["nodes"]} == {encode("customer", ada.id)}
    assert {each["customer"]["id"] for each in mine["payments"]["nodes"]} == {encode("customer", ada.id)}

    key = await site.key(Permission.INVOICE_READ)
    answer = await site.run("{ invoices { nodes { id customer { name } } } }", key)
    assert [each["customer"] for each in answer["data"]["invoices"]["nodes"]] == [None, None]
    assert {each["extensions"]["code"] for each in answer["errors"]} == {"forbidden"}
