"""Net terms, memo and purchase order through the API, and where they are shown."""

from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_SET = "... on InvoiceHeadingSet { heading { netDays memo purchaseOrder } }"
_ORDERED = "... on PurchaseOrderSet { purchaseOrder }"
_READ = """query($id: ID!) { customer(id: $id) { invoiceHeading { netDays memo purchaseOrder }
    subscriptions { invoiceHeading { netDays purchaseOrder } }
    invoices(first: 5) { nodes { issuedAt dueAt memo purchaseOrder } } } }"""


async def test_staff_set_terms_and_a_member_its_own_purchase_order(shared: Site) -> None:
    ada = await shared.world.customer(on="2026-01-31", card=None)
    customer, member, staff = encode("customer", ada.id), shared.member(ada.id), shared.staff("finance")
    first = {"customerId": customer, "netDays": 30, "memo": "Thank you"}
    assert (await shared.change("setInvoiceHeading", _SET, staff, **first))["heading"]["netDays"] == 30
    done = await shared.change("setPurchaseOrder", _ORDERED, member, customerId=customer, purchaseOrder="PO 1")
    assert done["purchaseOrder"] == "PO 1"
    assert (await shared.change("setInvoiceHeading", _SET, member, **first))["code"] == "forbidden"
    wrong = await shared.change("setInvoiceHeading", _SET, staff, customerId=customer, netDays=366)
    assert (wrong["__typename"], wrong["code"]) == ("InvalidInput", "net_days_out_of_bounds")
    started = await shared.world.subscribe(ada, "pro")
    own = {"customerId": customer, "subscriptionId": encode("subscription", started.id), "purchaseOrder": "PO 2"}
    await shared.change("setPurchaseOrder", _ORDERED, member, **own)
    found = (await shared.read(_READ, member, id=customer))["customer"]
    assert found["invoiceHeading"] == {"netDays": 30, "memo": "Thank you", "purchaseOrder": "PO 1"}
    assert found["subscriptions"] == [{"invoiceHeading": {"netDays": None, "purchaseOrder": "PO 2"}}]
    # It was issued on 31 January, before the subscription had an order of its own; 30 days later is 2 March.
    [invoice] = found["invoices"]["nodes"]
    assert (invoice["issuedAt"][:10], invoice["dueAt"][:10]) == ("2026-01-31", "2026-03-02")
    assert (invoice["memo"], invoice["purchaseOrder"]) == ("Thank you", "PO 1")


async def test_a_heading_of_an_issued_invoice_is_refused(shared: Site) -> None:
    ada = await shared.world.customer(on="2026-01-31", card=None)
    await shared.world.subscribe(ada, "pro")
    [issued] = await shared.world.invoices(ada)
    given = {"invoiceId": encode("invoice", issued.id), "memo": "late"}
    refused = await shared.change("setDraftHeading", _SET, shared.staff("finance"), **given)
    assert (refused["__typename"], refused["code"]) == ("Conflict", "invoice_state_refused")
