"""The statements for meters whose totals are not sums of what events add.

Whoever runs one holds the level rows of those meters and combinations, so no two transactions run them for the same.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import asyncpg

from domain.usage.arrays import array, columns, instants
from domain.usage.event import micros
from domain.usage.ladder import Step, Stretch
from domain.usage.movement import LadderKey, Move

# The driver's connection, inside the transaction of a flush.
Driver = asyncpg.Connection
_HOUR_BYTES = 64
_NO_KEY = bytes(16)

_SAME = """r.customer_id = k.customer_id AND r.subscription_id = k.subscription_id AND r.meter_id = k.meter_id
      AND r.dimensions = k.dimensions AND r.key = k.key
      AND (k.segment_id = '00000000-0000-0000-0000-000000000000' OR r.segment_id = k.segment_id)"""

_LADDERS = """
unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::uuid[], $6::text::uuid[],
       $7::text::timestamptz[], $8::text::timestamptz[]) WITH ORDINALITY
    AS k (customer_id, subscription_id, meter_id, dimensions, key, segment_id, from_at, to_at, place)
"""

_STEPS = f"""
SELECT k.place, r.occurred_at, r.id, r.sets, r.value, r.delta, r.segment_id, r.hour_at, g.start_at, g.period_end_at
FROM {_LADDERS}
JOIN usage_reading r ON {_SAME} AND r.occurred_at >= k.from_at
JOIN segment g ON g.customer_id = r.customer_id AND g.id = r.segment_id
WHERE r.occurred_at <= COALESCE((SELECT r.occurred_at FROM usage_reading r WHERE {_SAME} AND r.sets
                                 AND r.occurred_at > k.to_at ORDER BY r.occurred_at LIMIT 1), 'infinity')
"""  # noqa: S608 -- made of constants of this module

_BELOW = f"""
SELECT k.place,
    (SELECT sum(r.delta) FROM usage_reading r WHERE {_SAME} AND r.occurred_at >= k.from_at) AS risen,
    (SELECT r.value FROM usage_reading r WHERE {_SAME} AND r.occurred_at < k.from_at
     ORDER BY r.occurred_at DESC, r.id DESC LIMIT 1) AS value
FROM {_LADDERS}
"""  # noqa: S608 -- the same

_READINGS = """unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::uuid[],
            $6::text::timestamptz[], $7::text::uuid[]"""

_INSERT_READINGS = f"""
INSERT INTO usage_reading (customer_id, subscription_id, meter_id, dimensions, key, occurred_at, id, segment_id,
                           hour_at, sets, value, delta)
SELECT a, b, c, d, e, f, g, h, timestamptz 'epoch' + i * interval '1 microsecond', j, k, l
FROM {_READINGS}, $8::text::uuid[], $9::text::bigint[], $10::text::boolean[], $11::text::numeric[],
     $12::text::numeric[]) AS t (a, b, c, d, e, f, g, h, i, j, k, l)
"""  # noqa: S608 -- the same

_SAVE_DELTAS = f"""
UPDATE usage_reading r SET delta = k.h
FROM {_READINGS}, $8::text::numeric[]) AS k (a, b, c, d, e, f, g, h)
WHERE r.customer_id = k.a AND r.subscription_id = k.b AND r.meter_id = k.c AND r.dimensions = k.d AND r.key = k.e
  AND r.occurred_at = k.f AND r.id = k.g
"""  # noqa: S608 -- the same

_DELETE_READINGS = f"""
DELETE FROM usage_reading r USING {_READINGS}) AS k (a, b, c, d, e, f, g)
WHERE r.customer_id = k.a AND r.subscription_id = k.b AND r.meter_id = k.c AND r.dimensions = k.d AND r.key = k.e
  AND r.occurred_at = k.f AND r.id = k.g
"""  # noqa: S608 -- the same

_HOURS = """unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::bigint[]"""

_ADD_VALUES = f"""
INSERT INTO usage_value AS t (customer_id, segment_id, meter_id, dimensions, hour_at, value, events)
SELECT a, b, c, d, timestamptz 'epoch' + e * interval '1 microsecond', f, 0
FROM {_HOURS}, $6::text::numeric[]) AS k (a, b, c, d, e, f)
ON CONFLICT DO NOTHING
"""  # noqa: S608 -- the same

_COUNT_VALUES = f"""
UPDATE usage_value t SET events = t.events + k.g
FROM {_HOURS}, $6::text::numeric[], $7::text::bigint[]) AS k (a, b, c, d, e, f, g)
WHERE t.customer_id = k.a AND t.segment_id = k.b AND t.meter_id = k.c AND t.dimensions = k.d AND t.value = k.f
  AND t.hour_at = timestamptz 'epoch' + k.e * interval '1 microsecond'
