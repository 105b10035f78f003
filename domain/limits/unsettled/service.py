"""Find calls whose usage nobody told, and list them. Nothing is billed for them: what they used is not known."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId
from domain.limits.unsettled import store
from domain.limits.unsettled.unsettled import Sum, Unsettled

# A settlement is repeated for about a minute; what comes later finds its call in the list, and takes it off.
SETTLED_WITHIN = timedelta(minutes=5)
# Expired reservations that are looked at in one transaction.
LOOK_MAX = 5_000
# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


async def find(tx: Tx, call: Call) -> tuple[int, set[CustomerId]]:
    """Look at the next expired reservations, each once; return how many, and whose calls were found unsettled."""
    reached = await store.lock_reached(tx)
    expired = await store.list_expired(tx, reached, upto=call.at - SETTLED_WITHIN, limit=LOOK_MAX)
    if not expired:
        return 0, set()
    found = [each.reached for each in expired if each.is_unsettled]
    await store.insert_unsettled(tx, [(call.new_id(), each) for each in found], at=call.at)
    await store.save_reached(tx, expired[-1].reached)
    return len(expired), {each.customer_id for each in found}


async def sums_of(tx: Tx, customer_ids: Collection[CustomerId], *, since: datetime) -> list[Sum]:
    """Return what was found of customers since an instant of real time and is unsettled still."""
    return await store.sums_of(tx, customer_ids, since=since) if customer_ids else []


async def list_unsettled(
    tx: Tx, call: Call, *, of: CustomerId | None = None, before: UUID | None = None, limit: int = PAGE_MAX
) -> list[Unsettled]:
    """Return calls of the caller's environment whose usage nobody told, the one found last first; for staff.

    One that is settled or released leaves the list, all of them after RESERVATIONS_KEPT. Raises Forbidden.
    """
    call.need(Permission.STAFF_ALERT_READ)
    if call.scope is not None:
        raise Forbidden(Permission.STAFF_ALERT_READ)
    wanted = max(0, min(limit, PAGE_MAX))
    return await store.list_unsettled(tx, environment=call.principal.environment, of=of, before=before, limit=wanted)
