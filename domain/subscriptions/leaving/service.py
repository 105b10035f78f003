"""List why customers leave, and count it. Everybody sees what they may: a customer its own, staff everybody's."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.statement import Row
from domain.subscriptions.leaving import store
from domain.subscriptions.leaving.leaving import Leaving, LeavingRefused, Wanted
from domain.subscriptions.service import feedback_place

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


async def list_leaving(
    tx: Tx, call: Call, wanted: Wanted, *, before: SubscriptionId | None = None, limit: int = PAGE_MAX
) -> Sequence[Leaving]:
    """Return ends that were asked for, of the subscriptions made last first, at most PAGE_MAX.

    An end that was taken back is none. Raises Forbidden, LeavingRefused.
    """
    sight = _sight(call, wanted)
    rows = await store.list_leaving(tx, wanted, sight=sight, before=before, limit=min(limit, PAGE_MAX))
    sealed = {CustomerId(row.customer_id) for row in rows if row.cancel_feedback is not None}
    keys = await customers.data_keys(tx, sealed)

    def read(row: Row) -> str | None:
        # An erased customer has no key any more, and nothing that it opens.
        if row.cancel_feedback is None or row.customer_id not in keys:
            return None
        return tx.vault.open(keys[row.customer_id], feedback_place(row.id), row.cancel_feedback).decode()

    return [
        Leaving(
            row.customer_id, row.id, row.plan_version_id, row.canceled_at, row.ends_at, row.cancel_reason, read(row)
        )
        for row in rows
    ]


async def count_reasons(tx: Tx, call: Call, wanted: Wanted) -> dict[str | None, int]:
    """Count ends that were asked for by their reason, the most frequent first. Raises Forbidden, LeavingRefused."""
    return await store.count_reasons(tx, wanted, sight=_sight(call, wanted))


def _sight(call: Call, wanted: Wanted) -> Sight:
    call.need(Permission.SUBSCRIPTION_READ)
    if wanted.asked.is_backwards:
        raise LeavingRefused
    return Sight(call.scope, call.principal.environment)
