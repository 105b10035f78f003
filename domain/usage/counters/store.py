"""The statements that add to the totals of counters, and to their hours."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache

import asyncpg

from domain.usage.arrays import array, columns
from domain.usage.combination import ALL
from domain.usage.counters.counter import MeterSet, PackSum
from domain.usage.event import DIGEST_MODULUS, instant_of, micros

# The driver's connection, inside the transaction of a flush.
Driver = asyncpg.Connection
_TOTAL_BYTES = 64
_KEY = ("customer_id", "segment_id", "set_id", "dimensions")
_KEYS = ", ".join(_KEY)

_INSERT_SETS = """
INSERT INTO meter_set (id, slot, meter_id)
SELECT * FROM unnest($1::text::uuid[], $2::text::smallint[], $3::text::uuid[]) ON CONFLICT DO NOTHING
"""

_COMBINATIONS = """
SELECT DISTINCT t.customer_id, t.segment_id, m.meter_id, t.dimensions
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[]) AS k (customer_id, segment_id, meter_id)
JOIN meter_set m ON m.meter_id = k.meter_id
JOIN counter_total t ON t.customer_id = k.customer_id AND t.segment_id = k.segment_id AND t.set_id = m.id
"""


def _given(slots: int) -> str:
    """Write the rows that are given as arrays: key, hour, events, digest, and a sum for each slot."""
    sums = "".join(f", ${slot + 8}::text::numeric[]" for slot in range(slots))
    return f"""(SELECT a AS customer_id, b AS segment_id, c AS set_id, d AS dimensions,
                timestamptz 'epoch' + e * interval '1 microsecond' AS hour_at, f AS events, g AS hour_digest
                {"".join(f", q{slot}" for slot in range(slots))}
    FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text::uuid[], $4::text::uuid[], $5::text::bigint[],
                $6::text::bigint[], $7::text::numeric[]{sums})
         AS u (a, b, c, d, e, f, g{"".join(f", q{slot}" for slot in range(slots))}))"""  # noqa: S608 -- only numbers


def _growing(slots: int, new: str) -> str:
    """Write how a total grows: its running sums always, those of its newest hour where the row is of that hour.

    A later hour takes its place; the database then moves the one before to `counter_hour`.
    """
    moves = [
        ("hour_events", f"{new}.events"),
        ("hour_digest", f"{new}.hour_digest"),
        *((f"h{slot}", f"{new}.q{slot}") for slot in range(slots)),
    ]
    sums = [("events", f"{new}.events"), *((f"q{slot}", f"{new}.q{slot}") for slot in range(slots))]
    grown = [f"{name} = t.{name} + {added}" for name, added in sums]
    for name, added in moves:
        total = f"mod(t.{name} + {added}, {DIGEST_MODULUS})" if name == "hour_digest" else f"t.{name} + {added}"
        grown.append(
            f"{name} = CASE WHEN {new}.hour_at = t.hour_at THEN {total} "
            f"WHEN {new}.hour_at > t.hour_at THEN {added} ELSE t.{name} END"
        )
    return ", ".join([f"hour_at = greatest(t.hour_at, {new}.hour_at)", *grown])


@lru_cache
def _add_totals(slots: int) -> str:
    running = ", ".join(f"q{slot}" for slot in range(slots))
    newest = ", ".join(f"h{slot}" for slot in range(slots))
    return f"""
    WITH written AS (
        INSERT INTO counter_total AS t ({_KEYS}, hour_at, events, hour_events, hour_digest, {running}, {newest})
        SELECT {_KEYS}, hour_at, events, events, hour_digest, {running}, {running} FROM {_given(slots)} k
        ON CONFLICT ({_KEYS}) DO UPDATE SET {_growing(slots, "excluded")}
        RETURNING t.customer_id, t.segment_id, t.set_id, t.dimensions, t.hour_at, t.xmax = 0 AS is_new
    )
    SELECT {_KEYS}, hour_at, is_new FROM written WHERE is_new OR hour_at > ${slots + 8}::timestamptz
    """  # noqa: S608 -- made of constants of this module


# An insert of fewer than no events would be refused before it is found to be an update.
@lru_cache
def _take_totals(slots: int) -> str:
    return f"""
    UPDATE counter_total t SET {_growing(slots, "k")} FROM {_given(slots)} k
    WHERE {" AND ".join(f"t.{name} = k.{name}" for name in _KEY)}
      AND ${slots + 8}::timestamptz IS NOT NULL
    RETURNING t.customer_id, t.segment_id, t.set_id, t.dimensions, t.hour_at, false AS is_new
    """  # noqa: S608 -- the same


@lru_cache
def _add_running(slots: int) -> str:
    sums = ["events", *(f"q{slot}" for slot in range(slots))]
    return f"""
    UPDATE counter_total t SET {", ".join(f"{name} = t.{name} + k.{name}" for name in sums)}
    FROM (SELECT {_KEYS}, {", ".join(f"sum({name}) AS {name}" for name in sums)} FROM {_given(slots)} given
          GROUP BY {_KEYS}) k
    WHERE {" AND ".join(f"t.{name} = k.{name}" for name in _KEY)}
    """  # noqa: S608 -- the same


@lru_cache
def _add_hours(slots: int) -> str:
    sums = [f"q{slot}" for slot in range(slots)]
    return f"""
    INSERT INTO counter_hour AS t ({_KEYS}, hour_at, events, digest, {", ".join(sums)})
    SELECT {_KEYS}, hour_at, events, hour_digest, {", ".join(sums)} FROM {_given(slots)} k
    ON CONFLICT ({_KEYS}, hour_at) DO UPDATE
    SET events = t.events + excluded.events, digest = mod(t.digest + excluded.digest, {DIGEST_MODULUS}),
        {", ".join(f"{name} = t.{name} + excluded.{name}" for name in sums)}
    """  # noqa: S608 -- the same


async def insert_sets(driver: Driver, sets: Collection[MeterSet]) -> None:
    """Keep which meters are in sets; those that are known stay."""
    ordered = sorted(sets, key=lambda each: each.id)
    members = [(each.id, slot, meter.id) for each in ordered for slot, meter in enumerate(each.meters)]
    if members:
        await driver.execute(
            _INSERT_SETS,
            array([set_id.hex() for set_id, _, _ in members]),
            array([str(slot) for _, slot, _ in members]),
            array([meter_id.hex for _, _, meter_id in members]),
        )


async def add_totals(driver: Driver, sums: Mapping[bytes, PackSum]) -> tuple[set[bytes], set[bytes]]:
    """Add to running totals and their newest hours, by the keys of hours, one hour for each total.

    Returns the 64-byte keys of totals that were new, and the keys of hours that are not the newest of theirs: they are
    to be added to the hours before.
    """
    new: set[bytes] = set()
    late: set[bytes] = set()
    for statement, keys in _added_and_taken(sums):
        slots = _slots(sums, keys)
        oldest_at = min(key[_TOTAL_BYTES:] for key in keys)
        rows = await driver.fetch(statement(slots), *_columns(keys, sums, slots), instant_of(oldest_at))
        hours = {key[:_TOTAL_BYTES]: key for key in keys} if rows else {}
        for *ids, hour_at, is_new in rows:
            total = b"".join(part.bytes for part in ids)
            if is_new:
                new.add(total)
            elif micros(hour_at) != hours[total][_TOTAL_BYTES:]:
                late.add(hours[total])
    return new, late


async def add_running(driver: Driver, sums: Mapping[bytes, PackSum]) -> None:
    """Add to running totals alone: several hours of one total may be among the keys. The totals are there."""
    keys = sorted(sums)
    slots = _slots(sums, keys)
    await driver.execute(_add_running(slots), *_columns(keys, sums, slots))


async def add_hours(driver: Driver, sums: Mapping[bytes, PackSum]) -> None:
    """Add to hours that are not the newest of their totals. Whoever does so holds these totals."""
    keys = sorted(sums)
    slots = _slots(sums, keys)
    await driver.execute(_add_hours(slots), *_columns(keys, sums, slots))


async def list_combinations(driver: Driver, groups: Collection[bytes]) -> dict[bytes, set[bytes]]:
    """Return the combinations of counters within segments, by the 48-byte keys of customer, segment and meter."""
    found: dict[bytes, set[bytes]] = {group: set() for group in groups}
    for customer_id, segment_id, meter_id, dimensions in await driver.fetch(_COMBINATIONS, *columns(groups, 3)):
        if dimensions.bytes != ALL:
            found[customer_id.bytes + segment_id.bytes + meter_id.bytes].add(dimensions.bytes)
    return found


def _added_and_taken(sums: Mapping[bytes, PackSum]) -> Iterable[tuple[Callable[[int], str], list[bytes]]]:
    """Part the keys of sums, in their order, into those that grow and those that lose events."""
    keys = sorted(sums)
    taken = [key for key in keys if sums[key].events < 0]
    if taken:
        yield _take_totals, taken
        keys = [key for key in keys if sums[key].events >= 0]
    if keys:
        yield _add_totals, keys


def _slots(sums: Mapping[bytes, PackSum], keys: Iterable[bytes]) -> int:
    return max(len(sums[key].quantities) for key in keys)


def _columns(keys: Sequence[bytes], sums: Mapping[bytes, PackSum], slots: int) -> list[str]:
    """Write keys and sums as columns; a set of fewer counters has no number in the slots beyond."""
    own = [sums[key] for key in keys]
    padded = [(*each.quantities, *[None] * (slots - len(each.quantities))) for each in own]
    return [
        *columns(keys, 4),
        array([str(int.from_bytes(key[_TOTAL_BYTES:], "big")) for key in keys]),
        array([str(each.events) for each in own]),
        array([str(each.digest % DIGEST_MODULUS) for each in own]),
        *(array(["NULL" if each is None else str(each) for each in column]) for column in zip(*padded, strict=True)),
    ]
