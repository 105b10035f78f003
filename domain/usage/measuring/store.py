"""What is read of totals that are not sums of hours: few statements, each for any number of meters and segments."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from domain.kernel.ids import CustomerId, MeterId, ProductId, SegmentId, SubscriptionId
from domain.usage.measure import WHOLE, Kind, Part, Scope

Driver = asyncpg.Connection

_KINDS = """
SELECT id, aggregation, percent, carries_over, by_days FROM meter
WHERE product_id = ANY($1::uuid[]) AND aggregation NOT IN ('count', 'sum', 'cost')
"""

_PARTS = """
SELECT t.segment_id, g.start_at, t.meter_id, t.dimensions, t.quantity, t.events,
       (SELECT sum(b.quantity) FROM usage_beside b
        WHERE b.customer_id = t.customer_id AND b.segment_id = t.segment_id AND b.meter_id = t.meter_id
          AND (b.dimensions = t.dimensions OR t.dimensions = '00000000-0000-0000-0000-000000000000')) AS beside
FROM segment g JOIN usage_total t ON t.customer_id = g.customer_id AND t.segment_id = g.id
WHERE g.customer_id = $1::uuid AND g.subscription_id = $2::uuid AND g.start_at >= $3 AND t.meter_id = ANY($4::uuid[])
ORDER BY g.start_at
"""

_LEVELS = """
SELECT meter_id, dimensions, quantity FROM usage_level
WHERE customer_id = $1::uuid AND subscription_id = $2::uuid AND meter_id = ANY($3::uuid[])
"""

_VALUES = """
SELECT meter_id, dimensions, segment_id, value, sum(events)::bigint AS events FROM usage_value
WHERE customer_id = $1::uuid AND segment_id = ANY($2::uuid[]) AND meter_id = ANY($3::uuid[])
GROUP BY meter_id, dimensions, segment_id, value
"""

_KEYS = """
SELECT meter_id, dimensions, count(*) FILTER (WHERE value = 1) AS keys
FROM (SELECT DISTINCT ON (meter_id, dimensions, key) meter_id, dimensions, value FROM usage_reading
      WHERE customer_id = $1::uuid AND subscription_id = $2::uuid AND meter_id = ANY($3::uuid[])
        AND segment_id = ANY($4::uuid[])
      ORDER BY meter_id, dimensions, key, occurred_at DESC, id DESC) newest
GROUP BY meter_id, dimensions
"""

_DIMENSION_SETS = """
SELECT id, "values"::text AS written FROM dimension_set WHERE customer_id = $1::uuid AND id = ANY($2::uuid[])
"""

_HOURS = """
SELECT h.hour_at, h.quantity, COALESCE(b.quantity, 0) AS removed
FROM segment g JOIN usage_hour h ON h.customer_id = g.customer_id AND h.segment_id = g.id
LEFT JOIN usage_beside b ON b.customer_id = h.customer_id AND b.segment_id = h.segment_id AND b.meter_id = h.meter_id
    AND b.dimensions = h.dimensions AND b.hour_at = h.hour_at
WHERE g.customer_id = $1::uuid AND g.subscription_id = $2::uuid AND h.meter_id = $3::uuid AND g.end_at > $5
  AND h.hour_at >= $5 AND ($4::uuid = '00000000-0000-0000-0000-000000000000' OR h.dimensions = $4::uuid)
"""

_STEPS = """
SELECT occurred_at, key::text AS key, value = 1 AS there FROM usage_reading
WHERE customer_id = $1::uuid AND subscription_id = $2::uuid AND meter_id = $3::uuid AND dimensions = $4::uuid
  AND occurred_at >= $5 AND occurred_at < $6
ORDER BY occurred_at, id
"""

_STOOD = """
SELECT key FROM (SELECT DISTINCT ON (key) key::text AS key, value FROM usage_reading
                 WHERE customer_id = $1::uuid AND subscription_id = $2::uuid AND meter_id = $3::uuid
                   AND dimensions = $4::uuid AND occurred_at < $5
                 ORDER BY key, occurred_at DESC, id DESC) newest
WHERE value = 1
"""

_SEGMENTS = """
SELECT g.id, g.subscription_id, g.start_at, g.end_at, g.period_start_at, g.period_end_at, s.product_id,
       COALESCE(g.zone, c.zone) AS zone
