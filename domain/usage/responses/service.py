"""Read how long calls took."""

from collections.abc import Collection, Sequence

from domain.db import Tx
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.period import Period
from domain.subscriptions import service as subscriptions
from domain.usage.responses import store
from domain.usage.responses.store import Latency

# So many events are read in some tens of milliseconds.
EVENTS_MAX = 5_000


async def latencies_during(
    tx: Tx, customer_id: CustomerId, subscription_ids: Collection[SubscriptionId], during: Period
) -> Sequence[Latency]:
    """Return how long calls took, of the newest EVENTS_MAX events that stand in a stretch of time.

    The caller has checked the permission usage:read and the scope.
    """
    if not subscription_ids:
        return []
    segments = await subscriptions.segments_of(tx, subscription_ids, ending_after=during.start)
    ids = [each.id for own in segments.values() for each in own if each.during.start < during.end]
    return await store.list_latencies(tx, customer_id, ids, during=during, limit=EVENTS_MAX)
