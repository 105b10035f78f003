"""Statements over the subscriptions of all customers; the table is the slice's own."""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.kernel.call import Environment
from domain.kernel.ids import PlanId, PlanVersionId, ProductId, SubscriptionId
from domain.kernel.period import OPEN_RANGE
from domain.kernel.values import dataclass
from domain.plans.store import plan, plan_version, product
from domain.statement import within
from domain.subscriptions.listing.filter import SubscriptionCount, SubscriptionFilter
from domain.subscriptions.schedule import Interval
from domain.subscriptions.store import subscription, subscription_of_row
from domain.subscriptions.subscription import LIVE, Status, Subscription


@dataclass(frozen=True, slots=True)
class Place:
    """Whose subscriptions are looked at, and of which product and plan; None is of any."""

    sight: Sight
    product_id: ProductId | None = None
    plan_id: PlanId | None = None


async def list_subscriptions(
    tx: db.Tx, wanted: SubscriptionFilter, place: Place, *, before: SubscriptionId | None, limit: int
) -> Sequence[Subscription]:
    """Return subscriptions in sight, those made last first; `before` is the id of the last one seen."""
    own = subscription.c.id
    statement = sa.select(subscription).where(*_conditions(wanted, place)).order_by(own.desc()).limit(limit)
    if before is not None:
        statement = statement.where(own < before)
    return [subscription_of_row(row) for row in await tx.rows(statement)]


async def count_subscriptions(tx: db.Tx, wanted: SubscriptionFilter, place: Place) -> Sequence[SubscriptionCount]:
    """Count subscriptions in sight: a row for each environment, plan, interval, currency and status."""
    own = subscription.c
    keys = (product.c.key.label("product"), plan.c.key.label("plan"))
    alike = (own.environment, product.c.key, plan.c.rank, plan.c.key, own.interval, own.currency, own.status)
    joined = subscription.join(plan_version, plan_version.c.id == own.plan_version_id)
    statement = (
        sa.select(*keys, own.environment, own.interval, own.currency, own.status)
        .add_columns(sa.func.count().label("subscriptions"), sa.func.sum(own.quantity).label("units"))
        .select_from(joined.join(plan, plan.c.id == plan_version.c.plan_id).join(product))
        .where(*_conditions(wanted, place))
        .group_by(*alike)
        .order_by(*alike)
    )
    return [
        SubscriptionCount(
            environment=Environment(row.environment),
            product=row.product,
            plan=row.plan,
            interval=Interval(row.interval),
            currency=row.currency,
            status=Status(row.status),
            count=row.subscriptions,
            quantity=int(row.units),
        )
        for row in await tx.rows(statement)
    ]


async def count_pinned(
    tx: db.Tx, versions: Collection[PlanVersionId], *, sight: Sight
) -> dict[tuple[PlanVersionId, Environment], int]:
    """Count the live subscriptions in sight that pin each of these versions, by environment."""
    own = subscription.c
    seen = ((own.customer_id, sight.scope), (own.environment, sight.environment))
    statement = (
        sa.select(own.plan_version_id, own.environment, sa.func.count().label("subscriptions"))
        .where(own.plan_version_id.in_(versions), own.status.in_(LIVE))
        .where(*(column == value for column, value in seen if value is not None))
        .group_by(own.plan_version_id, own.environment)
    )
    rows = await tx.rows(statement)
    return {(row.plan_version_id, Environment(row.environment)): row.subscriptions for row in rows}


def _conditions(wanted: SubscriptionFilter, place: Place) -> list[sa.ColumnElement[bool]]:
    own = subscription.c
    equal = (
        (own.customer_id, place.sight.scope),
        (own.environment, place.sight.environment),
        (own.product_id, place.product_id),
        (own.customer_id, wanted.customer_id),
        (own.environment, wanted.environment),
        (own.plan_version_id, wanted.version_id),
        (own.interval, wanted.interval),
        (own.currency, wanted.currency),
    )
    found = [column == value for column, value in equal if value is not None]
    if place.plan_id is not None:
        versions = sa.select(plan_version.c.id).where(plan_version.c.plan_id == place.plan_id)
        found.append(own.plan_version_id.in_(versions))
    if wanted.statuses:
        found.append(own.status.in_(wanted.statuses))
    if wanted.renews != OPEN_RANGE:
        found += [own.status.in_(LIVE - {Status.PAUSED}), _goes_on(own.cancel_at), _goes_on(own.pause_at)]
    return (
        found
        + within(own.started_at, wanted.started)
        + within(sa.func.coalesce(own.ended_at, own.cancel_at), wanted.ends)
        + within(own.trial_ends_at, wanted.trial_ends)
        + within(own.fee_period_end_at, wanted.renews)
    )


def _goes_on(stops_at: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Whether it does not stop before its fee is due again."""
    return sa.or_(stops_at.is_(None), stops_at > subscription.c.fee_period_end_at)