FROM segment g JOIN subscription s ON s.customer_id = g.customer_id AND s.id = g.subscription_id
JOIN customer c ON c.customer_id = g.customer_id
WHERE g.customer_id = $1::uuid AND g.id = ANY($2::uuid[])
ORDER BY g.subscription_id, g.start_at
"""


async def list_kinds(driver: Driver, products: Collection[ProductId]) -> list[Kind]:
    """Return the meters of products whose totals are not read by adding hours up."""
    return [
        Kind(
            MeterId(row["id"]),
            row["aggregation"],
            None if row["percent"] is None else Fraction(row["percent"]),
            row["carries_over"] or row["aggregation"] in {"level", "weighted_sum"},
            row["by_days"],
        )
        for row in await driver.fetch(_KINDS, list(products))
    ]


async def list_segments(
    driver: Driver, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> Sequence[asyncpg.Record]:
    """Return segments with their subscriptions, products and zones, in order of time."""
    return list(await driver.fetch(_SEGMENTS, customer_id, list(segment_ids)))


async def list_parts(
    driver: Driver,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    since: datetime,
    meters: Collection[MeterId],
) -> dict[Scope, list[Part]]:
    """Return what meters hold in each segment that starts at an instant or later, in order of time."""
    found: dict[Scope, list[Part]] = {}
    for row in await driver.fetch(_PARTS, customer_id, subscription_id, since, list(meters)):
        part = Part(row["segment_id"], row["start_at"], row["quantity"], row["events"], row["beside"] or Decimal(0))
        found.setdefault((row["meter_id"], row["dimensions"]), []).append(part)
    return found


async def list_levels(
    driver: Driver, customer_id: CustomerId, subscription_id: SubscriptionId, meters: Collection[MeterId]
) -> dict[Scope, Decimal]:
    """Return where levels stand now."""
    rows = await driver.fetch(_LEVELS, customer_id, subscription_id, list(meters))
    return {(row["meter_id"], row["dimensions"]): row["quantity"] for row in rows}


async def list_values(
    driver: Driver, customer_id: CustomerId, segments: Collection[SegmentId], meters: Collection[MeterId]
) -> dict[Scope, list[tuple[SegmentId, Decimal, int]]]:
    """Return histograms by segment, of each combination."""
    found: dict[Scope, list[tuple[SegmentId, Decimal, int]]] = {}
    for row in await driver.fetch(_VALUES, customer_id, list(segments), list(meters)):
        value = (row["segment_id"], row["value"], row["events"])
        found.setdefault((row["meter_id"], row["dimensions"]), []).append(value)
    return found


async def count_keys(
    driver: Driver,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    meters: Collection[MeterId],
    segments: Collection[SegmentId],
) -> dict[Scope, int]:
    """Count the keys that are there at the end of segments that follow one another."""
    rows = await driver.fetch(_KEYS, customer_id, subscription_id, list(meters), list(segments))
    return {(row["meter_id"], row["dimensions"]): row["keys"] for row in rows}


async def list_dimension_sets(
    driver: Driver, customer_id: CustomerId, ids: Collection[UUID]
) -> dict[UUID, dict[str, Any]]:
    """Return the values of combinations by their names; the whole has none."""
    named = [each for each in ids if each != WHOLE]
    rows = await driver.fetch(_DIMENSION_SETS, customer_id, named) if named else []
    return {row["id"]: msgspec.json.decode(row["written"]) for row in rows}


async def list_hours(
    driver: Driver, customer_id: CustomerId, subscription_id: SubscriptionId, scope: Scope, since: datetime
) -> list[tuple[datetime, Decimal, Decimal]]:
    """Return (hour, rise, what of it was removed) of a level from an instant on, in all segments."""
    rows = await driver.fetch(_HOURS, customer_id, subscription_id, *scope, since)
    return [(row["hour_at"], row["quantity"], row["removed"]) for row in rows]


async def list_steps(
    driver: Driver,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    scope: Scope,
    span: tuple[datetime, datetime],
) -> list[tuple[datetime, str, bool]]:
    """Return when keys came and went in a span of time, in order."""
    rows = await driver.fetch(_STEPS, customer_id, subscription_id, *scope, *span)
    return [(row["occurred_at"], row["key"], row["there"]) for row in rows]


async def list_standing_keys(
    driver: Driver, customer_id: CustomerId, subscription_id: SubscriptionId, scope: Scope, at: datetime
) -> list[str]:
    """Return the keys that were there just before an instant."""
    return [row["key"] for row in await driver.fetch(_STOOD, customer_id, subscription_id, *scope, at)]
