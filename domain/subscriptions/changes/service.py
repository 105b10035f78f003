"""Keep what was asked for, and find what waits. The caller holds the subscription locked."""

from collections.abc import Collection

from domain.db import Tx
from domain.kernel.ids import ChangeId, CustomerId, InvoiceId, SubscriptionId
from domain.subscriptions.change import Change, ChangeState, waiting_in
from domain.subscriptions.changes import store
from domain.subscriptions.subscription import Subscription

LOOKUP_MAX = 1_000


async def keep(tx: Tx, new: Change) -> None:
    """Keep a change; one that waits in the same state has to be over before."""
    await store.insert_change(tx, new)


async def move(tx: Tx, of: Change, state: ChangeState) -> None:
    """Note what became of a change."""
    await store.save_change_state(tx, of, state)


async def find(tx: Tx, customer_id: CustomerId, change_id: ChangeId) -> Change | None:
    """Return a change of a customer, or None."""
    return await store.find_change(tx, customer_id, change_id)


async def find_waiting(tx: Tx, subscription: Subscription, state: ChangeState) -> Change | None:
    """Return the change of a subscription that waits in a state, or None."""
    found = await store.waiting_of(tx, [subscription.id], scope=subscription.customer_id)
    return waiting_in(found[subscription.id], state)


async def waiting_of(
    tx: Tx, ids: Collection[SubscriptionId], *, scope: CustomerId | None
) -> dict[SubscriptionId, list[Change]]:
    """Return the changes that wait of at most LOOKUP_MAX subscriptions in one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.waiting_of(tx, ids, scope=scope)


async def lapsed_for(tx: Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> list[Change]:
    """Return the upgrades that waited for an invoice and have lapsed: at most one."""
    return await store.lapsed_for(tx, customer_id, invoice_id)
