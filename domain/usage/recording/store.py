"""The statements with which a flush begins: who holds which identity."""

from collections.abc import Collection, Iterable

import asyncpg

from domain.usage.arrays import array
from domain.usage.counting.store import identity_columns
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
