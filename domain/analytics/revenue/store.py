"""Statements about all live customers, and the table of what winning a customer cost."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId
from domain.kernel.money import Money
from domain.statement import Statement, among
from domain.subscriptions.store import subscription
from domain.subscriptions.terms.store import subscription_term

acquisition_cost = sa.Table(
    "acquisition_cost",
    db.metadata,
    sa.Column("month_at", db.Instant, primary_key=True, comment="where the calendar month begins, in UTC"),
    sa.Column("currency", sa.Text, primary_key=True),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="what winning one customer cost"),
    sa.Column("entered_at", db.Instant, nullable=False),
    sa.CheckConstraint("amount_minor >= 0", name="amount"),
)

_own, _term = subscription.c, subscription_term.c
_CURRENCY = sa.bindparam("currency", type_=sa.Text)
_LIVE = sa.and_(
    _own.environment == sa.literal_column(f"'{Environment.LIVE}'"),
    _own.status != "incomplete",
    _own.currency == _CURRENCY,
)
_ITS_TERM = sa.and_(_term.customer_id == _own.customer_id, _term.subscription_id == _own.id)


def _paying() -> Statement:
    under = sa.exists().where(_ITS_TERM, among(_term.plan_version_id, "version_ids"))
    statement = sa.select(_own.customer_id).distinct().order_by(_own.customer_id)
    return Statement(
        statement.where(
            _LIVE,
            sa.or_(among(_own.plan_version_id, "version_ids"), under),
            _own.customer_id > sa.bindparam("after", type_=db.Id),
        ).limit(sa.bindparam("limit", type_=sa.BigInteger))
    )


def _using() -> Statement:
    at = (
        sa.func.unnest(sa.bindparam("instants", type_=pg.ARRAY(db.Instant)))
        .table_valued(sa.column("at", db.Instant))
        .render_derived("asked")
    )
    ends_at = sa.func.coalesce(_own.ended_at, _own.cancel_at)
    runs = sa.and_(_own.started_at <= at.c.at, sa.or_(ends_at.is_(None), ends_at > at.c.at))
    held = sa.select(_term.billed).where(_ITS_TERM, ~_term.pending, _term.starts_at <= at.c.at)
    billed = held.order_by(_term.starts_at.desc()).limit(1).scalar_subquery()
    # What Stripe bills has no terms.
    uses = sa.func.coalesce(billed, _own.source == "stripe")
    count = sa.func.count(_own.customer_id.distinct()).label("customers")
    statement = sa.select(at.c.at, count).select_from(at.join(subscription, runs)).where(_LIVE, uses)
    return Statement(statement.group_by(at.c.at))


_PAYING, _USING = _paying(), _using()


async def list_paying(
    tx: db.Tx, currency: str, version_ids: Collection[PlanVersionId], *, after: CustomerId, limit: int
) -> Sequence[CustomerId]:
    """Return live customers who are or were under one of these versions, by their ids; `after` is the last one seen."""
    found = await _PAYING.rows(tx, currency=currency, version_ids=list(version_ids), after=after, limit=limit)
    return [row.customer_id for row in found]


async def count_using(tx: db.Tx, currency: str, instants: Sequence[datetime]) -> dict[datetime, int]:
    """Count the live customers who had a subscription at each instant, paid or free, tried and paused ones left out."""
    found = dict.fromkeys(instants, 0)
    for row in await _USING.rows(tx, currency=currency, instants=list(instants)):
        found[row.at] = row.customers
    return found


async def list_costs(tx: db.Tx, currency: str, months: Sequence[datetime]) -> dict[datetime, Money]:
    """Return what winning a customer cost in the months that begin at these instants, where it was entered."""
    own = acquisition_cost.c
    statement = sa.select(acquisition_cost).where(own.currency == currency, own.month_at.in_(months))
    return {row.month_at: Money(row.amount_minor, row.currency) for row in await tx.rows(statement)}


async def save_cost(tx: db.Tx, month_at: datetime, cost: Money, entered_at: datetime) -> bool:
    """Write what winning a customer cost in a month. False where it stood so."""
    values: dict[str, Any] = {"amount_minor": cost.minor, "entered_at": entered_at}
    statement = pg.insert(acquisition_cost).values(month_at=month_at, currency=cost.currency, **values)
    written = statement.on_conflict_do_update(
        index_elements=["month_at", "currency"],
        set_=values,
        where=acquisition_cost.c.amount_minor != statement.excluded.amount_minor,
    )
    return await tx.value(written.returning(acquisition_cost.c.month_at)) is not None