"""  # noqa: S608 -- the same

_ADD_BESIDE = f"""
INSERT INTO usage_beside AS t (customer_id, segment_id, meter_id, dimensions, hour_at, quantity)
SELECT a, b, c, d, timestamptz 'epoch' + e * interval '1 microsecond', f
FROM {_HOURS}, $6::text::numeric[]) AS k (a, b, c, d, e, f)
ON CONFLICT (customer_id, segment_id, meter_id, dimensions, hour_at) DO UPDATE
SET quantity = t.quantity + excluded.quantity
"""  # noqa: S608 -- the same

_NEW_EXTREME = """CASE WHEN t.events = k.n THEN k.v WHEN k.is_max THEN greatest(t.quantity, k.v)
                ELSE least(t.quantity, k.v) END"""

_RAISE_HOURS = f"""
UPDATE usage_hour t SET quantity = {_NEW_EXTREME}
FROM {_HOURS}, $6::text::numeric[], $7::text::bigint[], $8::text::boolean[]) AS k (a, b, c, d, e, v, n, is_max)
WHERE t.customer_id = k.a AND t.segment_id = k.b AND t.meter_id = k.c AND t.dimensions = k.d
  AND t.hour_at = timestamptz 'epoch' + k.e * interval '1 microsecond'
"""  # noqa: S608 -- the same

_RAISE_TOTALS = f"""
UPDATE usage_total t SET quantity = {_NEW_EXTREME}
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::numeric[],
            $6::text::bigint[], $7::text::boolean[]) AS k (a, b, c, d, v, n, is_max)
WHERE t.customer_id = k.a AND t.segment_id = k.b AND t.meter_id = k.c AND t.dimensions = k.d
"""  # noqa: S608 -- the same

_READ_HOURS_AGAIN = f"""
UPDATE usage_hour t SET quantity = COALESCE(
    (SELECT CASE WHEN k.is_max THEN max(r.value) ELSE min(r.value) END FROM usage_reading r
     WHERE r.customer_id = k.a AND r.subscription_id = k.subscription_id AND r.meter_id = k.c AND r.dimensions = k.d
       AND r.key = '00000000-0000-0000-0000-000000000000' AND r.segment_id = k.b
       AND r.occurred_at >= t.hour_at AND r.occurred_at < t.hour_at + interval '1 hour' AND r.hour_at = t.hour_at), 0)
FROM {_HOURS}, $6::text::uuid[], $7::text::boolean[]) AS k (a, b, c, d, e, subscription_id, is_max)
WHERE t.customer_id = k.a AND t.segment_id = k.b AND t.meter_id = k.c AND t.dimensions = k.d
  AND t.hour_at = timestamptz 'epoch' + k.e * interval '1 microsecond'
"""  # noqa: S608 -- the same

_READ_TOTALS_AGAIN = """
UPDATE usage_total t SET quantity = COALESCE(
    (SELECT CASE WHEN k.is_max THEN max(h.quantity) ELSE min(h.quantity) END FROM usage_hour h
     WHERE h.customer_id = k.a AND h.segment_id = k.b AND h.meter_id = k.c AND h.events > 0
       AND (h.dimensions = k.d OR k.d = '00000000-0000-0000-0000-000000000000')), 0)
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::boolean[])
     AS k (a, b, c, d, is_max)
