"""Read usage back: totals for limits, live pages and invoices, raw events and quarantine for staff.

Recording is `recording/service.py`; its `Recorder` is passed on from here.
"""

import re
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from dateutil.relativedelta import relativedelta

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, EventId, MeterId, SegmentId, SubscriptionId
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import store
from domain.usage.facts import Rules
from domain.usage.reading import Hour, MeterUsage, QuarantinedEvent, SegmentTotal, StoredEvent, Usage
from domain.usage.recording.service import Recorder
from domain.usage.recount import CountedEvent, added_by, values_of
from domain.usage.recounting import store as recounting

# A page of 100 that a caller may ask for, with one more to know whether there is another.
PAGE_MAX = 101
# A month has at most 745 hours; with 80 combinations that is a page a caller can still hold.
HOURS_MAX = 60_000
MONTHS_AHEAD = 2
_MONTH_TABLE = "usage_event_"
_MONTH = re.compile(_MONTH_TABLE + r"\d{4}_\d{2}")

__all__ = [
    "HOURS_MAX",
    "MONTHS_AHEAD",
    "PAGE_MAX",
    "Recorder",
    "current_usage",
    "ensure_partitions",
    "hours_of",
    "hours_of_combination",
    "list_events",
    "list_quarantined",
    "oldest_events_at",
    "stream_events",
    "totals_of",
    "usage_of_segments",
    "usage_version",
    "values_of_events",
]


async def current_usage(tx: Tx, customer_id: CustomerId, subscription: Subscription) -> Usage:
    """Return what a subscription has used in its present usage period, under all plan versions of that period.

    From running totals: as fast for a million events as for ten. Levels are shown as they stand now. The version was
    read first, so what is shown is at least as new. The caller has checked the permission usage:read and the scope.
    """
    assert subscription.customer_id == customer_id, "a customer's own subscription"
    version = await store.find_version(tx, customer_id)
    found = await subscriptions.segments_of(tx, [subscription.id], ending_after=subscription.period.start)
    segment_ids = [each.id for each in found[subscription.id] if each.period == subscription.period]
    totals = await store.list_totals(tx, customer_id, segment_ids)
    levels = await store.list_levels(tx, customer_id, subscription.id)
    return Usage(customer_id, subscription.id, subscription.period, version, totals | levels)


async def usage_of_segments(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[SegmentId, list[SegmentTotal]]:
    """Return what each segment counted by meter and combination, summed from its hours, for rating."""
    return await store.list_segment_totals(tx, customer_id, segment_ids)


async def hours_of(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], *, meter_id: MeterId | None = None
) -> Sequence[Hour]:
    """Return what segments counted hour by hour, at most HOURS_MAX, of all meters or of one."""
    return await store.list_hours(tx, customer_id, segment_ids, meter_id=meter_id, limit=HOURS_MAX)


async def usage_version(tx: Tx, customer_id: CustomerId) -> int:
    """Return how many commits have moved the customer's totals; 0 for none yet."""
    return await store.find_version(tx, customer_id)


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


async def totals_of(tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> dict[MeterId, MeterUsage]:
    """Return the running totals of segments, added up by meter: as fast for a million events as for ten."""
    return await store.list_totals(tx, customer_id, segment_ids)


async def hours_of_combination(
    tx: Tx, customer_id: CustomerId, segment_id: SegmentId, meter_id: MeterId, *, dimensions: UUID | None
) -> Sequence[tuple[datetime, Decimal, int, int]]:
    """Return (hour, quantity, events, digest) of a meter in a segment, one row an hour of at most 32 days.

    Of one combination of its dimensions (by its id), or summed over all of them (None).
    """
    return await recounting.list_hours_of_combination(tx, customer_id, segment_id, meter_id, dimensions=dimensions)


def stream_events(tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> AsyncIterator[CountedEvent]:
    """Yield the counted events of segments in the order in which they came in; a few thousand are held at a time."""
    return recounting.stream_events(tx, customer_id, segment_ids)


async def values_of_events(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], meter_id: MeterId, rules: Rules
) -> Sequence[Decimal]:
    """Return what each event of segments added to a meter, in order of time: what a price by the event is taken of."""
    found = [
        (event.occurred_at, added.quantity)
        async for event in stream_events(tx, customer_id, segment_ids)
        for added in added_by(event, rules)
        if added.meter.id == meter_id
    ]
    return values_of(found)


async def oldest_events_at(tx: Tx) -> datetime | None:
    """Return the first instant of the oldest month of receipt whose events are kept in a table of their own.

    Events received before it may have been dropped when their time was over. None where there is no such table.
    """
    names = await store.list_event_partitions(tx)
    months = sorted(name.removeprefix(_MONTH_TABLE) for name in names if _MONTH.fullmatch(name))
    return datetime.strptime(f"{months[0]}+0000", "%Y_%m%z").astimezone(UTC) if months else None


def _page(limit: int) -> int:
    return max(0, min(limit, PAGE_MAX))
