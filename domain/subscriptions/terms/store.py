"""The table of terms."""

import dataclasses
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.statement import Row, Statement, given, narrowed
from domain.subscriptions.schedule import Interval
from domain.subscriptions.term import Term

subscription_term = sa.Table(
    "subscription_term",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, primary_key=True),
    sa.Column("starts_at", db.Instant, primary_key=True, comment="it holds until the next one starts"),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("interval", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("anchor_at", db.Instant, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("billed", sa.Boolean, nullable=False, comment="false: a trial or a pause, which owes no fees"),
    sa.Column("pending", sa.Boolean, primary_key=True, comment="charged, and in effect once that is paid"),
    sa.Column("known_at", db.Instant, comment="when its start was known, where that was before"),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"],
        ["subscription.customer_id", "subscription.id"],
        name="subscription_term_subscription_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("interval IN ('month', 'year')", name="interval"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.Index("subscription_term_subscription_id_idx", "subscription_id", "starts_at"),
)

_NAMES = [field.name for field in dataclasses.fields(Term)]

_INSERT = Statement(sa.insert(subscription_term).values(given(subscription_term)))
_DELETE_FROM = Statement(
    sa.delete(subscription_term).where(
        *narrowed(subscription_term, ("customer_id", "subscription_id")),
        subscription_term.c.starts_at >= sa.bindparam("starts_at"),
    )
)


async def insert_term(tx: db.Tx, new: Term) -> None:
    """Append a term; no other of the subscription starts with it, but for one that holds while it is pending."""
    await _INSERT.run(tx, **{name: getattr(new, name) for name in _NAMES})


async def delete_terms_from(
    tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId, starts_at: datetime
) -> None:
    """Delete the terms that start at an instant or later."""
    await _DELETE_FROM.run(tx, customer_id=customer_id, subscription_id=subscription_id, starts_at=starts_at)


async def delete_pending(tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId) -> None:
    """Delete the pending term of a subscription."""
    own = subscription_term.c
    await tx.execute(
        sa.delete(subscription_term).where(
            own.customer_id == customer_id, own.subscription_id == subscription_id, own.pending
        )
    )


def _newest() -> Statement:
    given_ids = sa.bindparam("subscription_ids", type_=pg.ARRAY(db.Id))
    wanted = sa.func.unnest(given_ids).table_valued(sa.column("id", db.Id)).render_derived("wanted")
    own = sa.select(subscription_term).where(subscription_term.c.subscription_id == wanted.c.id)
    limit = sa.bindparam("limit", type_=sa.BigInteger)
    order = (subscription_term.c.starts_at, subscription_term.c.pending)
    newest = own.order_by(*(column.desc() for column in order)).limit(limit).lateral("newest")
    in_order = (newest.c.starts_at, newest.c.pending)
    return Statement(sa.select(newest).select_from(wanted.join(newest, sa.true())).order_by(*in_order))


_NEWEST = _newest()


async def terms_of(
    tx: db.Tx, subscription_ids: Collection[SubscriptionId], *, limit: int
) -> dict[SubscriptionId, list[Term]]:
    """Return the newest terms of subscriptions in order of time, a pending one last, at most `limit` of each."""
    found: dict[SubscriptionId, list[Term]] = {each: [] for each in subscription_ids}
    for row in await _NEWEST.rows(tx, subscription_ids=list(subscription_ids), limit=limit):
        found[row.subscription_id].append(_term(row))
    return found


def _term(row: Row) -> Term:
    return Term(**{**{name: getattr(row, name) for name in _NAMES}, "interval": Interval(row.interval)})
