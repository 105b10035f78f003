"""Seal what events in quarantine were sent with."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.customers import service as customers
from domain.db import Tx
from domain.usage import sealed
from domain.usage.resolve import Row
from domain.usage.sealing import store

# Of one transaction.
SEAL_BATCH = 500


async def seal_rows(tx: Tx, rows: Sequence[Row], ids: Mapping[bytes, bytes]) -> list[bytes]:
    """Seal the properties of rows, in their order, under the ids that they get: one statement for all their keys."""
    keys = await customers.data_keys(tx, {row.customer_id for row in rows})
    return [
        sealed.seal(tx.vault, keys, row.customer_id, UUID(bytes=ids[row.identity]), row.envelope.canonical)
        for row in rows
    ]


async def seal_plain(tx: Tx) -> int:
    """Seal what is plain of at most SEAL_BATCH events; return of how many. Safe to repeat and to run twice at once."""
    found = await store.lock_plain(tx, limit=SEAL_BATCH)
    keys = await customers.data_keys(tx, {each.customer_id for each in found})
    await store.save_sealed(
        tx, [(each, sealed.seal(tx.vault, keys, each.customer_id, each.id, each.properties)) for each in found]
    )
    return len(found)
