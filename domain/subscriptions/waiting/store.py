"""Statements about what subscriptions wait for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.customers.store import customer
from domain.journal.jobs import ClosePeriod
from domain.journal.store import outbox_job
from domain.kernel.ids import ClockId, CustomerId, ProductId, SubscriptionId
from domain.statement import Statement, narrowed
from domain.subscriptions.store import subscription
from domain.subscriptions.subscription import Status

_UNSETTLED_IDS = Statement(
    sa.select(subscription.c.id)
    .where(
        *narrowed(subscription, ("customer_id",)),
        sa.or_(subscription.c.status != Status.CANCELED, subscription.c.settles_at.is_not(None)),
    )
    .order_by(subscription.c.id)
)


async def list_unsettled_ids(tx: db.Tx, customer_id: CustomerId) -> Sequence[SubscriptionId]:
    """Return the subscriptions that have not ended, or whose last look is still to come, in ascending order."""
    return [row.id for row in await _UNSETTLED_IDS.rows(tx, customer_id=customer_id)]


async def list_due(
    tx: db.Tx, *, clock_id: ClockId | None, now: datetime, limit: int
) -> Sequence[tuple[CustomerId, SubscriptionId]]:
    """Return the subscriptions of a clock's customers of which something is due by now, oldest first.

    Those whose closing is staged already are left out: what cannot be closed never keeps the others from their turn.
    """
    waiting = waiting_on(clock_id).subquery()
    is_staged = sa.exists().where(closing_of(waiting.c.id), outbox_job.c.state == "pending")
    statement = (
        sa.select(waiting.c.customer_id, waiting.c.id)
        .where(waiting.c.due_at <= now, ~is_staged)
        .order_by(waiting.c.due_at, waiting.c.id)
        .limit(limit)
    )
    return [(row.customer_id, row.id) for row in await tx.rows(statement)]


async def find_next_due_at(tx: db.Tx, *, clock_id: ClockId | None) -> datetime | None:
    """Return the earliest instant at which `list_due` finds something, or None."""
    waiting = waiting_on(clock_id).subquery()
    found: datetime | None = await tx.value(sa.select(sa.func.min(waiting.c.due_at)))
    return found


async def has_tried(tx: db.Tx, *, customer_id: CustomerId, product_id: ProductId) -> bool:
    """Whether the customer has had a trial of a product."""
    own = subscription.c
    statement = sa.select(sa.literal(1)).where(
        own.customer_id == customer_id, own.product_id == product_id, own.trial_ends_at.is_not(None)
    )
    return await tx.value(statement.limit(1)) is not None


def waiting_on(clock_id: ClockId | None) -> sa.CompoundSelect[Any]:
    """Select (customer, subscription, due_at) of all that waits on a clock: both halves have their partial index."""
    own = subscription.c
    halves = [
        sa.select(own.customer_id, own.id, due_at.label("due_at"))
        .join(customer, customer.c.customer_id == own.customer_id)
        .where(customer.c.clock_id.is_not_distinct_from(clock_id), condition)
        for due_at, condition in ((each, each.is_not(None)) for each in (own.due_at, own.settles_at))
    ]
    return sa.union_all(*halves)


def closing_of(subscription_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Say that an outbox job closes a subscription's periods, whatever became of it."""
    job = outbox_job.c
    return (job.kind == ClosePeriod.kind) & (job.key == sa.cast(subscription_id, sa.Text))
