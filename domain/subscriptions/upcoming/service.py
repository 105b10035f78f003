"""Keep starts that lie ahead, and find them. Whoever changes one has locked it."""

from collections.abc import Collection

from domain.db import Tx
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, ProductId, StartId
from domain.subscriptions.upcoming import store
from domain.subscriptions.upcoming.scheduled_start import ScheduledStart, ScheduledStartNotFound, StartAlreadyScheduled

LIST_MAX = 100
LOOKUP_MAX = 1_000


async def keep(tx: Tx, new: ScheduledStart) -> None:
    """Keep a start. Raises StartAlreadyScheduled, also where another transaction schedules one at the same moment."""
    waiting = await store.find_waiting(tx, customer_id=new.customer_id, product_id=new.product_id)
    if waiting is None and await store.insert_start(tx, new):
        return
    waiting = waiting or await store.find_waiting(tx, customer_id=new.customer_id, product_id=new.product_id)
    raise StartAlreadyScheduled((waiting or new).terms.starts_at.isoformat())


async def save(tx: Tx, before: ScheduledStart, after: ScheduledStart) -> ScheduledStart:
    """Write what a start has become."""
    if after != before:
        await store.save_start(tx, after)
    return after


async def find(
    tx: Tx, start_id: StartId, *, scope: CustomerId | None, environment: Environment | None = None
) -> ScheduledStart | None:
    """Return a start, or None where there is none that the caller may see."""
    found = await store.find_start(tx, start_id, scope=scope)
    return found if found and environment in {None, found.environment} else None


async def lock(tx: Tx, start_id: StartId, *, scope: CustomerId) -> ScheduledStart:
    """Return a start and keep others from it until the transaction ends. Raises ScheduledStartNotFound."""
    found = await store.find_start(tx, start_id, scope=scope, lock=True)
    if found is None:
        raise ScheduledStartNotFound
    return found


async def find_waiting(tx: Tx, customer_id: CustomerId, product_id: ProductId) -> ScheduledStart | None:
    """Return the start of a customer and product that waits, or None."""
    return await store.find_waiting(tx, customer_id=customer_id, product_id=product_id)


async def starts_of_customers(
    tx: Tx, customer_ids: Collection[CustomerId], *, scope: CustomerId | None
) -> dict[CustomerId, list[ScheduledStart]]:
    """Return the newest LIST_MAX starts of each of at most LOOKUP_MAX customers in one statement, for loaders."""
    assert len(customer_ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.starts_of_customers(tx, customer_ids, scope=scope, limit=LIST_MAX)
