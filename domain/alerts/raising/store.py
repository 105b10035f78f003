"""Table and statements of alerts."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.alerts.alert import Alert, AlertKind, Delivery, Wish
from domain.alerts.preference import NOTICE_OF
from domain.alerts.store import mail
from domain.kernel.ids import AlertId, CustomerId, SubscriptionId
from domain.kernel.period import Period
from domain.limits.thresholds import Severity

alert = sa.Table(
    "alert",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("limit_key", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False, comment="of the limit, as the plan words it"),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("period_start", db.Instant, nullable=False),
    sa.Column("period_end", db.Instant, nullable=False),
    sa.Column("step", sa.Integer, nullable=False, comment="percent of the limit; of a grace the hours left"),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("used", db.Quantity, nullable=False),
    sa.Column("amount", db.Quantity, nullable=False, comment="the limit"),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("resets_at", db.Instant),
    sa.Column("due_at", db.Instant, comment="business time; the limit is reached, or the grace ends"),
    sa.Column("upgrade", sa.Text, comment="the key of a larger plan"),
    sa.Column("wish", sa.Text, nullable=False, comment="whether it is mailed"),
    sa.Column("raised_at", db.Instant, nullable=False, comment="business time"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("read_at", db.Instant, comment="real time"),
    sa.UniqueConstraint(
        "customer_id", "subscription_id", "kind", "limit_key", "period_start", "amount", "step", name="alert_once"
    ),
    sa.CheckConstraint("kind IN ('threshold', 'forecast', 'grace')", name="kind"),
    sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
    sa.CheckConstraint("wish IN ('wanted', 'superseded', 'unwanted')", name="wish"),
    sa.CheckConstraint("period_start < period_end", name="period"),
    sa.CheckConstraint("step >= 0", name="step"),
    sa.Index("alert_id_idx", "id"),
)


async def insert_alert(tx: db.Tx, new: Alert) -> bool:
    """Insert an alert. False where this limit and period have told of this step: another worker's is waited for."""
    statement = (
        pg.insert(alert)
        .values(
            customer_id=new.customer_id,
            id=new.id,
            subscription_id=new.subscription_id,
            kind=new.kind,
            limit_key=new.limit_key,
            description=new.description,
            policy=new.policy,
            period_start=new.period.start,
            period_end=new.period.end,
            step=new.step,
            severity=new.severity,
            used=new.used,
            amount=new.limit,
            unit=new.unit,
            resets_at=new.resets_at,
            due_at=new.due_at,
            upgrade=new.upgrade,
            wish=new.wish,
            raised_at=new.raised_at,
            created_at=new.created_at,
            read_at=new.read_at,
        )
        .on_conflict_do_nothing(constraint="alert_once")
        .returning(alert.c.id)
    )
    return await tx.value(statement) is not None


async def list_raised(
    tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId, *, period_start: datetime
) -> dict[tuple[str, Decimal], set[tuple[AlertKind, int]]]:
    """Return what a period has told of, by limit and its amount."""
    statement = sa.select(alert.c.limit_key, alert.c.amount, alert.c.kind, alert.c.step).where(
        alert.c.customer_id == customer_id,
        alert.c.subscription_id == subscription_id,
        alert.c.period_start == period_start,
    )
    found: dict[tuple[str, Decimal], set[tuple[AlertKind, int]]] = {}
    for row in await tx.rows(statement):
        found.setdefault((row.limit_key, row.amount), set()).add((AlertKind(row.kind), row.step))
    return found


async def list_alerts_of_period(
    tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId, *, period_start: datetime, limit: int
) -> list[Alert]:
    """Return the newest alerts of a usage period."""
    own = alert.c
    statement = _read().where(
        own.customer_id == customer_id, own.subscription_id == subscription_id, own.period_start == period_start
    )
    return [_alert(row) for row in await tx.rows(statement.order_by(own.id.desc()).limit(limit))]


async def find_alert(tx: db.Tx, customer_id: CustomerId, alert_id: AlertId) -> Alert | None:
    """Return an alert, or None."""
    row = await tx.row(_read().where(alert.c.customer_id == customer_id, alert.c.id == alert_id))
    return _alert(row) if row else None


async def find_owner(tx: db.Tx, alert_id: AlertId) -> CustomerId | None:
    """Return whose alert it is, or None."""
    owner: CustomerId | None = await tx.value(sa.select(alert.c.customer_id).where(alert.c.id == alert_id))
    return owner


async def list_alerts_of(
    tx: db.Tx, ids: Collection[CustomerId], *, before: UUID | None, limit: int, unread_only: bool = False
) -> dict[CustomerId, list[Alert]]:
    """Return the newest alerts of each customer, at most `limit`; `before` is the id of the last one seen."""
    found: dict[CustomerId, list[Alert]] = {each: [] for each in ids}
    where = [alert.c.read_at.is_(None)] if unread_only else []
    newest = db.newest_of_each(alert, ids, before=before, limit=limit, where=where).subquery("page")
    statement = (
        sa.select(newest, mail.c.state.label("mail_state"))
        .select_from(newest.outerjoin(mail, _mailed(newest)))
        .order_by(newest.c.id.desc())
    )
    for row in await tx.rows(statement):
        found[row.customer_id].append(_alert(row))
    return found


async def save_read(tx: db.Tx, customer_id: CustomerId, alert_id: AlertId, *, read_at: datetime | None) -> None:
    """Mark an alert read or unread; one that is read keeps the instant it was first read at."""
    statement = sa.update(alert).where(alert.c.customer_id == customer_id, alert.c.id == alert_id)
    if read_at is not None:
        statement = statement.where(alert.c.read_at.is_(None))
    await tx.execute(statement.values(read_at=read_at))


def _mailed(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Join an alert with the mail about it."""
    notice = sa.case({str(kind): str(each) for kind, each in NOTICE_OF.items()}, value=table.c.kind)
    return sa.and_(
        mail.c.customer_id == table.c.customer_id,
        mail.c.notice == notice,
        mail.c.about == sa.cast(table.c.id, sa.Text),
    )


def _read() -> sa.Select[Any]:
    return sa.select(alert, mail.c.state.label("mail_state")).select_from(alert.outerjoin(mail, _mailed(alert)))


def _alert(row: sa.Row[Any]) -> Alert:
    return Alert(
        customer_id=row.customer_id,
        id=AlertId(row.id),
        subscription_id=row.subscription_id,
        kind=AlertKind(row.kind),
        limit_key=row.limit_key,
        description=row.description,
        policy=row.policy,
        period=Period(row.period_start, row.period_end),
        step=row.step,
        severity=Severity(row.severity),
        used=row.used,
        limit=row.amount,
        unit=row.unit,
        resets_at=row.resets_at,
        due_at=row.due_at,
        upgrade=row.upgrade,
        wish=Wish(row.wish),
        raised_at=row.raised_at,
        created_at=row.created_at,
        read_at=row.read_at,
        delivery=_delivery(row),
    )


def _delivery(row: sa.Row[Any]) -> Delivery:
    if row.wish != Wish.WANTED:
        return Delivery(row.wish)
    return Delivery.PENDING if row.mail_state in {None, "queued"} else Delivery(row.mail_state)
