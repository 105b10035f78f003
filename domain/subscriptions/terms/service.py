"""Begin a term, have a pending one take effect or lapse, and look terms up.

Whoever changes what a subscription is billed by begins a term in the same transaction, under the subscription's lock.
"""

from collections.abc import Collection
from datetime import datetime

from domain.db import Tx
from domain.kernel.ids import SubscriptionId
from domain.subscriptions.subscription import Source, Status, Subscription
from domain.subscriptions.term import Term, charged, term_of
from domain.subscriptions.terms import store

# More than ten years of a change every other week; fees of before are not looked at any more.
TERMS_MAX = 300
_UNBILLED = frozenset((Status.TRIALING, Status.PAUSED))


async def begin_term(
    tx: Tx,
    subscription: Subscription,
    at: datetime,
    *,
    billed: bool | None = None,
    pending: bool = False,
    known_at: datetime | None = None,
) -> None:
    """Have a subscription be under what it now is from an instant on; terms from there on are replaced.

    A pending one takes the place of one of the same instant only while it waits. `known_at` as in `Term`. Unless
    `billed` says otherwise, it owes fees but for a trial and a pause. What Stripe bills has no terms. Safe to repeat.
    """
    if subscription.source is Source.STRIPE:
        return
    if billed is None:
        billed = subscription.status not in _UNBILLED
    if pending:
        await store.delete_pending(tx, subscription.customer_id, subscription.id)
    else:
        await store.delete_terms_from(tx, subscription.customer_id, subscription.id, at)
    await store.insert_term(tx, term_of(subscription, at, billed=billed, pending=pending, known_at=known_at))


async def drop_pending(tx: Tx, subscription: Subscription) -> None:
    """Take back the pending term: its fees are derived no more, and what it stood for holds again. Safe to repeat."""
    await store.delete_pending(tx, subscription.customer_id, subscription.id)


async def terms_of(tx: Tx, subscription_ids: Collection[SubscriptionId]) -> dict[SubscriptionId, list[Term]]:
    """Return the terms of subscriptions that are charged, in order of time, at most the newest TERMS_MAX of each."""
    found = await store.terms_of(tx, subscription_ids, limit=TERMS_MAX)
    return {subscription_id: charged(terms) for subscription_id, terms in found.items()}
