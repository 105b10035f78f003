"""The statements of a flush.

They go through the driver, with arrays as parameters: one statement per table however many rows there are. Arrays are
in the order of the primary key, so that two flushes never wait for each other in a ring.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal

import asyncpg
import msgspec

from domain.kernel.ids import CustomerId, SubscriptionId
from domain.usage.event import row_id
from domain.usage.resolve import Combination, Row
from domain.usage.tally import DIGEST_MODULUS, Total, hour_text
from domain.usage.verdict import Reason, Status

# The driver's connection, inside the transaction of a flush.
Driver = asyncpg.Connection
_COUNTED, _QUARANTINED = "1", "2"

_EPOCHS = """
SELECT s.id, s.epoch FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, id)
JOIN subscription s ON s.customer_id = k.customer_id AND s.id = k.id
"""

_INSERT_IDENTITIES = """
INSERT INTO event_identity (customer_id, identity, payload_digest, verdict, received_at)
SELECT * FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::smallint[],
                     $5::text::timestamptz[])
ON CONFLICT DO NOTHING RETURNING identity
"""

_FIND_IDENTITIES = """
SELECT i.identity, i.payload_digest FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, identity)
JOIN event_identity i ON i.customer_id = k.customer_id AND i.identity = k.identity
"""

_QUARANTINE_IDENTITIES = """
UPDATE event_identity i SET verdict = 2 FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, identity)
WHERE i.customer_id = k.customer_id AND i.identity = k.identity
"""

_DELETE_IDENTITIES = """
DELETE FROM event_identity i USING unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, identity)
WHERE i.customer_id = k.customer_id AND i.identity = k.identity
"""

_INSERT_EVENTS = """
INSERT INTO usage_event (customer_id, id, received_at, source, event_id, type, subscription_id, segment_id, occurred_at,
                         properties, cost, price_ids)
SELECT a, b, c, d, e, f, g, h, i, j::jsonb, k, l::uuid[]
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[], $4::text[], $5::text[], $6::text[],
            $7::text::uuid[], $8::text::uuid[], $9::text::timestamptz[], $10::text[], $11::text::numeric[],
            $12::text[]) AS t (a, b, c, d, e, f, g, h, i, j, k, l)
"""

_INSERT_QUARANTINED = """
INSERT INTO quarantined_event (customer_id, id, received_at, environment, product, source, event_id, type, customer,
                               subscription, occurred_at, properties, reason, detail)
SELECT a, b, c, d, e, f, g, h, i, j, k, l::jsonb, m, n
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::text::timestamptz[], $12::text[],
            $13::text[], $14::text[])
     AS t (a, b, c, d, e, f, g, h, i, j, k, l, m, n)
"""

_ADD_HOURS = f"""
INSERT INTO usage_hour AS t (customer_id, segment_id, meter_id, dimensions, hour_at, quantity, events, digest)
SELECT a, b, c, d, timestamptz 'epoch' + e * interval '1 microsecond', f, g, h
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::bigint[],
            $6::text::numeric[], $7::text::bigint[], $8::text::numeric[])
     AS k (a, b, c, d, e, f, g, h)
ON CONFLICT (customer_id, segment_id, meter_id, dimensions, hour_at) DO UPDATE
SET quantity = t.quantity + excluded.quantity, events = t.events + excluded.events,
    digest = mod(t.digest + excluded.digest, {DIGEST_MODULUS})
"""  # noqa: S608 -- the number is a constant

_ADD_TOTALS = """
WITH written AS (
    INSERT INTO usage_total AS t (customer_id, segment_id, meter_id, dimensions, quantity, events)
    SELECT a, b, c, d, e, f
    FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::numeric[],
            $6::text::bigint[]) AS k (a, b, c, d, e, f)
    ON CONFLICT (customer_id, segment_id, meter_id, dimensions) DO UPDATE
    SET quantity = t.quantity + excluded.quantity, events = t.events + excluded.events
    RETURNING t.customer_id, t.segment_id, t.meter_id, t.dimensions, t.xmax = 0 AS is_new
)
SELECT customer_id, segment_id, meter_id, dimensions FROM written
WHERE is_new AND dimensions <> '00000000-0000-0000-0000-000000000000'
"""

_COMBINATIONS = """
SELECT t.customer_id, t.segment_id, t.meter_id, t.dimensions
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[]) AS k (customer_id, segment_id, meter_id)
JOIN usage_total t USING (customer_id, segment_id, meter_id)
WHERE t.dimensions <> '00000000-0000-0000-0000-000000000000'
"""

_LOCK_LEVELS = """
INSERT INTO usage_level AS t (customer_id, subscription_id, meter_id, dimensions, quantity)
SELECT a, b, c, d, 0
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[]) AS k (a, b, c, d)
ON CONFLICT (customer_id, subscription_id, meter_id, dimensions) DO UPDATE SET quantity = t.quantity
RETURNING t.customer_id, t.subscription_id, t.meter_id, t.dimensions, t.quantity
"""

_SAVE_LEVELS = """
UPDATE usage_level t SET quantity = k.e
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::numeric[])
     AS k (a, b, c, d, e)
