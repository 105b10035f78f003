"""The statements that bring events and hours back: events come from a cursor, page by page."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from domain.db import Tx
from domain.kernel.ids import CustomerId, MeterId, SegmentId
from domain.usage.recount import CountedEvent
from domain.usage.store import usage_hour
from domain.usage.tally import DIGEST_MODULUS

# Numbers come back as they were stored: a float would lose digits.
_EXACT_JSON = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
# A cursor brings so many events at a time; a reader holds no more of them.
EVENTS_FETCHED = 2_000
_EVENTS_OF_SEGMENTS = """
SELECT e.source, e.event_id, e.type, e.occurred_at, e.properties::text AS kept, e.cost, p.provider, p.model
FROM usage_event e LEFT JOIN provider_price p ON p.id = e.price_ids[1]
WHERE e.customer_id = $1::uuid AND e.segment_id = ANY($2::uuid[])
ORDER BY e.received_at, e.id
"""


async def stream_events(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> AsyncIterator[CountedEvent]:
    """Yield the counted events of segments in the order in which they came in, from a cursor of the server."""
    driver = await tx.raw()
    async for row in driver.cursor(_EVENTS_OF_SEGMENTS, customer_id, list(segment_ids), prefetch=EVENTS_FETCHED):
        yield CountedEvent(
            row["source"],
            row["event_id"],
            row["type"],
            row["occurred_at"],
            _EXACT_JSON.decode(row["kept"]),
            row["cost"],
            (row["provider"], row["model"]) if row["provider"] is not None else None,
        )


async def list_hours_of_combination(
    tx: Tx, customer_id: CustomerId, segment_id: SegmentId, meter_id: MeterId, *, dimensions: UUID | None
) -> Sequence[tuple[datetime, Decimal, int, int]]:
    """Return (hour, quantity, events, digest) of a meter in a segment: of one combination, or summed over all."""
    own = usage_hour.c
    statement = (
        sa.select(
            own.hour_at,
            sa.func.sum(own.quantity).label("quantity"),
            sa.func.sum(own.events).label("events"),
            sa.func.mod(sa.func.sum(own.digest), sa.literal(DIGEST_MODULUS, sa.Numeric)).label("digest"),
        )
        .where(own.customer_id == customer_id, own.segment_id == segment_id, own.meter_id == meter_id)
        .group_by(own.hour_at)
        .order_by(own.hour_at)
    )
    if dimensions is not None:
        statement = statement.where(own.dimensions == dimensions)
    return [(row.hour_at, row.quantity, int(row.events), int(row.digest)) for row in await tx.rows(statement)]
