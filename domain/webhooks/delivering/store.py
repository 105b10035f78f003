"""Table and statements of deliveries."""

from collections.abc import Sequence
from dataclasses import field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId, EndpointId
from domain.kernel.values import dataclass
from domain.webhooks.port import Outcome

webhook_delivery = sa.Table(
    "webhook_delivery",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("endpoint_id", db.Id, sa.ForeignKey("webhook_endpoint.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("event_id", db.Id, nullable=False),
    sa.Column("replay_id", db.Id, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger, comment="null for one that tries the endpoint and is about no customer"),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("at", db.Instant, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column(
        "excerpt", db.Personal, nullable=False, comment="the beginning of the answer, sealed: what it holds is not ours"
    ),
    sa.CheckConstraint(
        "outcome IN ('delivered', 'refused', 'timed_out', 'unreachable', 'target_refused')", name="outcome"
    ),
    sa.CheckConstraint("latency_ms >= 0", name="latency"),
    sa.Index("webhook_delivery_endpoint_idx", "endpoint_id", "id"),
    sa.Index("webhook_delivery_at_idx", "at"),
    comment="one try to hand an event to an endpoint",
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try. `number` None: it tried the endpoint, about no customer. `attempt` counts the tries of one event."""

    customer_id: CustomerId
    id: UUID
    endpoint_id: EndpointId
    event_id: UUID
    replay_id: UUID
    type: str
    number: int | None
    attempt: int
    at: datetime
    outcome: Outcome
    status: int | None
    latency_ms: int
    excerpt: bytes = field(repr=False)


async def insert_delivery(tx: db.Tx, new: Delivery) -> None:
    """Append a try to the log; the answer is sealed."""
    values = {each.name: getattr(new, each.name) for each in fields(Delivery)}
    sealed = tx.vault.seal(tx.vault.system, _where(new.id), new.excerpt)
    await tx.execute(sa.insert(webhook_delivery).values({**values, "excerpt": sealed}))


async def list_deliveries(
    tx: db.Tx,
    endpoint_id: EndpointId,
    *,
    customer_id: CustomerId | None,
    failed_only: bool,
    before: UUID | None,
    limit: int,
) -> Sequence[Delivery]:
    """Return the tries at an endpoint, newest first; `before` is the id of the last one seen."""
    delivery = webhook_delivery.c
    statement = (
        sa.select(webhook_delivery).where(delivery.endpoint_id == endpoint_id).order_by(delivery.id.desc()).limit(limit)
    )
    if customer_id is not None:
        statement = statement.where(delivery.customer_id == customer_id)
    if failed_only:
        statement = statement.where(delivery.outcome != Outcome.DELIVERED)
    if before is not None:
        statement = statement.where(delivery.id < before)
    return [_delivery(tx, row) for row in await tx.rows(statement)]


async def delete_deliveries(tx: db.Tx, *, before: datetime, limit: int) -> int:
    """Forget tries made before an instant."""
    delivery = webhook_delivery.c
    old = sa.select(delivery.customer_id, delivery.id).where(delivery.at < before).limit(limit).cte("old")
    statement = sa.delete(webhook_delivery).where(delivery.customer_id == old.c.customer_id, delivery.id == old.c.id)
    return (await tx.execute(statement)).rowcount


def _delivery(tx: db.Tx, row: sa.Row[Any]) -> Delivery:
    excerpt = tx.vault.open(tx.vault.system, _where(row.id), row.excerpt)
    return Delivery(
        **{
            **{each.name: getattr(row, each.name) for each in fields(Delivery)},
            "outcome": Outcome(row.outcome),
            "excerpt": excerpt,
        }
    )


def _where(delivery_id: UUID) -> str:
    return f"webhook_delivery:excerpt:{delivery_id}"
