"""The statements that write what is counted.

They go through the driver, with arrays as parameters: one statement per table however many rows there are. Arrays are
in the order of the primary key, so that two flushes never wait for each other in a ring.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache

import asyncpg
import msgspec

from domain.kernel.ids import CustomerId, ProviderPriceId
from domain.usage.arrays import array, columns, texts, where_any
from domain.usage.combination import Combination
from domain.usage.event import DIGEST_MODULUS
from domain.usage.resolve import Row
from domain.usage.tally import Total, hour_text
from domain.usage.verdict import Reason

# The driver's connection, inside the transaction of a flush.
Driver = asyncpg.Connection

_ID_LETTERS = 32
# JSON never holds this character, so it parts one event's properties from the next one's.
_UNIT_SEPARATOR = "\x1f"
_PRICE_LISTS_MAX = 4_096

_EPOCHS = """
SELECT s.id, s.epoch FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, id)
JOIN subscription s ON s.customer_id = k.customer_id AND s.id = k.id
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
                         properties, meter_set, cost, price_ids, corrects)
SELECT a, b, c, d, e, f, g, h, i, j, k, l, m::uuid[], n
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[], $4::text::text[], $5::text[],
            $6::text::text[], $7::text::uuid[], $8::text::uuid[], $9::text::timestamptz[],
            string_to_array($10::text, E'\\x1f'), $11::text::uuid[], $12::text::numeric[], $13::text::text[],
            $14::text[]) AS t (a, b, c, d, e, f, g, h, i, j, k, l, m, n)
"""

_INSERT_QUARANTINED = """
INSERT INTO quarantined_event (customer_id, id, received_at, environment, product, source, event_id, type, customer,
                               subscription, sender_customer_id, corrects, occurred_at, sealed, reason, detail)
