"""Tables and statements of inbound events: what came, how far the gateway's list was looked through, and alarms."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.journal.jobs import ProcessInboxEvent
from domain.journal.store import outbox_job
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.payments.port import GatewayEvent
from domain.webhooks.inbox import InboxEvent, InboxState

inbox_event = sa.Table(
    "inbox_event",
    db.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("id", db.Id, nullable=False, comment="in the order of arrival"),
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
    sa.Index("inbox_event_id_key", "id", unique=True),
    sa.Index("inbox_event_state_idx", "state", "id"),
)

inbox_cursor = sa.Table(
    "inbox_cursor",
    db.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("swept_to", db.Instant, comment="real time; every event created before was looked for"),
    sa.Column("sweeping_since", db.Instant, comment="real time; a look through the list is under way"),
    sa.Column("batch", sa.Integer, nullable=False, comment="which of the batches of types it is at"),
    sa.Column("after", sa.Text, comment="the last event of its last page"),
)

inbox_alarm = sa.Table(
    "inbox_alarm",
    db.metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("api_version", sa.Text, primary_key=True),
    sa.Column("on_day", sa.Date, primary_key=True, comment="UTC"),
    sa.Column("event_id", sa.Text, nullable=False, comment="the first of the day"),
    comment="days on which events of another version came than the one that is read",
)

# Written out, since whoever sends an event waits for it, and each is begun and ended: SQLAlchemy takes five times as
# long to make the statements.
_INSERT = """
INSERT INTO inbox_event (provider, event_id, id, type, object_id, environment, api_version, payload, received_at,
    state, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'received', 0)
ON CONFLICT DO NOTHING RETURNING id
"""
_BEGIN = """
UPDATE inbox_event SET attempts = attempts + 1
WHERE provider = $1 AND event_id = $2 AND state = 'received'
RETURNING provider, event_id, id, type, object_id, environment, api_version, received_at, state, attempts,
    processed_at, note
"""
_END = """
UPDATE inbox_event SET state = $3, note = $4, processed_at = $5
WHERE provider = $1 AND event_id = $2 AND state = 'received'
"""

_JOB = ProcessInboxEvent.kind
_COLUMNS = [column for column in inbox_event.c if column.name != "payload"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the gateway's list was looked through, and where the look that is under way stands."""

    swept_to: datetime | None = None
    sweeping_since: datetime | None = None
    batch: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A day on which events of another version came; `event_id` is the first of them."""

    provider: str
    api_version: str
    on_day: date
    event_id: str


async def insert_event(tx: db.Tx, provider: str, new: GatewayEvent, *, key: UUID, at: datetime) -> bool:
    """Store an event with its payload sealed. False where it is stored already."""
    sealed = tx.vault.seal(tx.vault.system, _where(provider, new.id), new.payload)
    given = (provider, new.id, key, new.type, new.object_id, str(new.environment), new.api_version, sealed, at)
    return await (await tx.raw()).fetchval(_INSERT, *given) is not None


async def find_event(tx: db.Tx, provider: str, event_id: str) -> InboxEvent | None:
    """Return an event, or None."""
    row = await tx.row(sa.select(*_COLUMNS).where(_is(provider, event_id)))
    return _event(row._mapping) if row else None  # noqa: SLF001 -- a row as a mapping


async def find_payload(tx: db.Tx, provider: str, event_id: str) -> bytes | None:
    """Return what was received, opened, or None."""
    sealed = await tx.value(sa.select(inbox_event.c.payload).where(_is(provider, event_id)))
    return tx.vault.open(tx.vault.system, _where(provider, event_id), sealed) if sealed is not None else None


async def begin_event(tx: db.Tx, provider: str, event_id: str) -> InboxEvent | None:
    """Count a run that begins and return the event; None where it does not wait."""
    row = await (await tx.raw()).fetchrow(_BEGIN, provider, event_id)
    return _event(row) if row else None


async def save_end(tx: db.Tx, event: InboxEvent, *, state: InboxState, note: str | None, at: datetime) -> None:
    """End a received event; one that has ended stays as it is."""
    await (await tx.raw()).execute(_END, event.provider, event.id, str(state), note, at)


async def find_by_key(tx: db.Tx, key: UUID) -> InboxEvent | None:
    """Return an event by our key, or None."""
    row = await tx.row(sa.select(*_COLUMNS).where(inbox_event.c.id == key))
    return _event(row._mapping) if row else None  # noqa: SLF001 -- a row as a mapping


async def find_error(tx: db.Tx, event: InboxEvent) -> str | None:
    """Return the code of the error in which the newest job of an event ended or was put off, or None."""
    job = outbox_job.c
    own = (job.kind == _JOB, job.key == f"{event.provider}:{event.id}")
    found: str | None = await tx.value(sa.select(job.last_error).where(*own).order_by(job.id.desc()).limit(1))
    return found


async def list_events(
    tx: db.Tx,
    *,
    state: InboxState | None,
    event_type: str | None,
    before: UUID | None,
    limit: int,
    stuck_only: bool = False,
) -> Sequence[InboxEvent]:
    """Return events, the newest first; `before` is the key of the last one seen.

    Stuck are the quarantined ones, and those whose job has failed for good.
    """
    own = inbox_event.c
    statement = sa.select(*_COLUMNS).order_by(own.id.desc()).limit(limit)
    if stuck_only:
        given_up = sa.and_(own.state == InboxState.RECEIVED, _has_job("failed"), sa.not_(_has_job("pending")))
        statement = statement.where(sa.or_(own.state == InboxState.QUARANTINED, given_up))
    if state is not None:
        statement = statement.where(own.state == state)
    if event_type is not None:
        statement = statement.where(own.type == event_type)
    if before is not None:
        statement = statement.where(own.id < before)
    return [_event(row._mapping) for row in await tx.rows(statement)]  # noqa: SLF001 -- as above


async def lock_events(tx: db.Tx, keys: Collection[UUID]) -> Sequence[InboxEvent]:
    """Lock events by key, the oldest first."""
    own = inbox_event.c
    statement = sa.select(*_COLUMNS).where(own.id.in_(keys)).order_by(own.id).with_for_update()
    return [_event(row._mapping) for row in await tx.rows(statement)]  # noqa: SLF001 -- as above


async def lock_in_span(
    tx: db.Tx, span: Period, *, state: InboxState | None, after: UUID | None, limit: int
) -> Sequence[InboxEvent]:
    """Lock the events received in a stretch, the oldest first; `after` is the key of the last one seen."""
    own = inbox_event.c
    received = (own.received_at >= span.start, own.received_at < span.end)
    statement = sa.select(*_COLUMNS).where(*received).order_by(own.id).limit(limit).with_for_update()
    if state is not None:
        statement = statement.where(own.state == state)
    if after is not None:
        statement = statement.where(own.id > after)
    return [_event(row._mapping) for row in await tx.rows(statement)]  # noqa: SLF001 -- as above


async def save_received(tx: db.Tx, events: Collection[InboxEvent]) -> None:
    """Let events wait for their processing again."""
    keys = [each.key for each in events]
    anew = {"state": InboxState.RECEIVED, "processed_at": None, "note": None}
    await tx.execute(sa.update(inbox_event).where(inbox_event.c.id.in_(keys)).values(anew))


async def delete_events(tx: db.Tx, *, before: datetime, limit: int) -> int:
    """Delete events that ended and were received before an instant; those that wait for anybody stay."""
    own = inbox_event.c
    over = own.state.in_((InboxState.PROCESSED, InboxState.IGNORED))
    old = sa.select(own.id).where(over, own.received_at < before).order_by(own.id).limit(limit)
    return (await tx.execute(sa.delete(inbox_event).where(own.id.in_(old)))).rowcount


async def count_states(tx: db.Tx, *, counted_max: int) -> dict[InboxState, int]:
    """Count the events that wait for a worker or for staff, each up to a bound."""
    found = {}
    for state in (InboxState.RECEIVED, InboxState.QUARANTINED):
        some = sa.select(inbox_event.c.id).where(inbox_event.c.state == state).limit(counted_max).subquery()
        found[state] = int(await tx.value(sa.select(sa.func.count()).select_from(some)) or 0)
    return found


async def lock_cursor(tx: db.Tx, provider: str) -> Cursor:
    """Return how far the gateway's list was looked through, and hold it until the transaction ends."""
    await tx.execute(pg.insert(inbox_cursor).values(provider=provider, batch=0).on_conflict_do_nothing())
    own = inbox_cursor.c
    row = await tx.row(sa.select(inbox_cursor).where(own.provider == provider).with_for_update())
    assert row is not None, "it was just inserted, or stood before"
    return Cursor(row.swept_to, row.sweeping_since, row.batch, row.after)


