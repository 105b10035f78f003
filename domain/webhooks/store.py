"""Tables and statements of inbound events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.payments.port import GatewayEvent
from domain.webhooks.inbox import InboxEvent, InboxState

inbox_event = sa.Table(
    "inbox_event",
    db.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False, comment="what to fetch; empty where the object has no id"),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("api_version", sa.Text),
    sa.Column("payload", db.Personal, nullable=False, comment="as it was received; nothing acts on it"),
    sa.Column("received_at", db.Instant, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("processed_at", db.Instant),
    sa.Column("note", sa.Text),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("state IN ('received', 'processed', 'ignored', 'quarantined')", name="state"),
    sa.CheckConstraint("(state = 'received') = (processed_at IS NULL)", name="processed"),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    sa.Index(
        "inbox_event_quarantined_idx",
        sa.text("received_at DESC"),
        postgresql_where=sa.text("state = 'quarantined'"),
    ),
)

inbox_cursor = sa.Table(
    "inbox_cursor",
    db.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("swept_to", db.Instant, nullable=False, comment="real time; every event created before was looked for"),
)

_COLUMNS = [column for column in inbox_event.c if column.name != "payload"]


async def insert_event(tx: db.Tx, provider: str, new: GatewayEvent, *, at: datetime) -> bool:
    """Store an event with its payload sealed. False where it is stored already."""
    values = {
        "provider": provider,
        "event_id": new.id,
        "type": new.type,
        "object_id": new.object_id,
        "environment": new.environment,
        "api_version": new.api_version,
        "payload": tx.vault.seal(tx.vault.system, _where(provider, new.id), new.payload),
        "received_at": at,
        "state": InboxState.RECEIVED,
        "attempts": 0,
    }
    statement = pg.insert(inbox_event).values(values).on_conflict_do_nothing().returning(inbox_event.c.event_id)
    return await tx.value(statement) is not None


async def find_event(tx: db.Tx, provider: str, event_id: str) -> InboxEvent | None:
    """Return an event, or None."""
    row = await tx.row(sa.select(*_COLUMNS).where(_is(provider, event_id)))
    return _event(row) if row else None


async def find_payload(tx: db.Tx, provider: str, event_id: str) -> bytes | None:
    """Return what was received, opened, or None."""
    sealed = await tx.value(sa.select(inbox_event.c.payload).where(_is(provider, event_id)))
    return tx.vault.open(tx.vault.system, _where(provider, event_id), sealed) if sealed is not None else None


async def save_attempt(tx: db.Tx, event: InboxEvent) -> None:
    """Count a run that begins."""
    await tx.execute(
        sa.update(inbox_event).where(_is(event.provider, event.id)).values(attempts=inbox_event.c.attempts + 1)
    )


async def save_end(tx: db.Tx, event: InboxEvent, *, state: InboxState, note: str | None, at: datetime) -> None:
    """End a received event; one that has ended stays as it is."""
    await tx.execute(
        sa.update(inbox_event)
        .where(_is(event.provider, event.id), inbox_event.c.state == InboxState.RECEIVED)
        .values(state=state, note=note, processed_at=at)
    )


async def list_quarantined(tx: db.Tx, *, limit: int) -> Sequence[InboxEvent]:
    """Return the events that wait for staff, newest first."""
    statement = (
        sa.select(*_COLUMNS)
        .where(inbox_event.c.state == InboxState.QUARANTINED)
        .order_by(inbox_event.c.received_at.desc())
        .limit(limit)
    )
    return [_event(row) for row in await tx.rows(statement)]


async def find_swept_to(tx: db.Tx, provider: str) -> datetime | None:
    """Return up to when the gateway was asked for its events, or None."""
    found: datetime | None = await tx.value(
        sa.select(inbox_cursor.c.swept_to).where(inbox_cursor.c.provider == provider)
    )
    return found


async def save_swept_to(tx: db.Tx, provider: str, swept_to: datetime) -> None:
    """Record up to when the gateway was asked; it never goes back."""
    statement = pg.insert(inbox_cursor).values(provider=provider, swept_to=swept_to)
    newest = sa.func.greatest(inbox_cursor.c.swept_to, statement.excluded.swept_to)
    await tx.execute(statement.on_conflict_do_update(index_elements=["provider"], set_={"swept_to": newest}))


def _is(provider: str, event_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(inbox_event.c.provider == provider, inbox_event.c.event_id == event_id)


def _where(provider: str, event_id: str) -> str:
    return f"inbox_event:payload:{provider}:{event_id}"


def _event(row: sa.Row[Any]) -> InboxEvent:
    return InboxEvent(
        provider=row.provider,
        id=row.event_id,
        type=row.type,
        object_id=row.object_id,
        environment=Environment(row.environment),
        api_version=row.api_version,
        received_at=row.received_at,
        state=InboxState(row.state),
        attempts=row.attempts,
        processed_at=row.processed_at,
        note=row.note,
    )
