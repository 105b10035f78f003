"""The statements with which a flush begins, and the one that is all of a plain flush."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from itertools import accumulate, zip_longest

import asyncpg

from domain.journal.jobs import CheckThresholds
from domain.subscriptions.buckets.store import BUCKET_LOCK
from domain.subscriptions.subscription import bucket_of
from domain.usage.arrays import array, instants, numbers, uuids
from domain.usage.counters.counter import SLOTS
from domain.usage.counting.store import identity_columns, values_text
from domain.usage.recording.plain import SEPARATOR, PlainFlush
from domain.usage.resolve import Row
from domain.usage.verdict import Status

# The driver's connection, inside the transaction of a flush.
Driver = asyncpg.Connection
_COUNTED, _QUARANTINED = "1", "2"

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

# How the database refuses a flush that is not plain.
_NOT_PLAIN = "TG001"
# The ids of a flush's jobs differ in their last four digits.
_COUNTED_DIGITS = 4

_SEPARATED = f"string_to_array(${{}}::text, E'\\x{ord(SEPARATOR):02x}')"
_IDS, _NUMBERS, _EXACT, _INSTANTS = (f"${{}}::text::{kind}[]" for kind in ("uuid", "int", "numeric", "timestamptz"))
_PARAMETERS = (
    *("${}::int", _NUMBERS),
    *(_IDS, _IDS, _IDS, "${}::text::bigint[]"),
    *("${}::text[]", _INSTANTS),
    *("${}::text[]", _IDS, _IDS),
    *(_INSTANTS, _IDS, _NUMBERS, _NUMBERS),
    *([_NUMBERS] * 6),
    *(_IDS, _IDS, _IDS, _SEPARATED, _INSTANTS),
    *(_SEPARATED, _EXACT, _EXACT, *([_EXACT] * SLOTS)),
    *(_IDS, _IDS, "${}::text[]"),
    *("${}::bigint", "${}::text", "${}::text", "${}::timestamptz", "${}::timestamptz"),
)
_RECORD_PLAIN = (
    f"SELECT record_plain_usage({', '.join(each.format(number) for number, each in enumerate(_PARAMETERS, 1))})"
)


async def record_plain(driver: Driver, flush: PlainFlush, check_after: timedelta) -> dict[bytes, bytes] | None:
    """Write a plain flush in a transaction of its own, and stage the looks at thresholds.

    Returns the payload digests of the identities that were stored before: these events were left out. None where
    nothing was written, because the flush is not plain after all: a border has moved, or a meter may be full.
    """
    at = flush.rows[-1].request.received_at
    head = flush.call.new_id().hex[:-_COUNTED_DIGITS]
    try:
        stored = await driver.fetchval(
            _RECORD_PLAIN,
            *_shared_columns(flush),
            *_event_columns(flush),
            flush.room,
            CheckThresholds.kind,
            head,
            at,
            at + check_after,
        )
    except asyncpg.PostgresError as refused:
        if refused.sqlstate == _NOT_PLAIN:
            return None
        raise
    found = zip(flush.rows, stored or (), strict=False)
    return {row.identity: digest.bytes for row, digest in found if digest is not None}


def _shared_columns(flush: PlainFlush) -> Iterator[object]:
    """Yield what events name by number."""
    places = flush.places
    yield BUCKET_LOCK
    yield numbers(sorted({bucket_of(place.subscription.id) for place in places}))
    keys = b"".join([place.segment.key for place in places])
    yield uuids([keys[start : start + 16] for start in range(0, len(keys), 32)])
    yield array([place.subscription.hex for place in places])
    yield uuids([keys[start : start + 16] for start in range(16, len(keys), 32)])
    yield numbers([place.subscription.epoch for place in places])
    yield [request.sender.source for request in flush.requests]
    yield array([request.received_text for request in flush.requests])
    yield [event_type for event_type, _, _ in flush.kinds]
    yield uuids([counters for _, counters, _ in flush.kinds])
    yield uuids([combination for _, _, combination in flush.kinds])
    yield instants(flush.hours)
    yield array([each.hex for ids in flush.prices for each in ids])
    ends = list(accumulate([len(ids) for ids in flush.prices]))
    yield numbers([1, *[end + 1 for end in ends[:-1]]] if ends else [])
    yield numbers(ends)


def _event_columns(flush: PlainFlush) -> Iterator[object]:
    """Yield what each event has of its own, and the combinations that may be new."""
    rows = flush.rows
    yield from map(numbers, flush.numbers)
    yield numbers(flush.totals)
    yield uuids([row.identity for row in rows])
    yield uuids([row.envelope.payload_digest for row in rows])
    yield uuids(flush.ids)
    yield flush.event_ids
    yield array([_occurred(row) for row in rows])
    yield SEPARATOR.join([row.kept.decode() for row in rows])
    yield numbers([row.cost for row in rows])
    yield numbers([row.digest for row in rows])
    slots = list(zip_longest(*[row.packs[0].quantities for row in rows]))
    yield from map(numbers, slots)
    yield from [None] * (SLOTS - len(slots))
    yield uuids([key[:16] for key in flush.combinations])
    yield uuids([key[16:] for key in flush.combinations])
    yield [values_text(each) for each in flush.combinations.values()]


def _occurred(row: Row) -> str:
    """Write when an event occurred: many occurred when they came in, which is written already."""
    request = row.request
    return request.received_text if row.occurred_at is request.received_at else row.occurred_at.isoformat()


async def insert_identities(driver: Driver, rows: Iterable[Row]) -> set[bytes]:
    """Insert identities with the verdicts they have so far; return those that were new."""
    ordered = sorted(rows, key=_by_identity)
    found = await driver.fetch(
        _INSERT_IDENTITIES,
        array([row.customer_id.hex for row in ordered]),
        array([row.identity.hex() for row in ordered]),
        array([row.envelope.payload_digest.hex() for row in ordered]),
        array([_COUNTED if row.verdict.status is Status.COUNTED else _QUARANTINED for row in ordered]),
        array([row.request.received_text for row in ordered]),
    )
    return {row[0].bytes for row in found}


async def find_identities(driver: Driver, rows: Collection[Row]) -> dict[bytes, bytes]:
    """Return the payload digests of the identities that are stored."""
    if not rows:
        return {}
    found = await driver.fetch(_FIND_IDENTITIES, *identity_columns(rows))
    return {row[0].bytes: row[1].bytes for row in found}


def _by_identity(row: Row) -> bytes:
    return row.customer_id.bytes + row.identity
