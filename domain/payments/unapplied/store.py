"""Tables and statements of unapplied payments, of what they have paid, and of what became credit."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.customers.store import Sight
from domain.kernel.call import Environment
from domain.kernel.ids import AttemptId, CustomerId, InvoiceId, UnappliedPaymentId
from domain.kernel.money import Money
from domain.payments.unapplied.payment import Application, Cause, UnappliedCredit, UnappliedPayment

unapplied_payment = sa.Table(
    "unapplied_payment",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("invoice_id", db.Id, nullable=False, comment="the one that could not take it"),
    sa.Column("attempt_id", db.Id, nullable=False, comment="the payment that brought it"),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("gateway_payment_id", sa.Text, comment="where it can be sent back to"),
    sa.Column("booked_at", db.Instant, nullable=False, comment="business time"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("dispute_id", db.Id, comment="of money that a bank gave back"),
    sa.Column("applied_minor", sa.BigInteger, nullable=False),
    sa.Column("refunded_minor", sa.BigInteger, nullable=False, comment="gone, or on its way"),
    sa.Column("withheld_minor", sa.BigInteger, nullable=False, comment="taken by a bank for a dispute"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("credited_minor", sa.BigInteger, nullable=False, comment="became the customer's credit"),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.ForeignKeyConstraint(
        ["customer_id", "attempt_id"], ["payment_attempt.customer_id", "payment_attempt.id"], ondelete="RESTRICT"
    ),
    sa.ForeignKeyConstraint(["customer_id", "dispute_id"], ["dispute.customer_id", "dispute.id"], ondelete="RESTRICT"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("cause IN ('closed', 'reinstated')", name="cause"),
    sa.CheckConstraint("(cause = 'reinstated') = (dispute_id IS NOT NULL)", name="dispute_id"),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.CheckConstraint(
        "LEAST(applied_minor, refunded_minor, withheld_minor, credited_minor) >= 0"
        " AND applied_minor + refunded_minor + withheld_minor + credited_minor <= amount_minor",
        name="left",
    ),
    sa.Index(
        "unapplied_payment_attempt_key",
        "customer_id",
        "attempt_id",
        unique=True,
        postgresql_where=sa.text("dispute_id IS NULL"),
    ),
    sa.Index("unapplied_payment_dispute_key", "customer_id", "dispute_id", unique=True),
    sa.Index("unapplied_payment_invoice_idx", "customer_id", "invoice_id"),
    sa.Index(
        "unapplied_payment_left_idx",
        "environment",
        "id",
        postgresql_where=sa.text("applied_minor + refunded_minor + withheld_minor + credited_minor < amount_minor"),
    ),
)

unapplied_application = sa.Table(
    "unapplied_application",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("attempt_id", db.Id, primary_key=True, comment="stands for it among the attempts of the invoice"),
    sa.Column("unapplied_payment_id", db.Id, nullable=False),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("applied_at", db.Instant, nullable=False, comment="business time"),
    sa.ForeignKeyConstraint(
        ["customer_id", "unapplied_payment_id"],
        ["unapplied_payment.customer_id", "unapplied_payment.id"],
        name="unapplied_application_payment_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "attempt_id"], ["payment_attempt.customer_id", "payment_attempt.id"], ondelete="RESTRICT"
    ),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.Index("unapplied_application_payment_idx", "customer_id", "unapplied_payment_id"),
)

unapplied_credit = sa.Table(
    "unapplied_credit",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("unapplied_payment_id", db.Id, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("credited_at", db.Instant, nullable=False, comment="business time"),
    sa.ForeignKeyConstraint(
        ["customer_id", "unapplied_payment_id"],
        ["unapplied_payment.customer_id", "unapplied_payment.id"],
        name="unapplied_credit_payment_fkey",
        ondelete="RESTRICT",
    ),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.Index("unapplied_credit_payment_idx", "customer_id", "unapplied_payment_id"),
    comment="each is a movement of its customer's credit, with an entry in the books",
)


async def insert_payment(tx: db.Tx, new: UnappliedPayment) -> bool:
    """Insert an unapplied payment. False where one stands for the same attempt, or the same dispute."""
    statement = pg.insert(unapplied_payment).values(_values(new)).on_conflict_do_nothing()
    return await tx.value(statement.returning(unapplied_payment.c.id)) is not None


async def save_payment(tx: db.Tx, before: UnappliedPayment, after: UnappliedPayment) -> None:
    """Write a changed one over the version that was locked."""
    own = unapplied_payment.c
    statement = sa.update(unapplied_payment).where(
        own.customer_id == before.customer_id, own.id == before.id, own.version == before.version
    )
    result = await tx.execute(statement.values(_values(after) | {"version": before.version + 1}))
    assert result.rowcount == 1, "its row was locked"


async def find_payment(tx: db.Tx, payment_id: UnappliedPaymentId, *, sight: Sight) -> UnappliedPayment | None:
    """Return an unapplied payment in sight, or None."""
    statement = sa.select(unapplied_payment).where(unapplied_payment.c.id == payment_id)
    row = await tx.row(_in_sight(statement, sight))
    return _payment(row) if row else None


async def lock_payment(tx: db.Tx, customer_id: CustomerId, payment_id: UnappliedPaymentId) -> UnappliedPayment:
    """Hold one until the transaction ends: after any invoice that is held too."""
    own = unapplied_payment.c
    statement = sa.select(unapplied_payment).where(own.customer_id == customer_id, own.id == payment_id)
    row = await tx.row(statement.with_for_update())
    assert row is not None, "an unapplied payment is never deleted"
    return _payment(row)


async def lock_payment_of(tx: db.Tx, customer_id: CustomerId, attempt_id: AttemptId) -> UnappliedPayment | None:
    """Hold the one that an attempt has brought, where its invoice could not take it; None otherwise."""
    own = unapplied_payment.c
    statement = sa.select(unapplied_payment).where(
        own.customer_id == customer_id, own.attempt_id == attempt_id, own.dispute_id.is_(None)
    )
    row = await tx.row(statement.with_for_update())
    return _payment(row) if row else None


async def list_payments(
    tx: db.Tx, *, sight: Sight, customer_id: CustomerId | None, open_only: bool, before: UUID | None, limit: int
) -> Sequence[UnappliedPayment]:
    """Return unapplied payments in sight, the newest first; `before` is the id of the last one seen."""
    own = unapplied_payment.c
    statement = _in_sight(sa.select(unapplied_payment).order_by(own.id.desc()).limit(limit), sight)
    if customer_id is not None:
        statement = statement.where(own.customer_id == customer_id)
    if open_only:
        gone = own.applied_minor + own.refunded_minor + own.withheld_minor + own.credited_minor
        statement = statement.where(gone < own.amount_minor)
    if before is not None:
        statement = statement.where(own.id < before)
    return [_payment(row) for row in await tx.rows(statement)]


async def unapplied_of(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> dict[str, int]:
    """Return what of each payment of an invoice did not stay with it, in minor units by the gateway's id."""
    own = unapplied_payment.c
    statement = (
        sa.select(own.gateway_payment_id, sa.func.sum(own.amount_minor).label("minor"))
        .where(own.customer_id == customer_id, own.invoice_id == invoice_id, own.gateway_payment_id.is_not(None))
        .group_by(own.gateway_payment_id)
    )
    return {row.gateway_payment_id: int(row.minor) for row in await tx.rows(statement)}


