"""Table of erasures, and the statements that find what stands in their way."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.invoices.one_off.store import one_off_charge
from domain.invoices.store import invoice
from domain.journal.store import outbox_job
from domain.kernel.ids import CustomerId
from domain.ledger.account import Account
from domain.ledger.store import ledger_entry, ledger_line
from domain.payments.disputing.store import dispute
from domain.payments.refunding.store import refund
from domain.payments.store import payment_attempt
from domain.privacy.erasure import Blocker, Erasure, ErasureReason, ErasureState
from domain.subscriptions.store import subscription
from domain.subscriptions.upcoming.store import scheduled_start

erasure = sa.Table(
    "erasure",
    db.metadata,
    sa.Column("customer_id", db.Id, sa.ForeignKey("customer.customer_id", ondelete="RESTRICT"), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("requested_at", db.Instant, nullable=False, comment="real time, as all here"),
    sa.Column("requested_by", sa.Text, nullable=False, comment="the principal's id"),
    sa.Column("keep_until", db.Instant, comment="null: nothing has to be kept"),
    sa.Column("cleared_at", db.Instant, comment="all but what is kept was gone"),
    sa.Column("ended_at", db.Instant, comment="what was kept was gone too"),
    sa.Column("looked_to", db.Id, comment="the newest inbound event that was looked through for copies"),
    sa.CheckConstraint("state IN ('clearing', 'restricted', 'ending', 'done')", name="state"),
    sa.CheckConstraint("reason IN ('requested', 'unused', 'mistake')", name="reason"),
    sa.CheckConstraint("(state = 'clearing') = (cleared_at IS NULL)", name="cleared"),
    sa.CheckConstraint("(state = 'done') = (ended_at IS NOT NULL)", name="ended"),
    sa.Index("erasure_keep_until_idx", "keep_until", postgresql_where=sa.text("state = 'restricted'")),
    sa.Index("erasure_cleared_at_idx", "cleared_at"),
)

_own = erasure.c
# Accounts that are at rest: what stands in them is neither owed nor held for the customer.
_AT_REST = (
    *(Account.REVENUE, Account.TAX_PAYABLE, Account.CASH, Account.BAD_DEBT, Account.PROMOTION, Account.BREAKAGE),
)
# Jobs that only tell the customer something, or tell of it: they are dropped.
_TELLING = (
    *("send_notice", "send_digest", "remind_trial", "remind_grace", "check_thresholds", "check_wallets"),
    *("check_override", "export_customer"),
)


async def insert_erasure(tx: db.Tx, new: Erasure) -> None:
    """Insert an erasure."""
    await tx.execute(sa.insert(erasure).values({each.name: getattr(new, each.name) for each in fields(Erasure)}))


async def lock_erasure(tx: db.Tx, customer_id: CustomerId) -> Erasure | None:
    """Lock the erasure of a customer, or return None."""
    row = await tx.row(sa.select(erasure).where(_own.customer_id == customer_id).with_for_update())
    return _erasure(row) if row else None


async def find_erasure(tx: db.Tx, customer_id: CustomerId) -> Erasure | None:
    """Return the erasure of a customer, or None."""
    row = await tx.row(sa.select(erasure).where(_own.customer_id == customer_id))
    return _erasure(row) if row else None


async def save_erasure(tx: db.Tx, after: Erasure) -> None:
    """Write how far an erasure has come; the caller holds it."""
    changed = {name: getattr(after, name) for name in ("state", "cleared_at", "ended_at", "looked_to")}
    await tx.execute(sa.update(erasure).where(_own.customer_id == after.customer_id).values(changed))


async def list_due(tx: db.Tx, *, at: datetime, limit: int) -> Sequence[Erasure]:
    """Lock erasures whose retention is over."""
    statement = sa.select(erasure).where(_own.state == ErasureState.RESTRICTED, _own.keep_until <= at)
    rows = await tx.rows(statement.order_by(_own.keep_until).limit(limit).with_for_update(skip_locked=True))
    return [_erasure(row) for row in rows]


async def list_cleared(tx: db.Tx, *, since: datetime, limit: int) -> Sequence[Erasure]:
    """Return erasures that were cleared since an instant, those first for which events were looked through longest ago.

    So all of them have their turn, however many there are.
    """
    statement = sa.select(erasure).where(_own.cleared_at > since).order_by(_own.looked_to.nulls_first()).limit(limit)
    return [_erasure(row) for row in await tx.rows(statement)]


async def find_last_booked(tx: db.Tx, customer_id: CustomerId) -> datetime | None:
    """Return the real instant at which something was last posted to a customer's books, or None."""
    entry = ledger_entry.c
    found: datetime | None = await tx.value(
        sa.select(sa.func.max(entry.posted_at)).where(entry.customer_id == customer_id)
    )
    return found


async def count_blockers(tx: db.Tx, customer_id: CustomerId) -> dict[Blocker, int]:
    """Count what a customer must not have when it is erased."""
    counts = {name: _count(table, customer_id, condition) for name, (table, condition) in _blockers().items()}
    own = ledger_line.c
    balances = (
        sa.select(own.account)
        .where(own.customer_id == customer_id, own.account.not_in(_AT_REST))
        .group_by(own.account, own.currency)
        .having(sa.func.sum(own.amount_minor) != 0)
        .subquery()
    )
    counts[Blocker.BALANCES] = sa.select(sa.func.count()).select_from(balances).scalar_subquery()
    row = await tx.row(sa.select(*(count.label(name) for name, count in counts.items())))
    assert row is not None, "a count is a row"
    return {name: getattr(row, name) for name in counts}


def _blockers() -> dict[Blocker, tuple[sa.Table, sa.ColumnElement[bool]]]:
    own, job = subscription.c, outbox_job.c
    live = own.status.not_in(("incomplete", "canceled"))
    waits = sa.or_(own.due_at.is_not(None), own.settles_at.is_not(None))
    return {
        Blocker.SUBSCRIPTIONS: (subscription, live),
        Blocker.STARTS: (scheduled_start, scheduled_start.c.state == "scheduled"),
        Blocker.UNSETTLED: (subscription, sa.and_(sa.not_(live), waits)),
        Blocker.INVOICES: (invoice, invoice.c.state.in_(("draft", "open"))),
        Blocker.CHARGES: (one_off_charge, one_off_charge.c.state == "pending"),
        Blocker.ATTEMPTS: (payment_attempt, payment_attempt.c.settled_at.is_(None)),
        Blocker.REFUNDS: (refund, refund.c.state.in_(("planned", "sent", "unknown", "pending"))),
        Blocker.DISPUTES: (dispute, dispute.c.closed_at.is_(None)),
        Blocker.JOBS: (outbox_job, sa.and_(job.state.in_(("pending", "failed")), job.kind.not_in(_TELLING))),
    }


def _count(table: sa.Table, customer_id: CustomerId, condition: sa.ColumnElement[bool]) -> Any:
    return sa.select(sa.func.count()).where(table.c.customer_id == customer_id, condition).scalar_subquery()


def _erasure(row: sa.Row[Any]) -> Erasure:
    values = {each.name: getattr(row, each.name) for each in fields(Erasure)}
    return Erasure(**{**values, "state": ErasureState(row.state), "reason": ErasureReason(row.reason)})
