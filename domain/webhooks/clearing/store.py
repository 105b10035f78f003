"""Statements that read stored payloads in the order of their arrival, and write over some."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.kernel.values import dataclass
from domain.webhooks.store import inbox_event

_own = inbox_event.c


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored event, opened."""

    key: UUID
    provider: str
    event_id: str
    payload: bytes


async def read_payloads(tx: db.Tx, *, after: UUID | None, limit: int) -> Sequence[Stored]:
    """Return events with their payloads in the order of arrival; `after` is the key of the last one seen."""
    statement = sa.select(_own.id, _own.provider, _own.event_id, _own.payload).order_by(_own.id).limit(limit)
    if after is not None:
        statement = statement.where(_own.id > after)
    return [
        Stored(row.id, row.provider, row.event_id, tx.vault.open(tx.vault.system, _where(row), row.payload))
        for row in await tx.rows(statement)
    ]


async def save_payload(tx: db.Tx, of: Stored, payload: bytes) -> None:
    """Write over what was received."""
    sealed = tx.vault.seal(tx.vault.system, f"inbox_event:payload:{of.provider}:{of.event_id}", payload)
    await tx.execute(sa.update(inbox_event).where(_own.id == of.key).values(payload=sealed))


def _where(row: "sa.Row[tuple[object, ...]]") -> str:
    return f"inbox_event:payload:{row.provider}:{row.event_id}"
