"""Read events back in the order in which they were counted, and totals and hours beside them."""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.kernel.ids import CustomerId, MeterId, SegmentId
from domain.usage import store as usage_store
from domain.usage.facts import Rules
from domain.usage.reading import MeterUsage
from domain.usage.recount import Counting, added_by, move_value, values_of
from domain.usage.recounting import store
from domain.usage.totals import store as totals_store

_MONTH_TABLE = "usage_event_"
_MONTH = re.compile(_MONTH_TABLE + r"\d{4}_\d{2}")


async def totals_of(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> Mapping[MeterId, MeterUsage]:
    """Return the running totals of segments, added up by meter: as fast for a million events as for ten."""
    return (await totals_store.list_totals(tx, customer_id, segment_ids)).meters


async def hours_of_combination(
    tx: Tx, customer_id: CustomerId, segment_id: SegmentId, meter_id: MeterId, *, dimensions: UUID | None
) -> Sequence[tuple[datetime, Decimal, int, int]]:
    """Return (hour, quantity, events, digest) of a meter in a segment, one row an hour of at most 32 days.

    Of one combination of its dimensions (by its id), or summed over all of them (None).
    """
    return await store.list_hours(tx, customer_id, segment_id, meter_id, dimensions=dimensions)


def stream_events(tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> AsyncIterator[Counting]:
    """Yield what was counted and taken back in segments, in the order in which it happened.

    A few thousand events are held at a time, however many there are.
    """
    return store.stream_events(tx, customer_id, segment_ids)


async def newest_countings(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], *, limit: int
) -> list[tuple[datetime, Counting]]:
    """Return what was counted and taken back last in segments, newest first, each with the instant of its receipt."""
    return await store.newest_countings(tx, customer_id, segment_ids, limit=limit)


async def values_of_events(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], meter_id: MeterId, rules: Rules
) -> Sequence[Decimal]:
    """Return what each event of segments added to a meter, in order of time: what a price by the event is taken of."""
    found: list[tuple[datetime, Decimal]] = []
    async for sign, event in stream_events(tx, customer_id, segment_ids):
        for added in added_by(event, rules):
            if added.meter.id == meter_id:
                move_value(found, (event.occurred_at, added.quantity), sign)
    return values_of(found)


async def oldest_events_at(tx: Tx, customer_id: CustomerId) -> datetime | None:
    """Return the first instant of the oldest month of receipt whose events are kept in a table of their own.

    Events received before it may have been dropped when their time was over. None where there is no such table. Of an
    erased customer whose books need not be kept any more all events are deleted: then it is the instant of the erasure.
    """
    ended = await erasing.find_ended(tx, customer_id)
    if ended is not None:
        return ended
    names = await usage_store.list_event_partitions(tx)
    months = sorted(name.removeprefix(_MONTH_TABLE) for name in names if _MONTH.fullmatch(name))
    return datetime.strptime(f"{months[0]}+0000", "%Y_%m%z").astimezone(UTC) if months else None
