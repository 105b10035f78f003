"""The table of changes."""

from collections.abc import Collection
from functools import cache

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import ChangeId, CustomerId, InvoiceId, SubscriptionId
from domain.statement import Row, Statement, among, given, narrowed, present
from domain.subscriptions.change import Change, ChangeState, Direction, Target
from domain.subscriptions.schedule import Interval

subscription_change = sa.Table(
    "subscription_change",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("subscription_id", db.Id, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("state", "direction")),
    sa.Column("plan_version_id", db.Id, sa.ForeignKey("plan_version.id", ondelete="RESTRICT"), nullable=False),
    sa.Column("interval", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("asked_at", db.Instant, nullable=False, comment="business time, as all instants here"),
    sa.Column("effective_at", db.Instant, nullable=False),
    sa.Column("expires_at", db.Instant, comment="when a pending one lapses"),
    sa.Column("invoice_id", db.Id, comment="what a pending one waits for"),
    sa.ForeignKeyConstraint(
        ["customer_id", "subscription_id"],
        ["subscription.customer_id", "subscription.id"],
        name="subscription_change_subscription_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint(
        "state IN ('scheduled', 'pending', 'applied', 'replaced', 'canceled', 'lapsed', 'refused')", name="state"
    ),
    sa.CheckConstraint("direction IN ('upgrade', 'downgrade')", name="direction"),
    sa.CheckConstraint("interval IN ('month', 'year')", name="interval"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("state <> 'pending' OR (expires_at IS NOT NULL AND invoice_id IS NOT NULL)", name="pending"),
    sa.Index(
        "subscription_change_waiting_key",
        "customer_id",
        "subscription_id",
        "state",
        unique=True,
        postgresql_where=sa.text("state IN ('scheduled', 'pending')"),
    ),
)


_INSERT = Statement(sa.insert(subscription_change).values(given(subscription_change)))


async def insert_change(tx: db.Tx, new: Change) -> None:
    """Append a change; the database refuses a second one that waits in the same state."""
    target = new.target
    values = {
        "customer_id": new.customer_id,
        "id": new.id,
        "subscription_id": new.subscription_id,
        "state": new.state,
        "direction": new.direction,
        "plan_version_id": target.plan_version_id,
        "interval": target.interval,
        "quantity": target.quantity,
        "asked_at": new.asked_at,
        "effective_at": new.effective_at,
        "expires_at": new.expires_at,
        "invoice_id": new.invoice_id,
    }
    await _INSERT.run(tx, **values)


async def save_change_state(tx: db.Tx, of: Change, state: ChangeState) -> None:
    """Write what became of a change. The caller holds its subscription locked."""
    own = subscription_change.c
    await tx.execute(
        sa.update(subscription_change).where(own.customer_id == of.customer_id, own.id == of.id).values(state=state)
    )


async def find_change(tx: db.Tx, customer_id: CustomerId, change_id: ChangeId) -> Change | None:
    """Return a change, or None."""
    own = subscription_change.c
    row = await tx.row(sa.select(subscription_change).where(own.customer_id == customer_id, own.id == change_id))
    return _change(row) if row else None


async def lapsed_for(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> list[Change]:
    """Return the upgrades that waited for an invoice and have lapsed: at most one."""
    own = subscription_change.c
    statement = sa.select(subscription_change).where(
        own.customer_id == customer_id, own.invoice_id == invoice_id, own.state == ChangeState.LAPSED
    )
    return [_change(row) for row in await tx.rows(statement)]


@cache
def _waiting(*names: str) -> Statement:
    statement = sa.select(subscription_change).where(
        among(subscription_change.c.subscription_id, "subscription_ids"),
        sa.text("state IN ('scheduled', 'pending')"),
        *narrowed(subscription_change, names),
    )
    return Statement(statement)


async def waiting_of(
    tx: db.Tx, subscription_ids: Collection[SubscriptionId], *, scope: CustomerId | None
) -> dict[SubscriptionId, list[Change]]:
    """Return the changes of subscriptions that wait, at most two of each."""
    known = present(customer_id=scope)
    found: dict[SubscriptionId, list[Change]] = {each: [] for each in subscription_ids}
    for row in await _waiting(*known).rows(tx, subscription_ids=list(subscription_ids), **known):
        found[row.subscription_id].append(_change(row))
    return found


def _change(row: Row) -> Change:
    return Change(
        customer_id=row.customer_id,
        id=row.id,
        subscription_id=row.subscription_id,
        state=ChangeState(row.state),
        direction=Direction(row.direction),
        target=Target(row.plan_version_id, Interval(row.interval), row.quantity),
        asked_at=row.asked_at,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        invoice_id=row.invoice_id,
    )
