"""Ask the gateway for events that never arrived, page by page; and delete those that are past their use.

Where the look stands is in the database: broken off anywhere, the next run goes on from its last page. What is found
twice is stored once.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.period import Period
from domain.payments.port import GatewayRefused, PaymentGateway
from domain.webhooks import store
from domain.webhooks.inbox import KINDS
from domain.webhooks.service import PROVIDER, receive
from domain.webhooks.store import Cursor

# Events are created before the gateway lists them, and not in the order of their ids.
OVERLAP = timedelta(hours=1)
# Longer ago the gateway has forgotten them: an outage of that length loses nothing.
BACK_MAX = timedelta(days=30)
# The gateway filters by so many types at once.
TYPES_MAX = 20
PAGES_MAX = 50
# A look that was begun so long ago and not ended has lost its place: it begins anew.
STALE_AFTER = timedelta(days=1)
FORGET_BATCH = 5_000
FORGET_BATCHES_MAX = 20


async def stage_sweep(tx: Tx, call: Call) -> None:
    """Stage a look through the gateway's list. Safe to repeat: one waits at a time."""
    await journal.stage(tx, call, jobs.SweepInbox(PROVIDER))


async def sweep(db: Database, gateway: PaymentGateway, call: Call) -> bool:
    """Store the events that never arrived, at most PAGES_MAX pages of them; return whether the look is at its end.

    Safe to repeat and to break off. Raises GatewayUnavailable.
    """
    for _ in range(PAGES_MAX):
        async with db.transaction() as tx:
            cursor = _begun(await store.lock_cursor(tx, PROVIDER), call.at)
            await store.save_cursor(tx, PROVIDER, cursor)
        after = await _take_page(db, gateway, call, cursor)
        if after.sweeping_since is None:
            return True
    return False


async def forget(db: Database, call: Call, *, days: int) -> int:
    """Delete events that ended and are older than that many days; return how many. Those that wait for staff stay."""
    deleted = 0
    for _ in range(FORGET_BATCHES_MAX):
        async with db.transaction() as tx:
            gone = await store.delete_events(tx, before=call.at - timedelta(days=days), limit=FORGET_BATCH)
        deleted += gone
        if gone < FORGET_BATCH:
            break
    return deleted


async def _take_page(db: Database, gateway: PaymentGateway, call: Call, cursor: Cursor) -> Cursor:
    """Ask for the next page, store what is new of it, and write where the look stands then."""
    types = KINDS[cursor.batch * TYPES_MAX : (cursor.batch + 1) * TYPES_MAX]
    assert cursor.sweeping_since is not None, "a look is under way"
    since = max(cursor.swept_to or cursor.sweeping_since, cursor.sweeping_since - BACK_MAX) - OVERLAP
    # The gateway rounds to seconds, and a look at the present misses nothing of the next.
    created = Period(since, cursor.sweeping_since + OVERLAP)
    try:
        page = await gateway.listing.list_events(created, types, after=cursor.after)
    except GatewayRefused:
        if cursor.after is None:
            raise
        # The gateway has forgotten the event at which the last page ended.
        after = Cursor(swept_to=cursor.swept_to)
    else:
        after = _after(cursor, page.last_id)
        async with db.transaction() as tx:
            for event in page.items:
                await receive(tx, call, event)
    async with db.transaction() as tx:
        if await store.lock_cursor(tx, PROVIDER) == cursor:
            await store.save_cursor(tx, PROVIDER, after)
    return after


def _begun(cursor: Cursor, at: datetime) -> Cursor:
    """Begin a look, or go on with the one under way."""
    since = cursor.sweeping_since
    if since is None or at - since > STALE_AFTER:
        return Cursor(swept_to=cursor.swept_to, sweeping_since=at)
    return cursor


def _after(cursor: Cursor, last_id: str | None) -> Cursor:
    """Go on to the next page, to the next types, or to the end: then all that was created before it is known."""
    if last_id is not None:
        return replace(cursor, after=last_id)
    if (cursor.batch + 1) * TYPES_MAX < len(KINDS):
        return replace(cursor, batch=cursor.batch + 1, after=None)
    return Cursor(swept_to=cursor.sweeping_since)
