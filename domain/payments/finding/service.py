"""Find customers by an id of the gateway."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId
from domain.payments.finding import store
from domain.payments.listing.filter import PaymentFilter, check

# An id of the gateway is one customer's, but for a method that was moved by hand.
FOUND_MAX = 100


async def customers_of(tx: Tx, call: Call, gateway_id: str) -> Sequence[CustomerId]:
    """Return whose customer, payment, invoice, method, refund, dispute or subscription at the gateway has this id.

    Whether the caller may see them is for whoever loads them. Raises Forbidden, PaymentFilterRefused.
    """
    call.need(Permission.PAYMENT_READ)
    check(PaymentFilter(gateway_payment_id=gateway_id))
    return await store.list_customers_of(tx, gateway_id, limit=FOUND_MAX)