SELECT a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::timestamptz[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::uuid[], $12::text[], $13::text::timestamptz[],
            $14::bytea[], $15::text[], $16::text[])
     AS t (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
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

# An insert of fewer than no events would be refused before it is found to be an update.
_TAKE_HOURS = f"""
UPDATE usage_hour t SET quantity = t.quantity + f, events = t.events + g, digest = mod(t.digest + h, {DIGEST_MODULUS})
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::bigint[],
            $6::text::numeric[], $7::text::bigint[], $8::text::numeric[])
     AS k (a, b, c, d, e, f, g, h)
WHERE t.customer_id = a AND t.segment_id = b AND t.meter_id = c AND t.dimensions = d
  AND t.hour_at = timestamptz 'epoch' + e * interval '1 microsecond'
"""  # noqa: S608 -- the number is a constant

_TAKE_TOTALS = """
UPDATE usage_total t SET quantity = t.quantity + e, events = t.events + f
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::numeric[],
            $6::text::bigint[]) AS k (a, b, c, d, e, f)
WHERE t.customer_id = a AND t.segment_id = b AND t.meter_id = c AND t.dimensions = d
"""

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

_INSERT_UNPRICED = """
INSERT INTO unpriced_model (provider, model, day)
SELECT * FROM unnest($1::text[], $2::text[], $3::date[])
ON CONFLICT DO NOTHING RETURNING provider, model, day
"""

_RAISE_VERSIONS = """
INSERT INTO usage_version AS t (customer_id, version) SELECT a, 1 FROM unnest($1::text::uuid[]) AS k (a)
ON CONFLICT (customer_id) DO UPDATE SET version = t.version + 1
"""


async def load_epochs(driver: Driver, wanted: Mapping[str, bytes]) -> dict[str, int]:
    """Return the epochs of subscriptions whose buckets are held, by their ids in plain; beside are the customers'."""
    rows = await driver.fetch(_EPOCHS, array([customer.hex() for customer in wanted.values()]), array(wanted))
    return {row["id"].hex: row["epoch"] for row in rows}


async def save_identities_quarantined(driver: Driver, rows: Collection[Row]) -> None:
    """Mark identities of this transaction whose rows turned out not to count."""
    if rows:
        await driver.execute(_QUARANTINE_IDENTITIES, *identity_columns(rows))


async def delete_identities(driver: Driver, rows: Collection[Row]) -> None:
    """Take back identities of this transaction whose rows were rejected: the sender may use them again."""
    if rows:
        await driver.execute(_DELETE_IDENTITIES, *identity_columns(rows))


async def insert_events(driver: Driver, rows: Sequence[Row], ids: Mapping[bytes, bytes]) -> None:
    """Insert counted events under the ids of their rows, by their identities."""
    if not rows:
        return
    places = [row.place for row in rows if row.place is not None]
    assert len(places) == len(rows), "a counted row has a place"
    keys = [place.segment.key.hex() for place in places]
    await driver.execute(
        _INSERT_EVENTS,
        array([key[:_ID_LETTERS] for key in keys]),
        array([ids[row.identity].hex() for row in rows]),
        array([row.request.received_text for row in rows]),
        texts([row.request.sender.source for row in rows]),
        [row.envelope.event.id for row in rows],
        texts([row.envelope.event.type for row in rows]),
        array([place.subscription.hex for place in places]),
        array([key[_ID_LETTERS:] for key in keys]),
        array([row.occurred_at.isoformat() for row in rows]),
        _UNIT_SEPARATOR.join([row.kept.decode() for row in rows]),
        array([row.meters.id.hex() for row in rows]),
        array(["NULL" if row.cost is None else str(row.cost) for row in rows]),
        array([_price_list(row.price_ids) for row in rows]),
        where_any([row.envelope.event.corrects for row in rows]),
    )


@lru_cache(maxsize=_PRICE_LISTS_MAX)
def _price_list(ids: tuple[ProviderPriceId, ...]) -> str:
    """Write the ids of rows of the price list; calls of one model have the same ones."""
    return f'"{{{",".join(map(str, ids))}}}"' if ids else "NULL"


async def insert_quarantined(
    driver: Driver, kept: Sequence[tuple[Row, Reason, str | None]], ids: Mapping[bytes, bytes], sealed: Sequence[bytes]
) -> None:
    """Insert events that could not be counted or not priced, each with its reason and its sealed properties."""
    await driver.execute(
        _INSERT_QUARANTINED,
        array([row.customer_id.hex for row, _, _ in kept]),
        array([ids[row.identity].hex() for row, _, _ in kept]),
        array([row.request.received_text for row, _, _ in kept]),
        [str(row.request.sender.environment) for row, _, _ in kept],
        [row.request.sender.product_key for row, _, _ in kept],
        [row.request.sender.source for row, _, _ in kept],
        [row.envelope.event.id for row, _, _ in kept],
        [row.envelope.event.type for row, _, _ in kept],
        [row.envelope.event.customer for row, _, _ in kept],
        [row.envelope.event.subscription for row, _, _ in kept],
        [row.request.sender.customer_id for row, _, _ in kept],
        [row.envelope.event.corrects for row, _, _ in kept],
        array([row.occurred_at.isoformat() for row, _, _ in kept]),
        sealed,
        [str(reason) for _, reason, _ in kept],
        [detail for _, _, detail in kept],
    )


async def add_hours(driver: Driver, hours: Mapping[bytes, Total]) -> None:
    """Add to the totals of hours, by their 72-byte keys; those that lose events are there already."""
    for statement, keys in _added_and_taken(hours, _ADD_HOURS, _TAKE_HOURS):
        sums = [hours[key] for key in keys]
        await driver.execute(
            statement,
            *columns(keys, 4),
            array([hour_text(key) for key in keys]),
            array([str(each.quantity) for each in sums]),
            array([str(each.events) for each in sums]),
            array([str(each.digest % DIGEST_MODULUS) for each in sums]),
        )


async def add_totals(driver: Driver, totals: Mapping[bytes, Total]) -> set[bytes]:
    """Add to running totals, by their 64-byte keys; return the keys of combinations that were new."""
    new: set[bytes] = set()
    for statement, keys in _added_and_taken(totals, _ADD_TOTALS, _TAKE_TOTALS):
        sums = [totals[key] for key in keys]
        rows = await driver.fetch(
            statement,
            *columns(keys, 4),
            array([str(each.quantity) for each in sums]),
            array([str(each.events) for each in sums]),
        )
        new |= {b"".join(part.bytes for part in row) for row in rows}
    return new


def _added_and_taken(sums: Mapping[bytes, Total], add: str, take: str) -> Iterable[tuple[str, list[bytes]]]:
    """Part the keys of sums, in their order, into those that grow and those that lose events."""
    keys = sorted(sums)
    taken = [key for key in keys if sums[key].events < 0]
    if taken:
        yield take, taken
        keys = [key for key in keys if sums[key].events >= 0]
    if keys:
        yield add, keys


async def list_combinations(driver: Driver, groups: Collection[bytes]) -> dict[bytes, set[bytes]]:
    """Return the combinations of meters within segments, by the 48-byte keys of those groups."""
    found: dict[bytes, set[bytes]] = {group: set() for group in groups}
    for customer_id, segment_id, meter_id, dimensions in await driver.fetch(_COMBINATIONS, *columns(groups, 3)):
        found[customer_id.bytes + segment_id.bytes + meter_id.bytes].add(dimensions.bytes)
    return found


async def lock_levels(driver: Driver, keys: Collection[bytes]) -> dict[bytes, Decimal]:
    """Hold levels until the transaction ends, those that were never reported as 0, and return where they stand."""
    rows = await driver.fetch(_LOCK_LEVELS, *columns(sorted(keys), 4))
    return {b"".join(part.bytes for part in row[:4]): row[4] for row in rows}


async def save_levels(driver: Driver, levels: Mapping[bytes, Decimal]) -> None:
    """Set levels that this transaction holds."""
    if levels:
        await driver.execute(_SAVE_LEVELS, *columns(levels, 4), array([str(level) for level in levels.values()]))


async def insert_dimension_sets(driver: Driver, combinations: Mapping[bytes, Combination]) -> None:
    """Keep the values of combinations, by customer and id; those that are known stay."""
    if combinations:
        keys = sorted(combinations)
        await driver.execute(
            _INSERT_DIMENSION_SETS, *columns(keys, 2), [values_text(combinations[key]) for key in keys]
        )


async def raise_versions(driver: Driver, customers: Iterable[CustomerId]) -> None:
    """Count one commit more for each customer whose totals move."""
    await driver.execute(_RAISE_VERSIONS, array([each.hex for each in sorted(customers)]))


async def insert_unpriced_models(
    driver: Driver, models: Iterable[tuple[date, tuple[str, str]]]
) -> list[tuple[date, tuple[str, str]]]:
    """Note models without a price, each for a day; return those that were not noted yet."""
    ordered = sorted(models)
    rows = await driver.fetch(
        _INSERT_UNPRICED,
        [names[0] for _, names in ordered],
        [names[1] for _, names in ordered],
        [day for day, _ in ordered],
    )
    return sorted((row["day"], (row["provider"], row["model"])) for row in rows)


def identity_columns(rows: Collection[Row]) -> tuple[str, str]:
    """Write the keys of rows' identities as columns, in their order."""
    ordered = sorted(rows, key=_by_identity)
    return array([row.customer_id.hex for row in ordered]), array([row.identity.hex() for row in ordered])


def _by_identity(row: Row) -> bytes:
    return row.customer_id.bytes + row.identity


def values_text(combination: Combination) -> str:
    """Write the values of a combination as they are stored."""
    written = msgspec.json.encode(dict(zip(combination.names, combination.values, strict=True)), order="sorted")
    return written.decode()
