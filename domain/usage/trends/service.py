"""Read what counters counted over time, from the hours that are kept of them."""

from collections.abc import Collection, Sequence
from decimal import Decimal

from domain.db import Tx
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.kernel.period import Period
from domain.plans.meter import Meter
from domain.subscriptions import service as subscriptions
from domain.usage.trends import store
from domain.usage.trends.buckets import Counted


async def counted_during(
    tx: Tx,
    customer_id: CustomerId,
    subscription_ids: Collection[SubscriptionId],
    meters: Sequence[Meter],
    *,
    stretches: Sequence[Period],
    dimension: str,
) -> list[Counted]:
    """Return what counters counted in stretches of time that follow one another, under all plan versions.

    Stretches begin at full hours of the customer's zone: an hour is in the stretch in which it begins. A counter
    without the dimension stands under the empty text. The caller has checked the permission usage:read and the scope.
    """
    assert all(meter.is_counter for meter in meters), "other quantities are not sums of hours"
    found: list[dict[tuple[MeterId, str], Decimal]] = [{} for _ in stretches]
    if not subscription_ids or not stretches:
        return list(found)
    segments = await subscriptions.segments_of(tx, subscription_ids, ending_after=stretches[0].start)
    sums = await store.list_sums(
        tx,
        customer_id,
        [each.id for own in segments.values() for each in own],
        [meter.id for meter in meters],
        borders=[*(each.start for each in stretches), stretches[-1].end],
        dimension=dimension,
    )
    for each in sums:
        found[each.bucket][each.meter_id, each.value] = each.quantity
    return list(found)
