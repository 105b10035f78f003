"""What `tollgate inbox` prints and orders, as the operator. The content of an event is never opened."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from api.seed import operator, operator_call, operator_database
from domain.config import Settings
from domain.kernel.ids import decode, encode
from domain.kernel.period import Period
from domain.webhooks.desk import service
from domain.webhooks.desk.service import ReplayOutOfBounds
from domain.webhooks.inbox import InboxEvent, InboxState


async def describe(settings: Settings, *, state: str | None, event_type: str | None, count: int) -> list[str]:
    """Return a line for each event of a state, or without one for each that waits for staff."""
    async with operator(settings) as (tx, call):
        found = await service.list_events(
            tx,
            call,
            state=InboxState(state) if state else None,
            event_type=event_type,
            before=None,
            limit=count,
            stuck_only=state is None,
        )
    return [_line(each) for each in found] or ["there are no such events"]


async def describe_one(settings: Settings, event: str) -> list[str]:
    """Return what is known of one event, a line each. Raises IdMalformed, InboxEventNotFound."""
    async with operator(settings) as (tx, call):
        found, error = await service.get_event(tx, call, decode("inbox_event", event))
    facts = {
        "id": encode("inbox_event", found.key),
        "event": f"{found.provider} {found.id}",
        "type": found.type,
        "about": found.object_id or "none",
        "environment": found.environment,
        "version": found.api_version or "none",
        "received": found.received_at.isoformat(),
        "state": found.state,
        "ended": found.processed_at.isoformat() if found.processed_at else "not yet",
        "attempts": str(found.attempts),
        "note": found.note or "none",
        "last error": error or "none",
    }
    return [f"{name:<12} {value}" for name, value in facts.items()]


async def replay_named(settings: Settings, events: Sequence[str]) -> int:
    """Have events processed again, and return how many there were. Raises IdMalformed, ReplayOutOfBounds."""
    keys = [decode("inbox_event", each) for each in events]
    async with operator(settings) as (tx, call):
        return (await service.replay(tx, call, keys)).count


async def replay_span(settings: Settings, since: datetime, until: datetime, *, state: str | None) -> int:
    """Have the events received in a stretch processed again, part by part. Raises ReplayOutOfBounds."""
    if since >= until:
        raise ReplayOutOfBounds
    wanted, count = InboxState(state) if state else None, 0
    after: UUID | None = None
    async with operator_database(settings) as database:
        while True:
            async with database.transaction() as tx:
                part = await service.replay_range(tx, operator_call(), Period(since, until), state=wanted, after=after)
            count, after = count + part.count, part.last
            if after is None:
                return count


def _line(event: InboxEvent) -> str:
    about = f"{event.type} {event.object_id}".strip()
    note = f"  {event.note}" if event.note else ""
    received = f"{event.received_at:%Y-%m-%d %H:%M}"
    return f"{encode('inbox_event', event.key)}  {event.state}  {received}  {event.id}  {about}{note}"
