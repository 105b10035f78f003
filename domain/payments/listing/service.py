"""List payment attempts of all customers that the caller may see."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import AttemptId
from domain.payments.attempt import Attempt
from domain.payments.listing import store
from domain.payments.listing.filter import PaymentFilter, check

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


async def list_attempts(
    tx: Tx, call: Call, wanted: PaymentFilter, *, before: AttemptId | None = None, limit: int = PAGE_MAX
) -> Sequence[Attempt]:
    """Return attempts, the last ones first, at most PAGE_MAX; `before` is the id of the last one seen.

    Raises Forbidden, PaymentFilterRefused, CustomerNotFound.
    """
    call.need(Permission.PAYMENT_READ)
    check(wanted)
    if wanted.customer_id is not None:
        await customers.load_customer(tx, call, wanted.customer_id)
    sight = Sight(call.scope, call.principal.environment)
    return await store.list_attempts(tx, wanted, sight=sight, before=before, limit=min(limit, PAGE_MAX))
