"""Tables and statements of subscriptions and segments, and the bucket locks."""

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import AccessState, Segment, Source, Status, Subscription, TrialEnd, bucket_of

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


async def insert_subscription(tx: db.Tx, new: Subscription) -> bool:
    """Insert a subscription, after any concurrent insert. False where one is live, or this gateway id is known."""
    statement = pg.insert(subscription).values(_subscription_row(new)).on_conflict_do_nothing()
    return await tx.value(statement.returning(subscription.c.id)) is not None


async def save_subscription(tx: db.Tx, before: Subscription, after: Subscription) -> Subscription:
    """Write a changed subscription that the caller holds locked. The epoch is `raise_epoch_of`'s alone."""
    row = _subscription_row(after)
    for column in ("customer_id", "id", "epoch"):
        del row[column]
    own = subscription.c
    statement = (
        sa.update(subscription)
        .where(own.customer_id == before.customer_id, own.id == before.id, own.version == before.version)
        .values(**{**row, "version": before.version + 1})
        .returning(own.epoch)
    )
    epoch = await tx.value(statement)
    assert epoch is not None, "a subscription is locked before it is changed"
    return dataclasses.replace(after, epoch=epoch, version=before.version + 1)


async def find_subscription(
    tx: db.Tx, subscription_id: SubscriptionId, *, scope: CustomerId | None, lock: bool = False
) -> Subscription | None:
    """Return a subscription, or None where there is none in the scope.

    `lock` keeps other changes out until the transaction ends; rows that refer to it can still be added.
    """
    statement = sa.select(subscription).where(subscription.c.id == subscription_id)
    if scope is not None:
        statement = statement.where(subscription.c.customer_id == scope)
    row = await tx.row(statement.with_for_update(key_share=True) if lock else statement)
    return _subscription(row) if row else None


async def find_subscription_by_gateway_id(
    tx: db.Tx, *, customer_id: CustomerId, gateway_id: str
) -> Subscription | None:
    """Return the mirror of a subscription that the gateway bills, or None."""
    statement = sa.select(subscription).where(
        subscription.c.customer_id == customer_id, subscription.c.gateway_id == gateway_id
    )
    row = await tx.row(statement)
    return _subscription(row) if row else None


async def find_live_subscription(tx: db.Tx, *, customer_id: CustomerId, product_id: ProductId) -> Subscription | None:
    """Return the customer's live subscription of a product, or None."""
    own = subscription.c
    statement = sa.select(subscription).where(own.customer_id == customer_id, own.product_id == product_id, _LIVE)
    row = await tx.row(statement)
    return _subscription(row) if row else None


async def list_subscriptions(tx: db.Tx, *, customer_id: CustomerId, limit: int) -> Sequence[Subscription]:
    """Return a customer's subscriptions, ended ones too, newest first."""
    statement = (
        sa.select(subscription)
        .where(subscription.c.customer_id == customer_id)
        .order_by(subscription.c.id.desc())
        .limit(limit)
    )
    return [_subscription(row) for row in await tx.rows(statement)]


async def list_unsettled_ids(tx: db.Tx, customer_id: CustomerId) -> Sequence[SubscriptionId]:
    """Return the subscriptions that have not ended, or whose last look is still to come, in ascending order."""
    own = subscription.c
    statement = sa.select(own.id).where(
        own.customer_id == customer_id, sa.or_(own.status != Status.CANCELED, own.settles_at.is_not(None))
    )
    return [row.id for row in await tx.rows(statement.order_by(own.id))]


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
        found[row.customer_id].append(_subscription(row))
    return found


async def subscriptions_by_id(
    tx: db.Tx, ids: Collection[SubscriptionId], *, scope: CustomerId | None
) -> dict[SubscriptionId, Subscription]:
    """Return those of the subscriptions that exist in the scope."""
    statement = sa.select(subscription).where(subscription.c.id.in_(ids))
    if scope is not None:
        statement = statement.where(subscription.c.customer_id == scope)
    found = (_subscription(row) for row in await tx.rows(statement))
    return {each.id: each for each in found}


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
    statement = pg.insert(segment).values(values).on_conflict_do_nothing().returning(segment.c.id)
    return await tx.value(statement) is not None


async def segments_of(
    tx: db.Tx, subscription_ids: Collection[SubscriptionId], *, ending_after: datetime | None = None
) -> dict[SubscriptionId, list[Segment]]:
    """Return the segments of subscriptions in order of time, all or only those that end after an instant."""
    statement = sa.select(segment).where(segment.c.subscription_id.in_(subscription_ids)).order_by(segment.c.start_at)
    if ending_after is not None:
        statement = statement.where(segment.c.end_at > ending_after)
    found: dict[SubscriptionId, list[Segment]] = {subscription_id: [] for subscription_id in subscription_ids}
    for row in await tx.rows(statement):
        found[row.subscription_id].append(_segment(row))
    return found


