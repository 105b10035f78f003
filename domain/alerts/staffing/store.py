"""Table and statements of alerts to staff."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.alerts.staffing.staff_alert import StaffAlert, StaffAlertKind
from domain.kernel.call import Environment
from domain.kernel.ids import StaffAlertId

staff_alert = sa.Table(
    "staff_alert",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, comment="the id of the row that it tells of"),
    sa.Column("environment", sa.Text, comment="null: it concerns both"),
    sa.Column("facts", db.Json, nullable=False),
    sa.Column("raised_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("read_at", db.Instant),
    sa.Column("mailed_at", db.Instant),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.Index("staff_alert_unread_key", "kind", "about", unique=True, postgresql_where=sa.text("read_at IS NULL")),
)


async def insert_alert(tx: db.Tx, new: StaffAlert) -> bool:
    """Store an alert. False where one of its kind about the same row is unread."""
    values = {each.name: getattr(new, each.name) for each in fields(StaffAlert)} | {"facts": dict(new.facts)}
    statement = (
        pg.insert(staff_alert)
        .values(values)
        .on_conflict_do_nothing(index_elements=["kind", "about"], index_where=sa.text("read_at IS NULL"))
        .returning(staff_alert.c.id)
    )
    return await tx.value(statement) is not None


async def save_facts(tx: db.Tx, kind: StaffAlertKind, about: str, facts: Mapping[str, Any]) -> None:
    """Give the unread alert of a kind about a row other facts."""
    alert = staff_alert.c
    unread = sa.and_(alert.kind == kind, alert.about == about, alert.read_at.is_(None))
    await tx.execute(sa.update(staff_alert).where(unread).values(facts=dict(facts)))


async def was_raised(tx: db.Tx, kind: StaffAlertKind, about: str) -> bool:
    """Whether there is an alert of a kind about a row, read or not."""
    alert = staff_alert.c
    return await tx.value(sa.select(alert.id).where(alert.kind == kind, alert.about == about).limit(1)) is not None


async def find_alert(tx: db.Tx, alert_id: StaffAlertId) -> StaffAlert | None:
    """Return an alert, or None."""
    row = await tx.row(sa.select(staff_alert).where(staff_alert.c.id == alert_id))
    return _alert(row) if row else None


async def list_alerts(
    tx: db.Tx, *, environments: Collection[Environment | None], unread_only: bool, before: UUID | None, limit: int
) -> Sequence[StaffAlert]:
    """Return alerts of some environments newest first; None among them stands for what concerns both."""
    alert = staff_alert.c
    of_one = alert.environment.in_([each for each in environments if each is not None])
    is_seen = sa.or_(of_one, alert.environment.is_(None)) if None in environments else of_one
    statement = sa.select(staff_alert).where(is_seen).order_by(alert.id.desc()).limit(limit)
    if unread_only:
        statement = statement.where(alert.read_at.is_(None))
    if before is not None:
        statement = statement.where(alert.id < before)
    return [_alert(row) for row in await tx.rows(statement)]


async def save_read(tx: db.Tx, alert_id: StaffAlertId, *, at: datetime) -> None:
    """Mark an alert read; the first instant stands."""
    await tx.execute(
        sa.update(staff_alert).where(staff_alert.c.id == alert_id, staff_alert.c.read_at.is_(None)).values(read_at=at)
    )


async def save_mailed(tx: db.Tx, alert_id: StaffAlertId, *, at: datetime) -> None:
    """Note that an alert was mailed."""
    await tx.execute(sa.update(staff_alert).where(staff_alert.c.id == alert_id).values(mailed_at=at))


def _alert(row: sa.Row[Any]) -> StaffAlert:
    environment = Environment(row.environment) if row.environment else None
    return StaffAlert(
        **{
            **{each.name: getattr(row, each.name) for each in fields(StaffAlert)},
            "kind": StaffAlertKind(row.kind),
            "environment": environment,
        }
    )