async def save_cursor(tx: db.Tx, provider: str, after: Cursor) -> None:
    """Write how far the gateway's list was looked through, under its lock."""
    values = {field.name: getattr(after, field.name) for field in fields(after)}
    await tx.execute(sa.update(inbox_cursor).where(inbox_cursor.c.provider == provider).values(values))


async def find_swept_to(tx: db.Tx, provider: str) -> datetime | None:
    """Return up to when the gateway was asked for its events, or None."""
    found: datetime | None = await tx.value(
        sa.select(inbox_cursor.c.swept_to).where(inbox_cursor.c.provider == provider)
    )
    return found


async def insert_alarm(tx: db.Tx, new: Alarm) -> bool:
    """Write that an event of another version came. False where one of that version came on the same day before."""
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    statement = pg.insert(inbox_alarm).values(values).on_conflict_do_nothing().returning(inbox_alarm.c.event_id)
    return await tx.value(statement) is not None


async def list_alarms(tx: db.Tx, *, limit: int) -> Sequence[Alarm]:
    """Return the newest days on which events of another version came."""
    own = inbox_alarm.c
    statement = sa.select(inbox_alarm).order_by(own.on_day.desc(), own.api_version).limit(limit)
    return [Alarm(*tuple(row)) for row in await tx.rows(statement)]


def _has_job(state: str) -> sa.ColumnElement[bool]:
    """Whether an event has a job of its processing in a state."""
    job, own = outbox_job.c, inbox_event.c
    key = own.provider + ":" + own.event_id
    return sa.exists().where(job.kind == _JOB, job.key == key, job.state == state)


def _is(provider: str, event_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(inbox_event.c.provider == provider, inbox_event.c.event_id == event_id)


def _where(provider: str, event_id: str) -> str:
    return f"inbox_event:payload:{provider}:{event_id}"


def _event(row: Any) -> InboxEvent:
    return InboxEvent(
        provider=row["provider"],
        id=row["event_id"],
        key=row["id"],
        type=row["type"],
        object_id=row["object_id"],
        environment=Environment(row["environment"]),
        api_version=row["api_version"],
        received_at=row["received_at"],
        state=InboxState(row["state"]),
        attempts=row["attempts"],
        processed_at=row["processed_at"],
        note=row["note"],
    )
