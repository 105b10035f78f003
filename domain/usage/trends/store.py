"""The statement that adds hours up into stretches of time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal

from domain.db import Tx
from domain.kernel.ids import CustomerId, MeterId, SegmentId
from domain.kernel.values import dataclass

# Borders come from outside, so that the rules of zones are those of one library. Hours never cross a local midnight.
_SUMS = """
SELECT width_bucket(h.hour_at, $4::timestamptz[]) - 1 AS bucket, h.meter_id,
       COALESCE(d."values" ->> $6, '') AS value, sum(h.quantity) AS quantity
FROM hour_of_meter h
LEFT JOIN dimension_set d ON d.customer_id = h.customer_id AND d.id = h.dimensions
WHERE h.customer_id = $1::uuid AND h.segment_id = ANY($2::uuid[]) AND h.meter_id = ANY($3::uuid[])
  AND h.hour_at >= ($4::timestamptz[])[1] AND h.hour_at < $5::timestamptz
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Sum:
    """What one meter counted in one stretch, by its place, for one value of a dimension."""

    bucket: int
    meter_id: MeterId
    value: str
    quantity: Decimal


async def list_sums(
    tx: Tx,
    customer_id: CustomerId,
    segment_ids: Collection[SegmentId],
    meter_ids: Collection[MeterId],
    *,
    borders: Sequence[datetime],
    dimension: str,
) -> Sequence[Sum]:
    """Return what counters counted between each border and the next, by a dimension; nothing counted is left out."""
    driver = await tx.raw()
    *starts, end = borders
    found = await driver.fetch(_SUMS, customer_id, list(segment_ids), list(meter_ids), starts, end, dimension)
    return [Sum(row["bucket"], row["meter_id"], row["value"], row["quantity"]) for row in found]
