"""The statements of corrections."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.usage.arrays import array, instants
from domain.usage.correction import Toggle
from domain.usage.event import row_ids_between
from domain.usage.recount import CountedEvent

Driver = asyncpg.Connection
_EXACT_JSON = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

_RECEIVED = """
SELECT i.customer_id, i.identity, i.received_at
FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, identity)
JOIN event_identity i ON i.customer_id = k.customer_id AND i.identity = k.identity AND i.verdict = 1
ORDER BY i.customer_id, i.identity FOR UPDATE OF i
"""

_EVENTS = """
SELECT k.identity, e.id, e.customer_id, e.source, e.event_id, e.type, e.occurred_at, e.properties AS kept, e.cost,
       e.corrects, (SELECT array_agg(m.meter_id ORDER BY m.slot) FROM meter_set m WHERE m.id = e.meter_set) AS meters,
       e.subscription_id, e.segment_id, g.start_at, g.end_at, g.period_end_at, s.product_id,
       COALESCE(g.zone, c.zone) AS zone,
       p.provider, p.model,
       COALESCE((SELECT sum(x.sign) FROM usage_correction x WHERE x.customer_id = e.customer_id AND x.id = e.id), 0) = 0
           AS stands,
       COALESCE((SELECT v.type = 'void' FROM usage_correction x
                 JOIN usage_event v ON v.customer_id = x.customer_id AND v.id = x.by_id
                 WHERE x.customer_id = e.customer_id AND x.id = e.id AND x.sign = -1
                 ORDER BY x.received_at DESC, x.by_id DESC LIMIT 1), false) AS put_away_by_void
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[], $4::text::uuid[], $5::text::uuid[],
            $6::text[], $7::text[]) AS k (customer_id, identity, received_at, low, high, source, event_id)
JOIN usage_event e ON e.customer_id = k.customer_id AND e.received_at = k.received_at AND e.id BETWEEN k.low AND k.high
    AND e.source = k.source AND e.event_id = k.event_id
JOIN segment g ON g.customer_id = e.customer_id AND g.id = e.segment_id
JOIN subscription s ON s.customer_id = e.customer_id AND s.id = e.subscription_id
JOIN customer c ON c.customer_id = e.customer_id
LEFT JOIN provider_price p ON p.id = e.price_ids[1]
"""

_INSERT_CORRECTIONS = """
INSERT INTO usage_correction (customer_id, id, by_id, segment_id, sign, received_at)
SELECT * FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::smallint[],
                     $6::text::timestamptz[])
"""

# An event that was counted without a price and is taken back needs none any more.
_RESOLVE = """
UPDATE quarantined_event q SET resolved_at = CASE WHEN k.sign < 0 THEN k.at END
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::smallint[], $4::text::timestamptz[])
     AS k (customer_id, id, sign, at)
WHERE q.customer_id = k.customer_id AND q.id = k.id AND q.reason = 'unpriced'
  AND (k.sign < 0 OR EXISTS (SELECT FROM usage_event e WHERE e.customer_id = q.customer_id AND e.id = q.id
                             AND e.received_at = q.received_at AND e.cost IS NULL))
"""


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """A counted event as it is stored, with where it is counted."""

    identity: bytes
    id: bytes
    customer_id: CustomerId
    event: CountedEvent
    corrects: str | None
    subscription_id: UUID
    product_id: UUID
    segment_id: UUID
    start_at: datetime
    end_at: datetime
    period_end_at: datetime
    zone: str
    stands: bool
    put_away_by_void: bool


async def load_targets(driver: Driver, wanted: Mapping[bytes, tuple[CustomerId, str, str]]) -> Sequence[StoredTarget]:
    """Return counted events by identity; each is asked for with its customer, source and id.

    They are held until the transaction ends, so that what stands is decided by one correction at a time.
    """
    keys = sorted(wanted)
    found = await driver.fetch(
        _RECEIVED, array([wanted[key][0].hex for key in keys]), array([key.hex() for key in keys])
    )
    spans = {row["identity"].bytes: (row["received_at"], *row_ids_between(row["received_at"])) for row in found}
    if not spans:
        return []
    rows = await driver.fetch(
        _EVENTS,
        array([wanted[key][0].hex for key in spans]),
        array([key.hex() for key in spans]),
        instants([span[0] for span in spans.values()]),
        array([span[1].hex() for span in spans.values()]),
        array([span[2].hex() for span in spans.values()]),
        [wanted[key][1] for key in spans],
        [wanted[key][2] for key in spans],
    )
    return [_target(row) for row in rows]


def _target(row: asyncpg.Record) -> StoredTarget:
    priced_as = (row["provider"], row["model"]) if row["provider"] is not None else None
    event = CountedEvent(
        row["source"],
        row["event_id"],
        row["type"],
        row["occurred_at"],
        _EXACT_JSON.decode(row["kept"]),
        row["cost"],
        priced_as,
        tuple(row["meters"] or ()),
    )
    return StoredTarget(
        row["identity"].bytes,
        row["id"].bytes,
        CustomerId(row["customer_id"]),
        event,
        row["corrects"],
        row["subscription_id"],
        row["product_id"],
        row["segment_id"],
        row["start_at"],
        row["end_at"],
        row["period_end_at"],
        row["zone"],
        row["stands"],
        row["put_away_by_void"],
    )


async def insert_corrections(driver: Driver, found: Iterable[tuple[Toggle, bytes, datetime]]) -> None:
    """Keep which events were taken back or counted again, by which event, received when."""
    listed = list(found)
    if not listed:
        return
    entries = [toggle.known.entry for toggle, _, _ in listed]
    customers, ids = array([each.customer_id.hex for each in entries]), array([each.id.hex() for each in entries])
    signs, times = array([str(toggle.sign) for toggle, _, _ in listed]), instants([at for _, _, at in listed])
    await driver.execute(
        _INSERT_CORRECTIONS,
        customers,
        ids,
        array([by_id.hex() for _, by_id, _ in listed]),
        array([each.place.segment.id.hex for each in entries]),
        signs,
        times,
    )
    await driver.execute(_RESOLVE, customers, ids, signs, times)