async def find_last_segment(tx: db.Tx, of: Subscription) -> Segment | None:
    """Return the segment that ends last, or None."""
    own = segment.c
    statement = (
        sa.select(segment)
        .where(own.customer_id == of.customer_id, own.subscription_id == of.id)
        .order_by(own.start_at.desc())
        .limit(1)
    )
    row = await tx.row(statement)
    return _segment(row) if row else None


async def find_segment_at(tx: db.Tx, of: Subscription, at: datetime) -> Segment | None:
    """Return the segment that contains an instant, or None."""
    own = segment.c
    statement = sa.select(segment).where(
        own.customer_id == of.customer_id, own.subscription_id == of.id, own.start_at <= at, own.end_at > at
    )
    row = await tx.row(statement)
    return _segment(row) if row else None


async def list_segments_ending_by(tx: db.Tx, of: Subscription, by: datetime) -> Sequence[Segment]:
    """Return the segments that have ended by an instant and are not final, oldest first."""
    own = segment.c
    statement = (
        sa.select(segment)
        .where(own.customer_id == of.customer_id, own.subscription_id == of.id, own.end_at <= by, own.final.is_(False))
        .order_by(own.start_at)
    )
    return [_segment(row) for row in await tx.rows(statement)]


async def save_segment_end(tx: db.Tx, of: Segment, at: datetime) -> None:
    """Move the end of a segment. The caller holds the bucket and raises the epoch."""
    await tx.execute(_one_segment(of).values(end_at=at))


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
    await tx.execute(
        sa.update(segment).where(segment.c.customer_id == customer_id, segment.c.id.in_(ids)).values(final=True)
    )


async def delete_segment(tx: db.Tx, of: Segment) -> None:
    """Delete a segment in which nothing was counted. The caller holds the bucket and raises the epoch."""
    await tx.execute(sa.delete(segment).where(segment.c.customer_id == of.customer_id, segment.c.id == of.id))


# The first number of the advisory locks of buckets.
BUCKET_LOCK = 0x5E6
_BUCKETS = sa.func.unnest(sa.bindparam("buckets", type_=pg.ARRAY(sa.Integer))).column_valued("bucket")
_SHARE_BUCKETS = sa.select(sa.func.pg_advisory_xact_lock_shared(BUCKET_LOCK, _BUCKETS))
_HOLD_BUCKETS = sa.select(sa.func.pg_advisory_xact_lock(BUCKET_LOCK, _BUCKETS))


async def share_buckets(tx: db.Tx, subscription_ids: Collection[SubscriptionId]) -> None:
    """Take buckets together with other flushes until the transaction ends: meanwhile no border moves.

    In ascending order, so that two never wait in a ring.
    """
    await _lock_buckets(tx, subscription_ids, _SHARE_BUCKETS)


async def hold_buckets(tx: db.Tx, subscription_ids: Collection[SubscriptionId]) -> None:
    """Take buckets alone, all at once and before any other lock: waits for flushes, and keeps new ones out."""
    await _lock_buckets(tx, subscription_ids, _HOLD_BUCKETS)


async def raise_epoch_of(tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId) -> None:
    """Count a change of a border, so that rows resolved before it are resolved anew. The caller holds the bucket."""
    own = subscription.c
    await tx.execute(
        sa.update(subscription)
        .where(own.customer_id == customer_id, own.id == subscription_id)
        .values(epoch=own.epoch + 1)
    )


_PERIODS = ("period", "fee_period")
_SAME_NAMES = [field.name for field in dataclasses.fields(Subscription) if field.name not in _PERIODS]


async def _lock_buckets(tx: db.Tx, subscription_ids: Collection[SubscriptionId], lock: sa.Select[Any]) -> None:
    await tx.execute(lock, {"buckets": sorted({bucket_of(each) for each in subscription_ids})})


def _one_segment(of: Segment) -> sa.Update:
    return sa.update(segment).where(segment.c.customer_id == of.customer_id, segment.c.id == of.id)


def _subscription_row(value: Subscription) -> dict[str, Any]:
    row = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for name in _PERIODS:
        stretch = row.pop(name)
        row[f"{name}_start_at"], row[f"{name}_end_at"] = stretch.start, stretch.end
    row["failed_invoice_ids"] = list(value.failed_invoice_ids)
    row["due_at"] = value.due_at
    return row


def _subscription(row: sa.Row[Any]) -> Subscription:
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


def _segment(row: sa.Row[Any]) -> Segment:
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
