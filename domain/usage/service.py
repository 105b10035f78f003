"""Read usage back: totals for limits, live pages and invoices, raw events and quarantine for staff.

Recording is `recording/service.py`; its `Recorder` is passed on from here.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from dateutil.relativedelta import relativedelta

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, EventId, MeterId, SegmentId, SubscriptionId
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage import store
from domain.usage.gathering.service import CUSTOMERS_MAX, Known, usage_of_customers
from domain.usage.measuring import service as measuring
from domain.usage.reading import Hour, QuarantinedEvent, SegmentTotal, StoredEvent, Usage
from domain.usage.recording.service import Recorder
from domain.usage.totals import store as totals_store

# A page of 100 that a caller may ask for, with one more to know whether there is another.
PAGE_MAX = 101
# A month has at most 745 hours; with 80 combinations that is a page a caller can still hold.
HOURS_MAX = 60_000
MONTHS_AHEAD = 2

__all__ = [
    "CUSTOMERS_MAX",
    "HOURS_MAX",
    "MONTHS_AHEAD",
    "PAGE_MAX",
    "Known",
    "Recorder",
    "current_usage",
    "ensure_partitions",
    "hold_usage",
    "hours_of",
    "list_events",
    "list_quarantined",
    "usage_of_customers",
    "usage_of_segments",
    "usage_together",
    "usage_version",
]


async def current_usage(
    tx: Tx, customer_id: CustomerId, subscription: Subscription, *, segments: Sequence[Segment] | None = None
) -> Usage:
    """Return what a subscription has used in its present usage period, under all plan versions of that period.

    From running totals: as fast for a million events as for ten. Levels are shown as they stand now. The version is
    read with the totals, so what is shown is at least as new. The caller has checked the permission usage:read and the
    scope. `segments` are those of the period, where the caller knows that no border has moved since it read them.
    """
    assert subscription.customer_id == customer_id, "a customer's own subscription"
    totals = await totals_store.list_period_totals(tx, subscription)
    shown = totals.meters
    if totals.is_measured:
        own = segments
        if own is None:
            found = await subscriptions.segments_of(tx, [subscription.id], ending_after=subscription.period.start)
            own = [each for each in found[subscription.id] if each.period == subscription.period]
        shown = await measuring.usage_of_period(tx, subscription, own, shown)
    return Usage(customer_id, subscription.id, subscription.period, totals.version, shown)


async def usage_of_segments(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[SegmentId, list[SegmentTotal]]:
    """Return what each segment counted and measured by meter and combination, for rating.

    What stood at its start and was not touched in it is measured too, without events.
    """
    return await measuring.totals_of_segments(tx, customer_id, segment_ids)


async def usage_together(tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> list[SegmentTotal]:
    """Return what segments of one usage period counted and measured together by meter and combination, for rating.

    A mean, a percentile or a number of keys is not to be had from what each of them measured.
    """
    return await measuring.totals_together(tx, customer_id, segment_ids)


async def hours_of(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], *, meter_id: MeterId | None = None
) -> Sequence[Hour]:
    """Return what segments counted hour by hour, at most HOURS_MAX, of all meters or of one."""
    return await totals_store.list_hours(tx, customer_id, segment_ids, meter_id=meter_id, limit=HOURS_MAX)


async def hold_usage(tx: Tx, customer_id: CustomerId) -> None:
    """Wait for flushes of a customer's usage that are under way, and hold new ones back until the transaction ends.

    Keep it short: what follows reads in a transaction of its own.
    """
    await totals_store.hold_version(tx, customer_id)


async def usage_version(tx: Tx, customer_id: CustomerId) -> int:
    """Return how many commits have moved the customer's totals; 0 for none yet."""
    return await totals_store.find_version(tx, customer_id)


async def list_events(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    *,
    subscription_id: SubscriptionId | None = None,
    before: EventId | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[StoredEvent]:
    """Return a customer's counted events, the last received first, at most PAGE_MAX. Raises Forbidden.

    `before` is the id of the last one seen. Outside the caller's scope there are none.
    """
    call.need(Permission.EVENT_READ)
    if call.scope not in {None, customer_id}:
        return []
    return await store.list_events(tx, customer_id, subscription_id=subscription_id, before=before, limit=_page(limit))


async def list_quarantined(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId | None = None,
    open_only: bool = True,
    before: EventId | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[QuarantinedEvent]:
    """Return events in quarantine, the last received first, at most PAGE_MAX. Raises Forbidden.

    Those of unknown customers belong to nobody, and only a caller without a scope sees them.
    """
    call.need(Permission.EVENT_READ)
    if customer_id is not None and call.scope not in {None, customer_id}:
        return []
    return await store.list_quarantined(
        tx,
        scope=customer_id or call.scope,
        environment=call.principal.environment,
        open_only=open_only,
        before=before,
        limit=_page(limit),
    )


async def carry_levels(tx: Tx, customer_id: CustomerId, before: SubscriptionId, after: SubscriptionId) -> None:
    """Let the levels of a subscription that has ended stand in the one that follows it. Safe to repeat.

    What a level was at an earlier instant is what it is now less what changed it since, so nothing else is carried.
    """
    await store.copy_levels(tx, customer_id, before, after)


async def ensure_partitions(tx: Tx, at: datetime) -> list[str]:
    """Create the tables of events for the month of a real instant and the next MONTHS_AHEAD; return the new ones.

    Safe to repeat and to run concurrently. Until a month has its table, its events are in the default one.
    """
    first = datetime(at.year, at.month, 1, tzinfo=UTC)
    months = [first + relativedelta(months=n) for n in range(MONTHS_AHEAD + 1)]
    wanted = {f"usage_event_{month:%Y_%m}": month for month in months}
    if not wanted.keys() - await store.list_event_partitions(tx):
        return []
    present = await store.list_event_partitions(tx, lock=True)
    missing = [name for name in wanted if name not in present]
    for name in missing:
        month = wanted[name]
        await store.create_event_partition(tx, name, month, month + relativedelta(months=1))
    return missing


def _page(limit: int) -> int:
    return max(0, min(limit, PAGE_MAX))