async def insert_application(tx: db.Tx, new: Application) -> None:
    """Insert what a payment has paid of another invoice."""
    values = {field.name: getattr(new, field.name) for field in dataclasses.fields(new)}
    amount = values.pop("amount")
    await tx.execute(
        sa.insert(unapplied_application).values(values | {"amount_minor": amount.minor, "currency": amount.currency})
    )


async def list_applications_of(
    tx: db.Tx, payments: Collection[tuple[CustomerId, UnappliedPaymentId]]
) -> dict[tuple[CustomerId, UnappliedPaymentId], list[Application]]:
    """Return what some payments have paid, the oldest first: one statement, for loaders."""
    own = unapplied_application.c
    wanted = sa.tuple_(own.customer_id, own.unapplied_payment_id).in_(payments)
    found: dict[tuple[CustomerId, UnappliedPaymentId], list[Application]] = {key: [] for key in payments}
    for row in await tx.rows(sa.select(unapplied_application).where(wanted).order_by(own.attempt_id)):
        found[row.customer_id, row.unapplied_payment_id].append(_application(row))
    return found


async def insert_credit(tx: db.Tx, new: UnappliedCredit) -> None:
    """Insert what of a payment became credit."""
    values = {field.name: getattr(new, field.name) for field in dataclasses.fields(new)}
    amount = values.pop("amount")
    await tx.execute(
        sa.insert(unapplied_credit).values(values | {"amount_minor": amount.minor, "currency": amount.currency})
    )


async def list_credits_of(
    tx: db.Tx, payments: Collection[tuple[CustomerId, UnappliedPaymentId]]
) -> dict[tuple[CustomerId, UnappliedPaymentId], list[UnappliedCredit]]:
    """Return what of some payments became credit, the oldest first: one statement, for loaders."""
    own = unapplied_credit.c
    wanted = sa.tuple_(own.customer_id, own.unapplied_payment_id).in_(payments)
    found: dict[tuple[CustomerId, UnappliedPaymentId], list[UnappliedCredit]] = {key: [] for key in payments}
    for row in await tx.rows(sa.select(unapplied_credit).where(wanted).order_by(own.id)):
        amount = Money(row.amount_minor, row.currency)
        made = UnappliedCredit(row.customer_id, row.id, row.unapplied_payment_id, amount, row.credited_at)
        found[row.customer_id, row.unapplied_payment_id].append(made)
    return found


def _in_sight(statement: sa.Select[Any], sight: Sight) -> sa.Select[Any]:
    own = unapplied_payment.c
    if sight.scope is not None:
        statement = statement.where(own.customer_id == sight.scope)
    if sight.environment is not None:
        statement = statement.where(own.environment == sight.environment)
    return statement


def _values(value: UnappliedPayment) -> dict[str, Any]:
    values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    amount = values.pop("amount")
    return values | {"amount_minor": amount.minor, "currency": amount.currency}


def _payment(row: sa.Row[Any]) -> UnappliedPayment:
    found = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
    amount = Money(found.pop("amount_minor"), found.pop("currency"))
    words = {"environment": Environment(row.environment), "cause": Cause(row.cause)}
    return UnappliedPayment(**found | words, amount=amount)


def _application(row: sa.Row[Any]) -> Application:
    found = dict(row._mapping)  # noqa: SLF001 -- as above
    amount = Money(found.pop("amount_minor"), found.pop("currency"))
    return Application(**found, amount=amount)
