"""Take what names a customer out of stored events: processing needs their ids alone."""

from collections.abc import Collection
from uuid import UUID

from domain.db import Tx
from domain.webhooks.clearing import store

PAGE = 500
NOTHING = b"{}"


async def clear_payloads(tx: Tx, names: Collection[str], *, after: UUID | None) -> tuple[UUID | None, bool]:
    """Look through the next PAGE events and empty those that name a customer by any of its ids.

    Returns the newest event that was looked through, and whether more follow. Safe to repeat.
    """
    wanted = [each.encode() for each in names]
    found = await store.read_payloads(tx, after=after, limit=PAGE)
    for event in found:
        if any(name in event.payload for name in wanted):
            await store.save_payload(tx, event, NOTHING)
    return (found[-1].key if found else after), len(found) == PAGE
