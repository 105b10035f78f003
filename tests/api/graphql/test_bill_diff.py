"""An invoice says why it differs from the one before it, through the API and in its mail."""

from domain.alerts import store as mails
from domain.customers import service as customers
from domain.invoices.invoice import VoidReason
from domain.invoices.service import void_invoice
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site
from tests.statements import counted
from tests.world import llm_call

_INVOICES = """query($id: ID!, $first: Int!) { customer(id: $id) { invoices(first: $first) { nodes {
    number total { amount } lines { id } comparedTo {
        previousId previousNumber previousTotal { amount } difference { amount } dueDifference { amount }
        parts { cause amount { amount } changes { description amount { amount } } }
        credits { cause amount { amount } changes { description } }
    } } } } }"""


async def test_an_invoice_is_compared_with_the_newest_one_before_it_that_is_not_void(site: Site) -> None:
    world = site.world
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31", card=None)
    await world.subscribe(ada, "pro")
    await world.subscribe(bob, "basic")
    await world.advance(to="2026-02-04")
    call = llm_call(ada, make.at("2026-02-03"), model="gemini-2.5-flash", input_tokens=1_000_000)
    await world.use("llm", call)
    await world.advance(to="2026-03-31T12:00")
    issued = await world.invoices(ada)
    assert len(issued) == 3
    usage = issued[1].total.minor - 7900
    assert usage > 0
    read = await site.read(_INVOICES, site.staff("viewer"), id=encode("customer", ada.id), first=5)
    third, second, first = read["customer"]["invoices"]["nodes"]
    assert first["comparedTo"] is None
    more = f"{usage // 100}.{usage % 100:02}"
    # The fee of 79.00 is on each; the second has the usage of February, and the third has it not any more.
    compared = second["comparedTo"]
    assert (compared["previousNumber"], compared["previousTotal"]["amount"]) == (first["number"], "79.00")
    assert (compared["difference"]["amount"], compared["dueDifference"]["amount"]) == (more, more)
    [part] = compared["parts"]
    assert (part["cause"], part["amount"]["amount"]) == ("USAGE", more)
    assert [change["amount"]["amount"] for change in part["changes"]] == [more]
    assert "gemini-2.5-flash" in part["changes"][0]["description"]
    assert compared["credits"] == {"cause": "CREDITS", "amount": {"amount": "0.00"}, "changes": []}
    assert third["comparedTo"]["previousId"] == encode("invoice", issued[1].id)
    assert [(part["cause"], part["amount"]["amount"]) for part in third["comparedTo"]["parts"]] == [
        ("USAGE", f"-{more}")
    ]
    async with site.runtime.db.transaction() as tx:
        key = await customers.data_key(tx, ada.id)
        mail = await mails.find_mail(tx, ada.id, "invoice_issued", str(issued[1].id), key=key)
        opening = await mails.find_mail(tx, ada.id, "invoice_issued", str(issued[0].id), key=key)
    assert mail is not None
    assert opening is not None
    assert f"Compared with invoice {first['number']}: +{more} USD (usage +{more})." in mail.content.text
    assert "Compared" not in opening.content.text + opening.content.html
    # Bob's invoices are no part of it; once his second is void, his third is compared with his first.
    of_bob = await world.invoices(bob)
    async with site.runtime.db.transaction() as tx:
        void = of_bob[1]
        await void_invoice(
            tx, world.call, make.at("2026-03-31"), customer_id=bob.id, invoice_id=void.id, reason=VoidReason.MISTAKE
        )
    read = await site.read(_INVOICES, site.staff("viewer"), id=encode("customer", bob.id), first=5)
    newest = read["customer"]["invoices"]["nodes"][0]
    assert newest["comparedTo"]["previousId"] == encode("invoice", of_bob[0].id)


async def test_comparing_costs_the_same_statements_for_two_invoices_and_for_four(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await site.world.advance(to="2026-05-31T12:00")
    found = []
    token, customer_id = site.staff(), encode("customer", ada.id)
    await site.read(_INVOICES, token, id=customer_id, first=1)
    for first in (2, 4):
        with counted(site.runtime.db) as statements:
            data = await site.read(_INVOICES, token, id=customer_id, first=first)
        assert len(data["customer"]["invoices"]["nodes"]) == first
        found.append(len(statements))
    # Customer, invoices, lines, which invoice was before each, those, and the lines that are not loaded yet.
    assert found == [6, 6]


async def test_an_invoice_of_other_subscriptions_is_passed_over(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    await site.world.advance(to="2026-02-10")
    await site.world.subscribe(ada, "starter", product="edge")
    await site.world.advance(to="2026-03-01")
    read = await site.read(_INVOICES, site.staff(), id=encode("customer", ada.id), first=5)
    # 31 January: the LLM product; 10 February: the edge product; 28 February: the LLM product again.
    last, edge, first = read["customer"]["invoices"]["nodes"]
    assert edge["comparedTo"] is None
    assert (last["comparedTo"]["previousNumber"], last["comparedTo"]["parts"]) == (first["number"], [])
