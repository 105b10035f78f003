"""A customer is found by its address and changed through the API."""

from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.payments import store as payments
from tests.api.graphql.site import Site

CHANGED = "... on CustomerChanged { customer { name email externalId } }"
BY_GATEWAY = "query($g: String) { customers(gatewayId: $g) { nodes { id } } }"
BY_EMAIL = "query($e: String) { customers(email: $e) { nodes { id } } }"


async def test_an_owner_changes_its_address_and_staff_find_it_by_that(site: Site) -> None:
    ada = await site.world.customer(on="2026-04-01", card=None)
    own, token = encode("customer", ada.id), site.member(ada.id)
    done = await site.change("changeCustomer", CHANGED, token, customerId=own, name="Ada Ltd", email="it@ada.example")
    assert done["customer"] == {"name": "Ada Ltd", "email": "it@ada.example", "externalId": None}
    refused = await site.change("changeCustomer", CHANGED, token, customerId=own, externalId="crm-1")
    assert refused["code"] == "forbidden"
    done = await site.change("changeCustomer", CHANGED, site.staff(), customerId=own, externalId="crm-1")
    assert done["customer"]["externalId"] == "crm-1"
    found = await site.read(BY_EMAIL, site.staff(), e="IT@ada.example")
    assert found["customers"]["nodes"] == [{"id": own}]
    assert (await site.read(BY_EMAIL, site.staff(), e="nobody@ada.example"))["customers"]["nodes"] == []


async def test_staff_find_a_customer_by_what_a_mail_names_of_stripe_or_of_a_document(site: Site) -> None:
    ada, bob = await site.world.customer(on="2026-04-01"), await site.world.customer(on="2026-04-01")
    await site.world.subscribe(ada, "pro")
    await site.world.subscribe(bob, "basic")
    [invoice] = await site.world.invoices(ada)
    async with site.runtime.db.transaction() as tx:
        at_gateway = await payments.find_gateway_customer(tx, ada.id)
        copy = await payments.find_push(tx, ada.id, invoice.id)
        [paid] = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
    assert at_gateway is not None
    assert copy is not None
    own = {"customers": {"nodes": [{"id": encode("customer", ada.id)}]}}
    nobody: dict[str, object] = {"customers": {"nodes": []}}
    for name in (paid.gateway_payment_id, at_gateway.gateway_customer_id, copy.gateway_invoice_id):
        assert await site.read(BY_GATEWAY, site.staff("support"), g=name) == own
    by_number = "query($n: String, $x: String) { customers(documentNumber: $n, externalId: $x) { nodes { id } } }"
    assert await site.read(by_number, site.staff("support"), n=invoice.number) == own
    assert await site.read(by_number, site.staff("support"), n=invoice.number, x="crm-1") == nobody
    assert await site.read(by_number, site.staff("support"), n="TEST-2026-999999") == nobody
    assert await site.read(BY_GATEWAY, site.staff("support"), g="pi_of_nobody") == nobody

    # Whoever may not see the customer is told nothing, and a key needs to read payments as well.
    assert await site.read(BY_GATEWAY, site.member(bob.id), g=paid.gateway_payment_id) == nobody
    live = await site.key("customer:read", "payment:read", environment=Environment.LIVE)
    assert await site.read(BY_GATEWAY, live, g=paid.gateway_payment_id) == nobody
    for token, name, code in (
        (await site.key("customer:read"), paid.gateway_payment_id, "forbidden"),
        (site.staff(), "", "payment_filter_refused"),
    ):
        answer = await site.run(BY_GATEWAY, token, g=name)
        assert [each["extensions"]["code"] for each in answer["errors"]] == [code]
