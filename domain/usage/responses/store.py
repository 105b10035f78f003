"""The statement that reads response times out of stored events."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal

from domain.db import Tx
from domain.kernel.ids import CustomerId, SegmentId
from domain.kernel.period import Period
from domain.kernel.values import dataclass

# The newest of each segment come from its index, and the newest of all are kept: however many events there are, no more
# than the bound for each segment are looked at. What was voided or replaced is left out of them.
_LATENCIES = """
WITH newest AS MATERIALIZED (
    SELECT n.id, n.occurred_at, n.properties
    FROM unnest($2::uuid[]) AS s (segment_id) CROSS JOIN LATERAL (
        SELECT e.id, e.occurred_at, e.properties FROM usage_event e
        WHERE e.customer_id = $1::uuid AND e.segment_id = s.segment_id
          AND e.occurred_at >= $3::timestamptz AND e.occurred_at < $4::timestamptz
        ORDER BY e.occurred_at DESC LIMIT $5) n
    ORDER BY n.occurred_at DESC LIMIT $5),
parsed AS MATERIALIZED (SELECT id, occurred_at, properties::jsonb AS said FROM newest)
SELECT COALESCE(p.said ->> 'provider', '') AS provider, (p.said ->> 'latency_ms')::numeric AS latency_ms,
       count(*) AS calls, min(p.occurred_at) AS first_at
FROM parsed p
WHERE p.said ->> 'latency_ms' IS NOT NULL
  AND COALESCE((SELECT sum(x.sign) FROM usage_correction x WHERE x.customer_id = $1::uuid AND x.id = p.id), 0) = 0
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """How many calls to a provider, as it was reported, took just so long; `first_at` is when the oldest occurred."""

    provider: str
    latency_ms: Decimal
    calls: int
    first_at: datetime


async def list_latencies(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId], *, during: Period, limit: int
) -> Sequence[Latency]:
    """Return the response times among the newest `limit` events of segments in a stretch of time."""
    driver = await tx.raw()
    found = await driver.fetch(_LATENCIES, customer_id, list(segment_ids), during.start, during.end, limit)
    return [Latency(row["provider"], row["latency_ms"], row["calls"], row["first_at"]) for row in found]
