"""Staff have a customer sent its invoices; the customer sees where to transfer to, what came and what is missing."""

from domain.kernel.ids import encode
from domain.payments.transferring import service as transferring
from tests.api.graphql.site import Site

_SET = "... on CollectionMethodSet { collectionMethod }"
_READ = """query($id: ID!) { customer(id: $id) { collectionMethod cashBalances { amount currency }
    invoices(first: 5) { nodes { collectionMethod amountDue { amount } amountMissing { amount currency } } } }
    bankTransferInstructions(customerId: $id) { currency country bankName last4 details { name value } } }"""


async def test_a_customer_that_is_sent_invoices_sees_where_to_pay_and_what_is_missing(site: Site) -> None:
    world = site.world
    ada = await world.customer(on="2026-03-01", card=None)
    customer = encode("customer", ada.id)
    wish = {"customerId": customer, "collectionMethod": "SEND"}
    refused = await site.change("setCollectionMethod", _SET, site.staff("support"), **wish)
    assert refused["code"] == "forbidden"
    before = await site.read(_READ, site.staff("viewer"), id=customer)
    assert (before["customer"]["collectionMethod"], before["bankTransferInstructions"]) == ("CHARGE", None)
    for _ in range(2):
        done = await site.change("setCollectionMethod", _SET, site.staff("finance"), **wish)
        assert done["collectionMethod"] == "SEND"
    await world.subscribe(ada, "starter", product="edge")
    owner = world.gateway.transfers.arrive(ada.id, 2_000)
    await transferring.converge(world.runtime.db, world.gateway, world.call, owner)

    found = await site.read(_READ, site.staff("viewer"), id=customer)
    assert found["customer"]["cashBalances"] == [{"amount": "20.00", "currency": "USD"}]
    [invoice] = found["customer"]["invoices"]["nodes"]
    assert (invoice["collectionMethod"], invoice["amountDue"]["amount"]) == ("SEND", "29.00")
    assert invoice["amountMissing"] == {"amount": "9.00", "currency": "USD"}
    shown = found["bankTransferInstructions"]
    assert (shown["currency"], shown["country"], shown["bankName"], shown["last4"]) == (
        "USD",
        "US",
        "Memory Bank",
        "4321",
    )
    assert {"name": "routing_number", "value": "110000000"} in shown["details"]
