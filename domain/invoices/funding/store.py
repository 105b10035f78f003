"""Tables and statements of top-ups, and of the rules by which wallets are topped up by themselves."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.credits.top_up import AutomaticTopUp, PauseReason, TopUp, TopUpState, TopUpTrigger
from domain.kernel.ids import CustomerId, InvoiceId, TopUpId, WalletId
from domain.kernel.money import Money

top_up = sa.Table(
    "top_up",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("wallet_id", db.Id, nullable=False),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", db.Instant, nullable=False, comment="business time, as ended_at"),
    sa.Column("ended_at", db.Instant),
    sa.ForeignKeyConstraint(
        ["customer_id", "wallet_id"],
        ["wallet.customer_id", "wallet.id"],
        name="top_up_wallet_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="top_up_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.UniqueConstraint("customer_id", "invoice_id", name="top_up_invoice_key"),
    sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
    sa.CheckConstraint("trigger IN ('staff', 'customer', 'automatic')", name="trigger"),
    sa.CheckConstraint("state IN ('open', 'paid', 'failed', 'canceled')", name="state"),
    sa.CheckConstraint("(ended_at IS NULL) = (state = 'open')", name="ended_at"),
    sa.Index("top_up_wallet_idx", "customer_id", "wallet_id", "id"),
    sa.Index(
        "top_up_automatic_key",
        "customer_id",
        "wallet_id",
        unique=True,
        postgresql_where=sa.text("state = 'open' AND trigger = 'automatic'"),
    ),
)

automatic_top_up = sa.Table(
    "automatic_top_up",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("wallet_id", db.Id, primary_key=True),
    sa.Column("threshold_minor", sa.BigInteger, nullable=False),
    sa.Column("amount_minor", sa.BigInteger),
    sa.Column("target_minor", sa.BigInteger),
    sa.Column("count_max", sa.SmallInteger, nullable=False, comment="within 24 hours"),
    sa.Column("paused", sa.Text, comment="why it makes none any more; null: it does"),
    sa.ForeignKeyConstraint(
        ["customer_id", "wallet_id"],
        ["wallet.customer_id", "wallet.id"],
        name="automatic_top_up_wallet_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("(amount_minor IS NULL) <> (target_minor IS NULL)", name="amount_or_target"),
    sa.CheckConstraint("threshold_minor >= 0 AND amount_minor > 0 AND target_minor > threshold_minor", name="amounts"),
    sa.CheckConstraint("count_max BETWEEN 1 AND 100", name="count_max"),
    sa.CheckConstraint("paused IN ('payment_failed', 'no_payment_method')", name="paused"),
)


async def insert_top_up(tx: db.Tx, new: TopUp) -> None:
    """Insert a top-up; the database refuses a second automatic one that is open for the wallet."""
    values = {
        "customer_id": new.customer_id,
        "id": new.id,
        "wallet_id": new.wallet_id,
        "invoice_id": new.invoice_id,
        "amount_minor": new.amount.minor,
        "currency": new.amount.currency,
        "trigger": new.trigger,
        "state": new.state,
        "created_at": new.created_at,
        "ended_at": new.ended_at,
    }
    await tx.execute(sa.insert(top_up).values(values))


async def find_top_up(tx: db.Tx, customer_id: CustomerId, top_up_id: TopUpId) -> TopUp | None:
    """Return a customer's top-up, or None."""
    own = top_up.c
    row = await tx.row(sa.select(top_up).where(own.customer_id == customer_id, own.id == top_up_id))
    return _top_up(row) if row else None


async def find_of_invoice(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> TopUp | None:
    """Return the top-up that an invoice asks for, or None where it asks for something else."""
    own = top_up.c
    row = await tx.row(sa.select(top_up).where(own.customer_id == customer_id, own.invoice_id == invoice_id))
    return _top_up(row) if row else None


async def list_top_ups(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> list[TopUp]:
    """Return a customer's newest top-ups."""
    own = top_up.c
    statement = sa.select(top_up).where(own.customer_id == customer_id)
    return [_top_up(row) for row in await tx.rows(statement.order_by(own.id.desc()).limit(limit))]


async def list_waiting_or_recent(
    tx: db.Tx, customer_id: CustomerId, wallet_id: WalletId, *, since: datetime, limit: int
) -> list[TopUp]:
    """Return a wallet's top-ups that are open or were made after an instant."""
    own = top_up.c
    statement = (
        sa.select(top_up)
        .where(own.customer_id == customer_id, own.wallet_id == wallet_id)
        .where(sa.or_(own.state == TopUpState.OPEN, own.created_at > since))
        .order_by(own.id.desc())
        .limit(limit)
    )
    return [_top_up(row) for row in await tx.rows(statement)]


async def end_top_up(tx: db.Tx, before: TopUp, state: TopUpState, at: datetime) -> bool:
    """Write the end of an open top-up; False where it has ended already."""
    own = top_up.c
    statement = sa.update(top_up).where(
        own.customer_id == before.customer_id, own.id == before.id, own.state == TopUpState.OPEN
    )
    return (await tx.execute(statement.values(state=state, ended_at=at))).rowcount == 1


async def save_automatic(tx: db.Tx, rule: AutomaticTopUp) -> None:
    """Write a wallet's rule over the one before it."""
    values = {
        "customer_id": rule.customer_id,
        "wallet_id": rule.wallet_id,
        "threshold_minor": rule.threshold_minor,
        "amount_minor": rule.amount_minor,
        "target_minor": rule.target_minor,
        "count_max": rule.count_max,
        "paused": rule.paused,
    }
    key = ["customer_id", "wallet_id"]
    changed = {name: value for name, value in values.items() if name not in key}
    await tx.execute(pg.insert(automatic_top_up).values(values).on_conflict_do_update(index_elements=key, set_=changed))


async def delete_automatic(tx: db.Tx, customer_id: CustomerId, wallet_id: WalletId) -> None:
    """Take a wallet's rule away."""
    own = automatic_top_up.c
    await tx.execute(sa.delete(automatic_top_up).where(own.customer_id == customer_id, own.wallet_id == wallet_id))


async def list_automatic(tx: db.Tx, customer_id: CustomerId) -> dict[WalletId, AutomaticTopUp]:
    """Return the rules of a customer's wallets."""
    statement = sa.select(automatic_top_up).where(automatic_top_up.c.customer_id == customer_id)
    return {row.wallet_id: _rule(row) for row in await tx.rows(statement.order_by(automatic_top_up.c.wallet_id))}


def _top_up(row: sa.Row[Any]) -> TopUp:
    return TopUp(
        customer_id=row.customer_id,
        id=row.id,
        wallet_id=row.wallet_id,
        invoice_id=row.invoice_id,
        amount=Money(row.amount_minor, row.currency),
        trigger=TopUpTrigger(row.trigger),
        state=TopUpState(row.state),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _rule(row: sa.Row[Any]) -> AutomaticTopUp:
    values = row._asdict()
    return AutomaticTopUp(**{**values, "paused": PauseReason(row.paused) if row.paused else None})
