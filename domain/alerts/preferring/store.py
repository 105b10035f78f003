"""Table and statements of what customers want to be told."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.alerts.notice import Notice
from domain.alerts.preference import Preference
from domain.kernel.ids import CustomerId

alert_preference = sa.Table(
    "alert_preference",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("thresholds", pg.ARRAY(sa.Integer), comment="percentages; null: those of each product"),
    sa.Column("unsubscribed", pg.ARRAY(sa.Text), nullable=False, comment="kinds of mail that are not wanted"),
    sa.Column("weekly_digest", sa.Boolean, nullable=False),
    sa.Column("updated_at", db.Instant, nullable=False, comment="real time"),
)


async def find_preference(tx: db.Tx, customer_id: CustomerId) -> Preference | None:
    """Return what a customer said it wants, or None."""
    return (await preferences_by_id(tx, [customer_id])).get(customer_id)


async def lock_preference(tx: db.Tx, customer_id: CustomerId, *, at: datetime) -> Preference:
    """Return what a customer wants and keep others from changing it; one who never said so then has said nothing."""
    nothing = {"customer_id": customer_id, "unsubscribed": [], "weekly_digest": False, "updated_at": at}
    await tx.execute(pg.insert(alert_preference).values(nothing).on_conflict_do_nothing())
    own = alert_preference.c.customer_id == customer_id
    row = await tx.row(sa.select(alert_preference).where(own).with_for_update())
    assert row is not None, "it was inserted, or is there"
    return _preference(row)


async def preferences_by_id(tx: db.Tx, ids: Collection[CustomerId]) -> dict[CustomerId, Preference]:
    """Return what customers said they want; those who never said so are not among them."""
    statement = sa.select(alert_preference).where(alert_preference.c.customer_id.in_(ids))
    return {row.customer_id: _preference(row) for row in await tx.rows(statement)}


async def save_preference(tx: db.Tx, wanted: Preference, *, at: datetime) -> None:
    """Store what a customer wants, in place of what it wanted."""
    values = {
        "thresholds": None if wanted.thresholds is None else list(wanted.thresholds),
        "unsubscribed": sorted(wanted.unsubscribed),
        "weekly_digest": wanted.weekly_digest,
        "updated_at": at,
    }
    statement = pg.insert(alert_preference).values(customer_id=wanted.customer_id, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["customer_id"], set_=values))


def _preference(row: sa.Row[Any]) -> Preference:
    return Preference(
        row.customer_id,
        None if row.thresholds is None else tuple(row.thresholds),
        frozenset(map(Notice, row.unsubscribed)),
        row.weekly_digest,
    )
