"""Statements on events in quarantine that an earlier version has left plain."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId, EventId
from domain.kernel.values import dataclass
from domain.usage.store import quarantined_event


@dataclass(frozen=True, slots=True)
class Plain:
    """What an event was sent with, as JSON."""

    customer_id: CustomerId
    id: EventId
    properties: str


async def lock_plain(tx: db.Tx, *, limit: int) -> Sequence[Plain]:
    """Lock events whose properties are plain, the first received first, but for those that are locked already."""
    own = quarantined_event.c
    statement = (
        sa.select(own.customer_id, own.id, sa.cast(own.properties, sa.Text))
        .where(own.properties.is_not(None))
        .order_by(own.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Plain(*tuple(row)) for row in await tx.rows(statement)]


async def save_sealed(tx: db.Tx, sealed: Sequence[tuple[Plain, bytes]]) -> None:
    """Put sealed properties in place of plain ones, of events that are locked."""
    own = quarantined_event.c
    statement = (
        sa.update(quarantined_event)
        .where(own.customer_id == sa.bindparam("of_customer"), own.id == sa.bindparam("of_event"))
        .values(properties=sa.null(), sealed=sa.bindparam("value"))
    )
    rows = [{"of_customer": each.customer_id, "of_event": each.id, "value": value} for each, value in sealed]
    if rows:
        await tx.execute(statement, rows)


async def count_plain(tx: db.Tx, *, limit: int) -> int:
    """Count events whose properties are plain, at most `limit`."""
    plain = sa.select(quarantined_event.c.id).where(quarantined_event.c.properties.is_not(None)).limit(limit)
    return int(await tx.value(sa.select(sa.func.count()).select_from(plain.subquery())) or 0)
