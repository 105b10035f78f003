"""Tables and statements of limits: overrides, decisions, and when soft limits were passed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.money import exact_text
from domain.limits.explanation import Decision
from domain.limits.override import Override
from domain.statement import Row, Statement, among, narrowed

# A limit that was passed: its key, and the amount that it had.
PassingKey = tuple[str, Fraction]
# In the place of the amount where a row was written without: it holds for any.
ANY_AMOUNT = Fraction(-1)

limit_override = sa.Table(
    "limit_override",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("product_id", db.Id, sa.ForeignKey("product.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("amount", db.Quantity, comment="null is unlimited"),
    sa.Column("from_at", db.Instant, nullable=False, comment="business time, as until_at"),
    sa.Column("until_at", db.Instant),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("until_at > from_at", name="until"),
)
limit_decision = sa.Table(
    "limit_decision",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("at", db.Instant, nullable=False),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("subscription_id", db.Id, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("reservation_id", db.Id),
    sa.Column("allowed", sa.Boolean, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("rule", sa.Text, comment="the key of the limit that refused"),
    sa.Column("message", sa.Text),
    sa.Column("plan", sa.Text),
    sa.Column("numbers", db.Json, nullable=False, comment="every limit that was looked at, as it stood"),
    sa.CheckConstraint("asked_by IN ('check', 'reserve', 'extend')", name="asked_by"),
    sa.CheckConstraint("allowed = (rule IS NULL)", name="rule"),
    sa.Index("limit_decision_at_idx", "at"),
)
limit_passing = sa.Table(
    "limit_passing",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("period_start_at", db.Instant, primary_key=True),
    sa.Column(
        "amount",
        db.Quantity,
        primary_key=True,
        server_default=sa.text("-1"),
        comment="of the limit; -1 of a row that was written without: it holds for any",
    ),
    sa.Column(
        "passed_at",
        db.Instant,
        nullable=False,
        comment="business time; the first instant of the period at which a soft limit was found passed",
    ),
)


async def insert_override(tx: db.Tx, new: Override) -> None:
    """Insert an override."""
    await tx.execute(sa.insert(limit_override).values(**asdict(new)))


async def count_overrides(tx: db.Tx, customer_id: CustomerId) -> int:
    """Return how many overrides a customer has had."""
    statement = sa.select(sa.func.count()).where(limit_override.c.customer_id == customer_id)
    return int(await tx.value(statement))


_OVERRIDES = Statement(
    sa.select(limit_override)
    .where(*narrowed(limit_override, ("customer_id",)))
    .order_by(limit_override.c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.BigInteger))
)


_OVERRIDES_OF = Statement(
    sa.select(limit_override)
    .where(among(limit_override.c.customer_id, "customer_ids"))
    .order_by(limit_override.c.customer_id, limit_override.c.id)
)


async def list_overrides(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> list[Override]:
    """Return a customer's overrides, the newest first."""
    return [_override(row) for row in await _OVERRIDES.rows(tx, customer_id=customer_id, limit=limit)]


async def overrides_of_customers(tx: db.Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, list[Override]]:
    """Return the overrides of each of the customers that has any."""
    found: dict[CustomerId, list[Override]] = {}
    for row in await _OVERRIDES_OF.rows(tx, customer_ids=list(customer_ids)):
        found.setdefault(row.customer_id, []).append(_override(row))
    return found


def _override(row: Row) -> Override:
    return Override(**{each.name: getattr(row, each.name) for each in fields(Override)})


async def insert_decisions(tx: db.Tx, new: Sequence[Decision]) -> None:
    """Keep decisions; one that is kept already stays."""
    if new:
        await tx.execute(pg.insert(limit_decision).on_conflict_do_nothing(), [asdict(each) for each in new])


async def find_decision(tx: db.Tx, decision_id: UUID, *, scope: CustomerId | None) -> Decision | None:
    """Return a decision, or None; within a scope only that customer's."""
    statement = sa.select(limit_decision).where(limit_decision.c.id == decision_id)
    if scope is not None:
        statement = statement.where(limit_decision.c.customer_id == scope)
    row = (await tx.execute(statement)).mappings().one_or_none()
    return Decision(**row) if row else None


async def list_passings(
    tx: db.Tx, customer_id: CustomerId, subscription_id: SubscriptionId, period_start_at: datetime
) -> dict[PassingKey, datetime]:
    """Return when soft limits were first passed in a usage period, by their keys and amounts."""
    own = limit_passing.c
    statement = sa.select(own.key, own.amount, own.passed_at).where(
        own.customer_id == customer_id,
        own.subscription_id == subscription_id,
        own.period_start_at == period_start_at,
    )
    return {(row.key, Fraction(row.amount)): row.passed_at for row in await tx.rows(statement)}


async def insert_passings(
    tx: db.Tx,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    period_start_at: datetime,
    *,
    passed: Mapping[PassingKey, datetime],
) -> None:
    """Note that soft limits were passed; what was noted first stays."""
    if passed:
        own = {"customer_id": customer_id, "subscription_id": subscription_id, "period_start_at": period_start_at}
        rows = [
            {**own, "key": key, "amount": Decimal(exact_text(amount)), "passed_at": passed[key, amount]}
            for key, amount in sorted(passed)
        ]
        await tx.execute(pg.insert(limit_passing).values(rows).on_conflict_do_nothing())


async def delete_decisions(tx: db.Tx, before: datetime, *, limit: int) -> int:
    """Delete old decisions, a bounded number; return how many."""
    own = limit_decision.c
    old = sa.select(own.customer_id, own.id).where(own.at < before).order_by(own.at).limit(limit)
    deleted = await tx.execute(sa.delete(limit_decision).where(sa.tuple_(own.customer_id, own.id).in_(old)))
    return deleted.rowcount
