"""The table of scheduled starts."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, ProductId, StartId
from domain.subscriptions.schedule import Interval
from domain.subscriptions.upcoming.scheduled_start import ScheduledStart, StartState, Terms

_WAITING = sa.text("state = 'scheduled'")

scheduled_start = sa.Table(
    "scheduled_start",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("product_id", db.Id, sa.ForeignKey("product.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("interval", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("starts_at", db.Instant, nullable=False, comment="business time, as all instants here"),
    sa.Column("trial_days", sa.Integer, comment="null: the plan's own trial"),
    sa.Column("bill_day", sa.Integer),
    sa.Column("calendar", sa.Boolean, nullable=False),
    sa.Column("promotion_code", sa.Text),
    sa.Column("quantity", sa.Integer, nullable=False, comment="units of the fee"),
    sa.Column("asked_at", db.Instant, nullable=False),
    sa.Column("subscription_id", db.Id, comment="what came of it"),
    sa.Column("refusal", sa.Text, comment="the code of why nothing came of it"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("state IN ('scheduled', 'started', 'canceled', 'refused')", name="state"),
    sa.CheckConstraint("interval IN ('month', 'year')", name="interval"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("(state = 'started') = (subscription_id IS NOT NULL)", name="started"),
    sa.CheckConstraint("(state = 'refused') = (refusal IS NOT NULL)", name="refused"),
    sa.Index("scheduled_start_waiting_key", "customer_id", "product_id", unique=True, postgresql_where=_WAITING),
    sa.Index("scheduled_start_id_idx", "id"),
)

_TERMS = [field.name for field in fields(Terms)]


async def insert_start(tx: db.Tx, new: ScheduledStart) -> bool:
    """Insert a start, after any concurrent insert. False where one of the customer and product waits."""
    values = {"customer_id": new.customer_id, "id": new.id, "product_id": new.product_id, **_row(new)}
    statement = pg.insert(scheduled_start).values(values).on_conflict_do_nothing()
    return await tx.value(statement.returning(scheduled_start.c.id)) is not None


async def save_start(tx: db.Tx, after: ScheduledStart) -> None:
    """Write a start that the caller holds locked."""
    own = scheduled_start.c
    await tx.execute(
        sa.update(scheduled_start).where(own.customer_id == after.customer_id, own.id == after.id).values(_row(after))
    )


async def find_start(
    tx: db.Tx, start_id: StartId, *, scope: CustomerId | None, lock: bool = False
) -> ScheduledStart | None:
    """Return a start, or None where there is none in the scope. `lock` keeps others out until the transaction ends."""
    statement = sa.select(scheduled_start).where(scheduled_start.c.id == start_id)
    if scope is not None:
        statement = statement.where(scheduled_start.c.customer_id == scope)
    row = await tx.row(statement.with_for_update() if lock else statement)
    return _start(row) if row else None


async def find_waiting(tx: db.Tx, *, customer_id: CustomerId, product_id: ProductId) -> ScheduledStart | None:
    """Return the start of a customer and product that waits, or None."""
    own = scheduled_start.c
    statement = sa.select(scheduled_start).where(own.customer_id == customer_id, own.product_id == product_id, _WAITING)
    row = await tx.row(statement)
    return _start(row) if row else None


async def starts_of_customers(
    tx: db.Tx, customer_ids: Collection[CustomerId], *, scope: CustomerId | None, limit: int
) -> dict[CustomerId, list[ScheduledStart]]:
    """Return the newest starts of each of many customers, at most `limit` of each."""
    seen = [each for each in customer_ids if scope in {None, each}]
    found: dict[CustomerId, list[ScheduledStart]] = {each: [] for each in customer_ids}
    for row in await tx.rows(db.newest_of_each(scheduled_start, seen, before=None, limit=limit)):
        found[row.customer_id].append(_start(row))
    return found


def _row(value: ScheduledStart) -> dict[str, Any]:
    return {
        "environment": value.environment,
        "state": value.state,
        **{name: getattr(value.terms, name) for name in _TERMS},
        "asked_at": value.asked_at,
        "subscription_id": value.subscription_id,
        "refusal": value.refusal,
    }


def _start(row: sa.Row[Any]) -> ScheduledStart:
    values = {name: getattr(row, name) for name in _TERMS}
    return ScheduledStart(
        customer_id=row.customer_id,
        id=row.id,
        product_id=row.product_id,
        environment=Environment(row.environment),
        state=StartState(row.state),
        terms=Terms(**{**values, "interval": Interval(row.interval)}),
        asked_at=row.asked_at,
        subscription_id=row.subscription_id,
        refusal=row.refusal,
    )
