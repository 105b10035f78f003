"""The statements that bring events and hours back, through the driver: events come from a cursor, page by page."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from domain.db import Tx
from domain.kernel.ids import CustomerId, MeterId, SegmentId
from domain.usage.event import DIGEST_MODULUS
from domain.usage.recount import CountedEvent, Counting

# A cursor brings so many events at a time; a reader holds no more of them.
EVENTS_FETCHED = 2_000
# Numbers come back as they were stored: a float would lose digits.
_EXACT_JSON = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

_EVENT = "e.source, e.event_id, e.type, e.occurred_at, e.properties, e.meter_set, e.cost, e.price_ids[1] AS price_id"
_COUNTINGS = f"""
SELECT o.sign, o.source, o.event_id, o.type, o.occurred_at, o.properties AS kept, o.cost, p.provider, p.model,
       s.meters
FROM (SELECT 1 AS sign, e.received_at AS done_at, e.id AS by_id, {_EVENT}
      FROM usage_event e WHERE e.customer_id = $1::uuid AND e.segment_id = ANY($2::uuid[])
      UNION ALL
      SELECT c.sign, c.received_at, c.by_id, {_EVENT}
      FROM usage_correction c JOIN usage_event e ON e.customer_id = c.customer_id AND e.id = c.id
      WHERE c.customer_id = $1::uuid AND c.segment_id = ANY($2::uuid[])) o
LEFT JOIN provider_price p ON p.id = o.price_id
LEFT JOIN LATERAL (SELECT array_agg(m.meter_id ORDER BY m.slot) AS meters FROM meter_set m WHERE m.id = o.meter_set) s
    ON true
ORDER BY o.done_at, o.by_id, o.sign
"""  # noqa: S608 -- the columns are a constant
# Ids are in the order of arrival, so that the newest are found without looking at the others.
_NEWEST = f"""
SELECT o.done_at, o.sign, o.source, o.event_id, o.type, o.occurred_at, o.properties AS kept, o.cost, p.provider,
       p.model, s.meters
FROM ((SELECT 1 AS sign, e.received_at AS done_at, e.id AS by_id, {_EVENT}
       FROM usage_event e WHERE e.customer_id = $1::uuid AND e.segment_id = ANY($2::uuid[]) ORDER BY e.id DESC LIMIT $3)
      UNION ALL
      (SELECT c.sign, c.received_at, c.by_id, {_EVENT}
       FROM usage_correction c JOIN usage_event e ON e.customer_id = c.customer_id AND e.id = c.id
       WHERE c.customer_id = $1::uuid AND c.segment_id = ANY($2::uuid[]) ORDER BY c.by_id DESC LIMIT $3)) o
LEFT JOIN provider_price p ON p.id = o.price_id
LEFT JOIN LATERAL (SELECT array_agg(m.meter_id ORDER BY m.slot) AS meters FROM meter_set m WHERE m.id = o.meter_set) s
    ON true
ORDER BY o.done_at DESC, o.by_id DESC, o.sign DESC
LIMIT $3
"""  # noqa: S608 -- the columns are a constant

_HOURS = f"""
SELECT hour_at, sum(quantity) AS quantity, sum(events)::bigint AS events, mod(sum(digest), {DIGEST_MODULUS}) AS digest
FROM hour_of_meter
WHERE customer_id = $1::uuid AND segment_id = $2::uuid AND meter_id = $3::uuid
  AND ($4::uuid IS NULL OR dimensions = $4::uuid)
GROUP BY hour_at ORDER BY hour_at
"""  # noqa: S608 -- the number is a constant


async def stream_events(tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> AsyncIterator[Counting]:
    """Yield what was counted and taken back in segments, in the order in which it happened."""
    driver = await tx.raw()
    async for row in driver.cursor(_COUNTINGS, customer_id, list(segment_ids), prefetch=EVENTS_FETCHED):
        yield _counting(row)


async def newest_countings(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], *, limit: int
) -> list[tuple[datetime, Counting]]:
    """Return what was counted and taken back last in segments, newest first, each with the instant of its receipt."""
    rows = await (await tx.raw()).fetch(_NEWEST, customer_id, list(segment_ids), limit)
    return [(row["done_at"], _counting(row)) for row in rows]


def _counting(row: Any) -> Counting:
    event = CountedEvent(
        row["source"],
        row["event_id"],
        row["type"],
        row["occurred_at"],
        _EXACT_JSON.decode(row["kept"]),
        row["cost"],
        (row["provider"], row["model"]) if row["provider"] is not None else None,
        tuple(row["meters"] or ()),
    )
    return Counting(row["sign"], event)


async def list_hours(
    tx: Tx, customer_id: CustomerId, segment_id: SegmentId, meter_id: MeterId, *, dimensions: UUID | None
) -> Sequence[tuple[datetime, Decimal, int, int]]:
    """Return (hour, quantity, events, digest) of a meter in a segment: of one combination, or summed over all."""
    driver = await tx.raw()
    rows = await driver.fetch(_HOURS, customer_id, segment_id, meter_id, dimensions)
    return [(row["hour_at"], row["quantity"], row["events"], int(row["digest"])) for row in rows]