WHERE t.customer_id = k.a AND t.segment_id = k.b AND t.meter_id = k.c AND t.dimensions = k.d
"""


async def load_steps(driver: Driver, spans: Mapping[LadderKey, tuple[Any, Any]]) -> dict[LadderKey, list[Step]]:
    """Return the readings of ladders from an instant on, up to the first that sets after another."""
    keys = list(spans)
    found: dict[LadderKey, list[Step]] = {key: [] for key in keys}
    for row in await driver.fetch(_STEPS, *_ladder_columns(keys, spans)):
        key = keys[row["place"] - 1]
        stretch = Stretch(
            key.subscription[:16] + row["segment_id"].bytes,
            micros(row["hour_at"]),
            row["start_at"],
            row["period_end_at"],
        )
        step = Step(row["occurred_at"], row["id"].bytes, row["sets"], row["value"], stretch, row["delta"])
        found[key].append(step)
    return found


async def load_below(
    driver: Driver, spans: Mapping[LadderKey, tuple[Any, Any]]
) -> dict[LadderKey, tuple[Decimal, Decimal]]:
    """Return for each ladder what its readings from an instant on changed, and the last value read before it."""
    keys = list(spans)
    rows = await driver.fetch(_BELOW, *_ladder_columns(keys, spans))
    zero = Decimal(0)
    return {keys[row["place"] - 1]: (row["risen"] or zero, row["value"] or zero) for row in rows}


async def insert_readings(driver: Driver, steps: Sequence[tuple[LadderKey, Step]]) -> None:
    """Insert readings with what they change."""
    if steps:
        await driver.execute(
            _INSERT_READINGS,
            *_reading_columns(steps),
            array([step.stretch.key[16:].hex() for _, step in steps]),
            array([str(int.from_bytes(step.stretch.hour, "big")) for _, step in steps]),
            array(["t" if step.sets else "f" for _, step in steps]),
            array([str(step.value) for _, step in steps]),
            array([str(step.delta) for _, step in steps]),
        )


async def save_deltas(driver: Driver, steps: Sequence[tuple[LadderKey, Step]]) -> None:
    """Keep what stored readings change now."""
    if steps:
        await driver.execute(_SAVE_DELTAS, *_reading_columns(steps), array([str(step.delta) for _, step in steps]))


async def delete_readings(driver: Driver, steps: Sequence[tuple[LadderKey, Step]]) -> None:
    """Take readings of corrected events away."""
    if steps:
        await driver.execute(_DELETE_READINGS, *_reading_columns(steps))


async def add_values(driver: Driver, values: Mapping[tuple[bytes, Decimal], int]) -> None:
    """Change how often each value was read in its hour, by the hour's key."""
    keys = sorted(key for key, events in values.items() if events)
    if keys:
        given = [*_hour_columns([key for key, _ in keys]), array([str(value) for _, value in keys])]
        await driver.execute(_ADD_VALUES, *given)
        await driver.execute(_COUNT_VALUES, *given, array([str(values[key]) for key in keys]))


async def add_beside(driver: Driver, beside: Mapping[bytes, Decimal]) -> None:
    """Add to what is kept beside hours, by their keys."""
    keys = sorted(key for key, change in beside.items() if change)
    if keys:
        await driver.execute(_ADD_BESIDE, *_hour_columns(keys), array([str(beside[key]) for key in keys]))


async def raise_hours(driver: Driver, found: Mapping[bytes, tuple[Decimal, int, bool]]) -> None:
    """Let new values compete for the extreme of their hours: (value, events added in this transaction, is max)."""
    keys = sorted(found)
    if keys:
        await driver.execute(_RAISE_HOURS, *_hour_columns(keys), *_extreme_columns([found[key] for key in keys]))


async def raise_totals(driver: Driver, found: Mapping[bytes, tuple[Decimal, int, bool]]) -> None:
    """Let new values compete for the extreme of running totals, as `raise_hours` does."""
    keys = sorted(found)
    if keys:
        await driver.execute(_RAISE_TOTALS, *columns(keys, 4), *_extreme_columns([found[key] for key in keys]))


async def read_hours_again(driver: Driver, moves: Iterable[Move]) -> None:
    """Find the extremes of hours anew from what is left of their readings."""
    found = {move.total_key + move.hour: move for move in moves}
    keys = sorted(found)
    if keys:
        await driver.execute(
            _READ_HOURS_AGAIN,
            *_hour_columns(keys),
            array([found[key].place.subscription.id.hex for key in keys]),
            array(["t" if found[key].what.meter.aggregation == "max" else "f" for key in keys]),
        )


async def read_totals_again(driver: Driver, found: Mapping[bytes, bool]) -> None:
    """Find the extremes of running totals anew from their hours; the flag says whether it is the largest."""
    keys = sorted(found)
    if keys:
        await driver.execute(_READ_TOTALS_AGAIN, *columns(keys, 4), array(["t" if found[key] else "f" for key in keys]))


def _ladder_columns(keys: Sequence[LadderKey], spans: Mapping[LadderKey, tuple[Any, Any]]) -> list[str]:
    whole = [key.subscription + key.meter.id.bytes + key.combination + key.key + key.segment for key in keys]
    return [
        *columns(whole, 6),
        instants([spans[key][0] for key in keys]),
        instants([spans[key][1] for key in keys]),
    ]


def _reading_columns(steps: Sequence[tuple[LadderKey, Step]]) -> list[str]:
    whole = [key.subscription + key.meter.id.bytes + key.combination + key.key for key, _ in steps]
    return [*columns(whole, 5), instants([step.at for _, step in steps]), array([step.id.hex() for _, step in steps])]


def _hour_columns(keys: Collection[bytes]) -> list[str]:
    return [*columns(keys, 4), array([str(int.from_bytes(key[_HOUR_BYTES:], "big")) for key in keys])]


def _extreme_columns(found: Sequence[tuple[Decimal, int, bool]]) -> list[str]:
    return [
        array([str(value) for value, _, _ in found]),
        array([str(events) for _, events, _ in found]),
        array(["t" if is_max else "f" for _, _, is_max in found]),
    ]
