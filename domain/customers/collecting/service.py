"""Set whether a customer's next invoices are charged, or sent to be paid without being charged."""

from domain.access.roles import Permission
from domain.customers import store
from domain.customers.customer import CollectionMethod, Customer, check_present
from domain.customers.service import load_customer
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId, encode


async def set_collection(tx: Tx, call: Call, customer_id: CustomerId, collection: CollectionMethod) -> Customer:
    """Set how invoices that are opened from now on are paid; one that is open keeps its own way. Safe to repeat.

    Only for staff: who is sent an invoice is given credit until it is due. Raises Forbidden, CustomerNotFound,
    CustomerErased.
    """
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    before = await load_customer(tx, call, customer_id)
    check_present(before)
    if before.collection is collection:
        return before
    after = await store.save_collection(tx, before, collection)
    facts = {"collection": collection, "collection_before": before.collection}
    await journal.audit(tx, call, "set_collection", encode("customer", before.id), customer_id=before.id, facts=facts)
    return after