WHERE t.customer_id = k.a AND t.subscription_id = k.b AND t.meter_id = k.c AND t.dimensions = k.d
"""

_INSERT_DIMENSION_SETS = """
INSERT INTO dimension_set (customer_id, id, "values")
SELECT a, b, c::jsonb FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text[]) AS k (a, b, c) ON CONFLICT DO NOTHING
"""

_RAISE_VERSIONS = """
INSERT INTO usage_version AS t (customer_id, version) SELECT a, 1 FROM unnest($1::text::uuid[]) AS k (a)
ON CONFLICT (customer_id) DO UPDATE SET version = t.version + 1
"""


async def load_epochs(driver: Driver, ids: Collection[tuple[CustomerId, SubscriptionId]]) -> dict[SubscriptionId, int]:
    """Return the epochs of subscriptions whose buckets are held."""
    rows = await driver.fetch(_EPOCHS, _array([each[0].hex for each in ids]), _array([each[1].hex for each in ids]))
    return {row["id"]: row["epoch"] for row in rows}


async def insert_identities(driver: Driver, rows: Iterable[Row]) -> set[bytes]:
    """Insert identities with the verdicts they have so far; return those that were new."""
    ordered = sorted(rows, key=_by_identity)
    found = await driver.fetch(
        _INSERT_IDENTITIES,
        _array([row.customer_id.hex for row in ordered]),
        _array([row.identity.hex() for row in ordered]),
        _array([row.envelope.payload_digest.hex() for row in ordered]),
        _array([_COUNTED if row.verdict.status is Status.COUNTED else _QUARANTINED for row in ordered]),
        _array([row.request.received_text for row in ordered]),
    )
    return {row[0].bytes for row in found}


async def find_identities(driver: Driver, rows: Collection[Row]) -> dict[bytes, bytes]:
    """Return the payload digests of the identities that are stored."""
    if not rows:
        return {}
    found = await driver.fetch(_FIND_IDENTITIES, *_identity_columns(rows))
    return {row[0].bytes: row[1].bytes for row in found}


async def save_identities_quarantined(driver: Driver, rows: Collection[Row]) -> None:
    """Mark identities of this transaction whose rows turned out not to count."""
    if rows:
        await driver.execute(_QUARANTINE_IDENTITIES, *_identity_columns(rows))


async def delete_identities(driver: Driver, rows: Collection[Row]) -> None:
    """Take back identities of this transaction whose rows were rejected: the sender may use them again."""
    if rows:
        await driver.execute(_DELETE_IDENTITIES, *_identity_columns(rows))


async def insert_events(driver: Driver, rows: Sequence[Row]) -> None:
    """Insert counted events."""
    if not rows:
        return
    places = [row.place for row in rows if row.place is not None]
    assert len(places) == len(rows), "a counted row has a place"
    await driver.execute(
        _INSERT_EVENTS,
        _array([row.customer_id.hex for row in rows]),
        _array([row_id(row.request.received_at, row.identity).hex() for row in rows]),
        _array([row.request.received_text for row in rows]),
        [row.request.sender.source for row in rows],
        [row.envelope.event.id for row in rows],
        [row.envelope.event.type for row in rows],
        _array([place.subscription.id.hex for place in places]),
        _array([place.segment.id.hex for place in places]),
        _array([row.occurred_at.isoformat() for row in rows]),
        [row.kept.decode() for row in rows],
        _array(["NULL" if row.cost is None else str(row.cost) for row in rows]),
        [f"{{{','.join(map(str, row.price_ids))}}}" if row.price_ids else None for row in rows],
    )


async def insert_quarantined(driver: Driver, kept: Sequence[tuple[Row, Reason, str | None]]) -> None:
    """Insert events that could not be counted or not priced, each with its reason."""
    if not kept:
        return
    await driver.execute(
        _INSERT_QUARANTINED,
        _array([row.customer_id.hex for row, _, _ in kept]),
        _array([row_id(row.request.received_at, row.identity).hex() for row, _, _ in kept]),
        _array([row.request.received_text for row, _, _ in kept]),
        [str(row.request.sender.environment) for row, _, _ in kept],
        [row.request.sender.product_key for row, _, _ in kept],
        [row.request.sender.source for row, _, _ in kept],
        [row.envelope.event.id for row, _, _ in kept],
        [row.envelope.event.type for row, _, _ in kept],
        [row.envelope.event.customer for row, _, _ in kept],
        [row.envelope.event.subscription for row, _, _ in kept],
        _array([row.occurred_at.isoformat() for row, _, _ in kept]),
        [row.envelope.canonical.decode() for row, _, _ in kept],
        [str(reason) for _, reason, _ in kept],
        [detail for _, _, detail in kept],
    )


async def add_hours(driver: Driver, hours: Mapping[bytes, Total]) -> None:
    """Add to the totals of hours, by their 72-byte keys."""
    keys = sorted(hours)
    sums = [hours[key] for key in keys]
    await driver.execute(
        _ADD_HOURS,
        *_columns(keys, 4),
        _array([hour_text(key) for key in keys]),
        _array([str(each.quantity) for each in sums]),
        _array([str(each.events) for each in sums]),
        _array([str(each.digest % DIGEST_MODULUS) for each in sums]),
    )


async def add_totals(driver: Driver, totals: Mapping[bytes, Total]) -> set[bytes]:
    """Add to running totals, by their 64-byte keys; return the keys of combinations that were new."""
    keys = sorted(totals)
    sums = [totals[key] for key in keys]
    rows = await driver.fetch(
        _ADD_TOTALS,
        *_columns(keys, 4),
        _array([str(each.quantity) for each in sums]),
        _array([str(each.events) for each in sums]),
    )
    return {b"".join(part.bytes for part in row) for row in rows}


async def list_combinations(driver: Driver, groups: Collection[bytes]) -> dict[bytes, set[bytes]]:
    """Return the combinations of meters within segments, by the 48-byte keys of those groups."""
    found: dict[bytes, set[bytes]] = {group: set() for group in groups}
    for customer_id, segment_id, meter_id, dimensions in await driver.fetch(_COMBINATIONS, *_columns(groups, 3)):
        found[customer_id.bytes + segment_id.bytes + meter_id.bytes].add(dimensions.bytes)
    return found


async def lock_levels(driver: Driver, keys: Collection[bytes]) -> dict[bytes, Decimal]:
    """Hold levels until the transaction ends, those that were never reported as 0, and return where they stand."""
    rows = await driver.fetch(_LOCK_LEVELS, *_columns(sorted(keys), 4))
    return {b"".join(part.bytes for part in row[:4]): row[4] for row in rows}


async def save_levels(driver: Driver, levels: Mapping[bytes, Decimal]) -> None:
    """Set levels that this transaction holds."""
    if levels:
        await driver.execute(_SAVE_LEVELS, *_columns(levels, 4), _array([str(level) for level in levels.values()]))


async def insert_dimension_sets(driver: Driver, combinations: Mapping[bytes, Combination]) -> None:
    """Keep the values of combinations, by customer and id; those that are known stay."""
    if combinations:
        keys = sorted(combinations)
        await driver.execute(_INSERT_DIMENSION_SETS, *_columns(keys, 2), [_values(combinations[key]) for key in keys])


async def raise_versions(driver: Driver, customers: Iterable[CustomerId]) -> None:
    """Count one commit more for each customer whose totals move."""
    await driver.execute(_RAISE_VERSIONS, _array([each.hex for each in sorted(customers)]))


def _by_identity(row: Row) -> bytes:
    return row.customer_id.bytes + row.identity


def _identity_columns(rows: Collection[Row]) -> tuple[str, str]:
    ordered = sorted(rows, key=_by_identity)
    return _array([row.customer_id.hex for row in ordered]), _array([row.identity.hex() for row in ordered])


def _columns(keys: Collection[bytes], parts: int) -> list[str]:
    """Cut keys into their ids, an array for each column."""
    texts = [key.hex() for key in keys]
    return [_array([text[start : start + 32] for text in texts]) for start in range(0, 32 * parts, 32)]


def _array(values: Iterable[str]) -> str:
    """Write an array of ids, numbers or instants: the driver takes ten times as long for a list of the same."""
    return f"{{{','.join(values)}}}"


def _values(combination: Combination) -> str:
    written = msgspec.json.encode(dict(zip(combination.names, combination.values, strict=True)), order="sorted")
    return written.decode()
