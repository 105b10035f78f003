"""Tables and statements of subscriptions and segments."""

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.statement import Row, Statement, among, given, narrowed, present
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import AccessState, Segment, Source, Status, Subscription, TrialEnd

# Written out, so that the planner can match it with the partial indexes.
_LIVE = sa.text("subscription.status NOT IN ('incomplete', 'canceled')")
_LIVE_ROW = sa.text("status NOT IN ('incomplete', 'canceled')")
_DUE_ROW = sa.text("due_at IS NOT NULL")
_SETTLES_ROW = sa.text("settles_at IS NOT NULL")

subscription = sa.Table(
    "subscription",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("product_id", db.Id, sa.ForeignKey("product.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("gateway_id", sa.Text),
    sa.Column("anchor_at", db.Instant, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("interval", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("started_at", db.Instant, nullable=False),
    sa.Column("period_start_at", db.Instant, nullable=False, comment="usage period, always one month"),
    sa.Column("period_end_at", db.Instant, nullable=False),
    sa.Column("fee_period_start_at", db.Instant, nullable=False),
    sa.Column("fee_period_end_at", db.Instant, nullable=False),
    sa.Column("cancel_at", db.Instant, comment="where it ends or ended"),
    sa.Column("canceled_at", db.Instant, comment="when its end was asked for"),
    sa.Column("ended_at", db.Instant),
    sa.Column("settles_at", db.Instant, comment="when what arrived late is billed for the last time"),
    sa.Column("cancel_reason", sa.Text),
    sa.Column("cancel_feedback", db.Personal),
    sa.Column("failed_invoice_ids", pg.ARRAY(db.Id), nullable=False, comment="open invoices whose last attempt failed"),
    sa.Column("running_since", db.Instant, nullable=False, comment="after its last pause, else its start"),
    sa.Column("trial_ends_at", db.Instant, comment="where its trial ends or ended, and billing starts"),
    sa.Column("trial_end", sa.Text, comment="what becomes of the trial without a payment method"),
    sa.Column("pause_at", db.Instant, comment="where a pause begins or began"),
    sa.Column("resumes_at", db.Instant, comment="where the pause ends by itself"),
    sa.Column("expires_at", db.Instant, comment="where it lapses without its first payment"),
    sa.Column("moves_at", db.Instant, comment="where its bill day moves"),
    sa.Column("moves_to", db.Instant, comment="the anchor of the grid that it moves to"),
    sa.Column("moves_asked_at", db.Instant),
    sa.Column("paid_until", db.Instant, comment="how far a fee was billed when the end was brought forward"),
    sa.Column("due_at", db.Instant, comment="when something next becomes of it by itself"),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="raised by every change of a border"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("access", sa.Text, nullable=False, comment="what checks answer by while a payment is owed"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint(
        "status IN ('incomplete', 'trialing', 'active', 'past_due', 'paused', 'unpaid', 'canceled')", name="status"
    ),
    sa.CheckConstraint("source IN ('tollgate', 'stripe')", name="source"),
    sa.CheckConstraint("(source = 'stripe') = (gateway_id IS NOT NULL)", name="gateway_id"),
    sa.CheckConstraint("interval IN ('month', 'year')", name="interval"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("access IN ('full', 'restricted', 'suspended')", name="access"),
    sa.CheckConstraint("period_start_at < period_end_at", name="period"),
    sa.CheckConstraint("fee_period_start_at < fee_period_end_at", name="fee_period"),
    sa.CheckConstraint("(status = 'canceled') = (ended_at IS NOT NULL)", name="ended_at"),
    sa.CheckConstraint("trial_end IN ('bill', 'cancel', 'pause', 'fall_back')", name="trial_end"),
    sa.CheckConstraint("(trial_ends_at IS NULL) = (trial_end IS NULL)", name="trial"),
    sa.CheckConstraint("status <> 'paused' OR source = 'stripe' OR pause_at IS NOT NULL", name="pause"),
    sa.CheckConstraint("(status = 'incomplete' AND source = 'tollgate') = (expires_at IS NOT NULL)", name="expires_at"),
    sa.CheckConstraint("num_nulls(moves_at, moves_to, moves_asked_at) IN (0, 3)", name="moves"),
    sa.UniqueConstraint("customer_id", "gateway_id"),
    sa.Index("subscription_live_key", "customer_id", "product_id", unique=True, postgresql_where=_LIVE_ROW),
    sa.Index("subscription_due_idx", "due_at", postgresql_where=_DUE_ROW),
    sa.Index("subscription_settles_at_idx", "settles_at", postgresql_where=_SETTLES_ROW),
    sa.Index("subscription_id_idx", "id"),
    sa.Index("subscription_version_idx", "plan_version_id", "id"),
    sa.Index("subscription_gateway_id_idx", "gateway_id"),
)

segment = sa.Table(
    "segment",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, nullable=False),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("start_at", db.Instant, nullable=False),
    sa.Column("end_at", db.Instant, nullable=False),
    sa.Column("period_start_at", db.Instant, nullable=False, comment="the whole usage period it is a stretch of"),
    sa.Column("period_end_at", db.Instant, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
    sa.Column("zone", sa.Text, comment="of its hours and days; null: the customer's"),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"], ["subscription.customer_id", "subscription.id"], ondelete="RESTRICT"
    ),
    sa.CheckConstraint("period_start_at <= start_at AND start_at < end_at AND end_at <= period_end_at", name="stretch"),
    pg.ExcludeConstraint(
        (sa.text("uuidrange(subscription_id, subscription_id, '[]')"), "&&"),
        (sa.text("tstzrange(start_at, end_at)"), "&&"),
        name="segment_overlap_excl",
        using="gist",
    ),
    sa.Index("segment_subscription_id_idx", "subscription_id", "start_at"),
)


_INSERT = Statement(
    pg.insert(subscription).values(given(subscription)).on_conflict_do_nothing().returning(subscription.c.id)
)


@cache
def _save(*, raises_epoch: bool) -> Statement:
    own = subscription.c
    return Statement(
        sa.update(subscription)
        .where(*narrowed(subscription, ("customer_id", "id")), own.version == sa.bindparam("version_before"))
        .values(
            given(subscription, but=("customer_id", "id", "epoch")) | ({"epoch": own.epoch + 1} if raises_epoch else {})
        )
        .returning(own.epoch)
    )


async def insert_subscription(tx: db.Tx, new: Subscription) -> bool:
    """Insert a subscription, after any concurrent insert. False where one is live, or this gateway id is known."""
    return await _INSERT.value(tx, **_subscription_row(new)) is not None


async def save_subscription(
    tx: db.Tx, before: Subscription, after: Subscription, *, raises_epoch: bool = False
) -> Subscription:
    """Write a changed subscription that the caller holds locked; the epoch that it has by then is kept or raised."""
    row = _subscription_row(dataclasses.replace(after, version=before.version + 1))
    del row["epoch"]
    epoch = await _save(raises_epoch=raises_epoch).value(tx, **row, version_before=before.version)
    assert epoch is not None, "a subscription is locked before it is changed"
    return dataclasses.replace(after, epoch=epoch, version=before.version + 1)


@cache
def _one(*names: str, lock: bool) -> Statement:
    statement = sa.select(subscription).where(*narrowed(subscription, names))
    return Statement(statement.with_for_update(key_share=True) if lock else statement)


async def find_subscription(
    tx: db.Tx, subscription_id: SubscriptionId, *, scope: CustomerId | None, lock: bool = False
) -> Subscription | None:
    """Return a subscription, or None where there is none in the scope.

    `lock` keeps other changes out until the transaction ends; rows that refer to it can still be added.
    """
    known = present(id=subscription_id, customer_id=scope)
    row = await _one(*known, lock=lock).row(tx, **known)
    return subscription_of_row(row) if row else None


_LOCK_ALL = Statement(
    sa.select(subscription)
    .where(*narrowed(subscription, ("customer_id",)), among(subscription.c.id, "ids"))
    .order_by(subscription.c.id)
    .with_for_update(key_share=True)
)


async def lock_subscriptions(
    tx: db.Tx, ids: Collection[SubscriptionId], *, scope: CustomerId
) -> Sequence[Subscription]:
    """Return a customer's subscriptions in ascending order, locked in that order as by `find_subscription`."""
    return [subscription_of_row(row) for row in await _LOCK_ALL.rows(tx, customer_id=scope, ids=list(ids))]


async def find_subscription_by_gateway_id(
    tx: db.Tx, *, customer_id: CustomerId, gateway_id: str
) -> Subscription | None:
    """Return the mirror of a subscription that the gateway bills, or None."""
    row = await _one("customer_id", "gateway_id", lock=False).row(tx, customer_id=customer_id, gateway_id=gateway_id)
    return subscription_of_row(row) if row else None


async def find_live_subscription(tx: db.Tx, *, customer_id: CustomerId, product_id: ProductId) -> Subscription | None:
    """Return the customer's live subscription of a product, or None."""
    own = subscription.c
    statement = sa.select(subscription).where(own.customer_id == customer_id, own.product_id == product_id, _LIVE)
    row = await tx.row(statement)
    return subscription_of_row(row) if row else None


async def list_subscriptions(tx: db.Tx, *, customer_id: CustomerId, limit: int) -> Sequence[Subscription]:
    """Return a customer's subscriptions, ended ones too, newest first."""
    statement = (
        sa.select(subscription)
        .where(subscription.c.customer_id == customer_id)
        .order_by(subscription.c.id.desc())
        .limit(limit)
    )
    return [subscription_of_row(row) for row in await tx.rows(statement)]


async def subscriptions_of_customers(
    tx: db.Tx, customer_ids: Collection[CustomerId], *, scope: CustomerId | None, limit: int
) -> dict[CustomerId, list[Subscription]]:
    """Return the newest subscriptions of each of many customers, at most `limit` of each."""
    own = subscription.c
    rank = sa.func.row_number().over(partition_by=own.customer_id, order_by=own.id.desc()).label("rank")
    ranked = sa.select(subscription, rank).where(own.customer_id.in_(customer_ids))
    if scope is not None:
        ranked = ranked.where(own.customer_id == scope)
    newest = ranked.subquery()
    statement = sa.select(newest).where(newest.c.rank <= limit).order_by(newest.c.id.desc())
    found: dict[CustomerId, list[Subscription]] = {customer_id: [] for customer_id in customer_ids}
    for row in await tx.rows(statement):
        found[row.customer_id].append(subscription_of_row(row))
    return found


@cache
def _by_id(*names: str) -> Statement:
    return Statement(sa.select(subscription).where(among(subscription.c.id, "ids"), *narrowed(subscription, names)))


async def subscriptions_by_id(
    tx: db.Tx, ids: Collection[SubscriptionId], *, scope: CustomerId | None
) -> dict[SubscriptionId, Subscription]:
    """Return those of the subscriptions that exist in the scope."""
    known = present(customer_id=scope)
    return {row.id: subscription_of_row(row) for row in await _by_id(*known).rows(tx, ids=list(ids), **known)}


_INSERT_SEGMENT = Statement(pg.insert(segment).values(given(segment)).on_conflict_do_nothing().returning(segment.c.id))


async def insert_segment(tx: db.Tx, new: Segment) -> bool:
    """Insert a segment. False where one overlaps it already, also one that another transaction just committed."""
    values = {
        "customer_id": new.customer_id,
        "id": new.id,
        "subscription_id": new.subscription_id,
        "plan_version_id": new.plan_version_id,
        "start_at": new.during.start,
        "end_at": new.during.end,
        "period_start_at": new.period.start,
        "period_end_at": new.period.end,
        "final": new.final,
        "zone": new.zone,
    }
    return await _INSERT_SEGMENT.value(tx, **values) is not None


@cache
def _segments_of(*, ending_after: bool) -> Statement:
    own = segment.c
    statement = sa.select(segment).where(among(own.subscription_id, "subscription_ids")).order_by(own.start_at)
    return Statement(statement.where(own.end_at > sa.bindparam("ending_after")) if ending_after else statement)


async def segments_of(
    tx: db.Tx, subscription_ids: Collection[SubscriptionId], *, ending_after: datetime | None = None
) -> dict[SubscriptionId, list[Segment]]:
    """Return the segments of subscriptions in order of time, all or only those that end after an instant."""
    known = present(ending_after=ending_after)
    statement = _segments_of(ending_after=bool(known))
    found: dict[SubscriptionId, list[Segment]] = {subscription_id: [] for subscription_id in subscription_ids}
    for row in await statement.rows(tx, subscription_ids=list(subscription_ids), **known):
        found[row.subscription_id].append(_segment(row))
    return found


_OWN_SEGMENTS = sa.select(segment).where(*narrowed(segment, ("customer_id", "subscription_id")))
_LAST_SEGMENT = Statement(_OWN_SEGMENTS.order_by(segment.c.start_at.desc()).limit(1))
_SEGMENT_AT = Statement(
    _OWN_SEGMENTS.where(segment.c.start_at <= sa.bindparam("at"), segment.c.end_at > sa.bindparam("at"))
)
_SEGMENTS_ENDING_BY = Statement(
    _OWN_SEGMENTS.where(segment.c.end_at <= sa.bindparam("by"), segment.c.final.is_(False)).order_by(segment.c.start_at)
)
_SAVE_SEGMENT_END = Statement(
    sa.update(segment).where(*narrowed(segment, ("customer_id", "id"))).values(end_at=sa.bindparam("end_at"))
)
_SAVE_SEGMENTS_FINAL = Statement(
    sa.update(segment).where(*narrowed(segment, ("customer_id",)), among(segment.c.id, "ids")).values(final=True)
)


async def find_last_segment(tx: db.Tx, of: Subscription) -> Segment | None:
    """Return the segment that ends last, or None."""
    row = await _LAST_SEGMENT.row(tx, customer_id=of.customer_id, subscription_id=of.id)
    return _segment(row) if row else None


async def find_segment_at(tx: db.Tx, of: Subscription, at: datetime) -> Segment | None:
    """Return the segment that contains an instant, or None."""
    row = await _SEGMENT_AT.row(tx, customer_id=of.customer_id, subscription_id=of.id, at=at)
    return _segment(row) if row else None


async def list_segments_ending_by(tx: db.Tx, of: Subscription, by: datetime) -> Sequence[Segment]:
    """Return the segments that have ended by an instant and are not final, oldest first."""
    rows = await _SEGMENTS_ENDING_BY.rows(tx, customer_id=of.customer_id, subscription_id=of.id, by=by)
    return [_segment(row) for row in rows]


async def save_segment_end(tx: db.Tx, of: Segment, at: datetime) -> None:
    """Move the end of a segment. The caller holds the bucket and raises the epoch."""
    await _SAVE_SEGMENT_END.run(tx, customer_id=of.customer_id, id=of.id, end_at=at)


async def save_segment_version(tx: db.Tx, of: Segment, plan_version_id: PlanVersionId) -> None:
    """Put a whole segment under another plan version. The caller holds the bucket and raises the epoch."""
    await tx.execute(_one_segment(of).values(plan_version_id=plan_version_id))


async def save_segment_place(tx: db.Tx, of: Segment, by: Subscription, during: Period, period: Period) -> None:
    """Put a segment elsewhere, on a subscription's grid. The caller holds the bucket and raises the epoch."""
    borders = {"start_at": during.start, "end_at": during.end}
    whole = {"period_start_at": period.start, "period_end_at": period.end}
    await tx.execute(_one_segment(of).values(plan_version_id=by.plan_version_id, zone=by.zone, **borders, **whole))


async def save_segments_final(tx: db.Tx, customer_id: CustomerId, ids: Collection[SegmentId]) -> None:
    """Mark segments final. The caller holds the bucket and raises the epoch."""
    await _SAVE_SEGMENTS_FINAL.run(tx, customer_id=customer_id, ids=list(ids))


async def delete_segment(tx: db.Tx, of: Segment) -> None:
    """Delete a segment in which nothing was counted. The caller holds the bucket and raises the epoch."""
    await tx.execute(sa.delete(segment).where(segment.c.customer_id == of.customer_id, segment.c.id == of.id))


_RAISE_EPOCH = Statement(
    sa.update(subscription).where(*narrowed(subscription, ("customer_id", "id"))).values(epoch=subscription.c.epoch + 1)
)


async def raise_epoch_of(tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId) -> None:
    """Count a change of a border, so that rows resolved before it are resolved anew. The caller holds the bucket."""
    await _RAISE_EPOCH.run(tx, customer_id=customer_id, id=subscription_id)


_PERIODS = ("period", "fee_period")
_SAME_NAMES = [field.name for field in dataclasses.fields(Subscription) if field.name not in _PERIODS]


def _one_segment(of: Segment) -> sa.Update:
    return sa.update(segment).where(segment.c.customer_id == of.customer_id, segment.c.id == of.id)


def _subscription_row(value: Subscription) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(value, name) for name in _SAME_NAMES}
    for name in _PERIODS:
        stretch = getattr(value, name)
        row[f"{name}_start_at"], row[f"{name}_end_at"] = stretch.start, stretch.end
    row["failed_invoice_ids"] = list(value.failed_invoice_ids)
    row["due_at"] = value.due_at
    return row


def subscription_of_row(row: Row) -> Subscription:
    """Read a row."""
    values: dict[str, Any] = {
        **{name: getattr(row, name) for name in _SAME_NAMES},
        "environment": Environment(row.environment),
        "status": Status(row.status),
        "access": AccessState(row.access),
        "source": Source(row.source),
        "interval": Interval(row.interval),
        "period": Period(row.period_start_at, row.period_end_at),
        "fee_period": Period(row.fee_period_start_at, row.fee_period_end_at),
        "failed_invoice_ids": tuple(row.failed_invoice_ids),
        "trial_end": TrialEnd(row.trial_end) if row.trial_end else None,
    }
    return Subscription(**values)


def _segment(row: Row) -> Segment:
    return Segment(
        row.customer_id,
        row.id,
        row.subscription_id,
        row.plan_version_id,
        Period(row.start_at, row.end_at),
        Period(row.period_start_at, row.period_end_at),
        row.final,
        row.zone,
    )
