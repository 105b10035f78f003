"""Find what is due of subscriptions by itself."""

from collections.abc import Sequence
from datetime import datetime

from domain.db import Tx
from domain.kernel.ids import ClockId, CustomerId, SubscriptionId
from domain.subscriptions.waiting import store


async def list_due(
    tx: Tx, *, clock_id: ClockId | None, now: datetime, limit: int
) -> Sequence[tuple[CustomerId, SubscriptionId]]:
    """Return a clock's subscriptions that have something to close by now and no job that does, oldest first.

    That is a usage period or a trial that has ended, an end, a pause or a resumption that was asked for, a first
    payment that did not come, or, after the subscription's end, the last look at what arrived late.
    """
    return await store.list_due(tx, clock_id=clock_id, now=now, limit=limit)


async def find_next_due_at(tx: Tx, *, clock_id: ClockId | None) -> datetime | None:
    """Return when a subscription of a clock's customers next has something to close, or None."""
    return await store.find_next_due_at(tx, clock_id=clock_id)
