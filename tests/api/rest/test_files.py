"""Invoices as files, over HTTP."""

from domain.contracts import service as contracts
from domain.kernel.ids import encode
from domain.subscriptions.schedule import Interval
from tests.api.graphql.site import Site

_DOCUMENT = "query($id: ID!) { invoice(id: $id) { document { url expiresAt name sha256 } } }"


async def test_an_invoice_is_downloaded_by_right_and_by_a_signed_link(site: Site) -> None:
    world = site.world
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    async with site.runtime.db.transaction() as tx:
        await contracts.subscribe(
            tx, world.call, customer_id=ada.id, product_key="llm", plan_key="pro", interval=Interval.MONTH
        )
    [invoice] = await world.invoices(ada)
    invoice_id, owner = encode("invoice", invoice.id), site.member(ada.id)
    path = f"/v1/invoices/{invoice_id}/pdf"
    asked = {"Authorization": f"Bearer {owner}"}
    # Until the worker has written it there is nothing to link to.
    assert (await site.read(_DOCUMENT, owner, id=invoice_id))["invoice"]["document"] is None
    early = await site.client.get(path, headers=asked)
    assert (early.status_code, early.json()["code"]) == (404, "document_not_found")
    await world.drain()

    answer = await site.client.get(path, headers=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["content-disposition"] == f'attachment; filename="{invoice.number}.pdf"'
    assert answer.headers["cache-control"] == "no-store"
    assert (await site.client.get(path)).status_code == 401
    stranger = await site.client.get(path, headers={"Authorization": f"Bearer {site.member(bob.id)}"})
    assert (stranger.status_code, stranger.json()["code"]) == (404, "invoice_not_found")

    document = (await site.read(_DOCUMENT, owner, id=invoice_id))["invoice"]["document"]
    assert document["name"] == f"{invoice.number}.pdf"
    linked = await site.client.get(document["url"])
    assert (linked.status_code, linked.content) == (200, answer.content)
    assert linked.headers["cache-control"] == "no-store"
    for wrong in (document["url"][:-1], document["url"].replace("expires=", "expires=1"), "/documents/doc_1"):
        refused = await site.client.get(wrong)
        assert (refused.status_code in {403, 422}, refused.headers["content-type"]) == (
            True,
            "application/problem+json",
        )
