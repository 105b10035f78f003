"""Table and statements of disputes."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, DisputeId, InvoiceId
from domain.kernel.money import Money
from domain.payments.attempt import Attempt
from domain.payments.dispute import TAKEN, UNDECIDED, Dispute, Stance
from domain.payments.store import attempt_of, payment_attempt

dispute = sa.Table(
    "dispute",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("attempt_id", db.Id, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("gateway_dispute_id", sa.Text, nullable=False, unique=True),
    sa.Column("gateway_payment_id", sa.Text, nullable=False, comment="the payment that is disputed"),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="the gateway's word, as status"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("stance", sa.Text, nullable=False, comment="where the money stands"),
    sa.Column("disputed_at", db.Instant, nullable=False, comment="real time, as evidence_due_at and created_at"),
    sa.Column("evidence_due_at", db.Instant),
    sa.Column("created_at", db.Instant, nullable=False),
    sa.Column("opened_at", db.Instant, nullable=False, comment="business time, as closed_at"),
    sa.Column("closed_at", db.Instant),
    sa.Column("is_booked", sa.Boolean, nullable=False, comment="whether the bank has taken it"),
    sa.Column("counted_minor", sa.BigInteger, nullable=False, comment="what of it counts on the invoice"),
    sa.Column("withheld_minor", sa.BigInteger, nullable=False, comment="taken out of the grant that was bought"),
    sa.Column("grant_id", db.Id),
    sa.Column(
        "unapplied_minor", sa.BigInteger, nullable=False, comment="taken out of money that no invoice could take"
    ),
    sa.Column("version", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.ForeignKeyConstraint(
        ["customer_id", "attempt_id"], ["payment_attempt.customer_id", "payment_attempt.id"], ondelete="RESTRICT"
    ),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("amount_minor > 0", name="amount"),
    sa.CheckConstraint("stance IN ('inquiry', 'held', 'won', 'lost', 'returned')", name="stance"),
    sa.CheckConstraint("counted_minor BETWEEN 0 AND amount_minor", name="counted"),
    sa.CheckConstraint("withheld_minor BETWEEN 0 AND counted_minor", name="withheld"),
    sa.CheckConstraint("unapplied_minor BETWEEN 0 AND amount_minor - counted_minor", name="unapplied"),
    sa.Index("dispute_invoice_id_idx", "customer_id", "invoice_id"),
    sa.Index("dispute_id_idx", "id"),
    sa.Index("dispute_open_idx", "environment", "id", postgresql_where=sa.text("closed_at IS NULL")),
)


async def insert_dispute(tx: db.Tx, new: Dispute) -> None:
    """Insert a dispute; the database refuses a second row of one of the gateway's."""
    await tx.execute(sa.insert(dispute).values(_values(new)))


async def save_dispute(tx: db.Tx, before: Dispute, after: Dispute) -> None:
    """Write a changed dispute over the version that was read under its invoice's lock."""
    own = dispute.c
    statement = sa.update(dispute).where(
        own.customer_id == before.customer_id, own.id == before.id, own.version == before.version
    )
    result = await tx.execute(statement.values(_values(after) | {"version": before.version + 1}))
    assert result.rowcount == 1, "its invoice was locked"


async def find_dispute_of(tx: db.Tx, gateway_dispute_id: str) -> Dispute | None:
    """Return the row of one of the gateway's disputes, or None."""
    row = await tx.row(sa.select(dispute).where(dispute.c.gateway_dispute_id == gateway_dispute_id))
    return _dispute(row) if row else None


async def find_dispute(tx: db.Tx, customer_id: CustomerId, dispute_id: DisputeId) -> Dispute | None:
    """Return a customer's dispute, or None."""
    own = dispute.c
    row = await tx.row(sa.select(dispute).where(own.customer_id == customer_id, own.id == dispute_id))
    return _dispute(row) if row else None


async def list_disputes_of(
    tx: db.Tx, invoices: Collection[tuple[CustomerId, InvoiceId]]
) -> dict[tuple[CustomerId, InvoiceId], list[Dispute]]:
    """Return the disputes of customers' invoices, the oldest first: one statement, for loaders."""
    own = dispute.c
    found: dict[tuple[CustomerId, InvoiceId], list[Dispute]] = {key: [] for key in invoices}
    wanted = sa.tuple_(own.customer_id, own.invoice_id).in_(invoices)
    for row in await tx.rows(sa.select(dispute).where(wanted).order_by(own.id)):
        found[row.customer_id, row.invoice_id].append(_dispute(row))
    return found


async def list_disputes(
    tx: db.Tx,
    *,
    sight: Sight,
    customer_id: CustomerId | None,
    stance: Stance | None,
    open_only: bool,
    before: UUID | None,
    limit: int,
) -> Sequence[Dispute]:
    """Return disputes in sight, the newest first; `before` is the id of the last one seen."""
    own = dispute.c
    statement = sa.select(dispute).order_by(own.id.desc()).limit(limit)
    if sight.scope is not None:
        statement = statement.where(own.customer_id == sight.scope)
    if sight.environment is not None:
        statement = statement.where(own.environment == sight.environment)
    if customer_id is not None:
        statement = statement.where(own.customer_id == customer_id)
    if stance is not None:
        statement = statement.where(own.stance == stance)
    if open_only:
        statement = statement.where(own.closed_at.is_(None))
    if before is not None:
        statement = statement.where(own.id < before)
    return [_dispute(row) for row in await tx.rows(statement)]


async def page_open(tx: db.Tx, environment: Environment, *, after: UUID | None, limit: int) -> Sequence[Dispute]:
    """Return the disputes of an environment that are not over, in the order of their ids."""
    own = dispute.c
    statement = (
        sa.select(dispute)
        .where(own.environment == environment, own.closed_at.is_(None), own.stance.in_(UNDECIDED))
        .order_by(own.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(own.id > after)
    return [_dispute(row) for row in await tx.rows(statement)]


async def known_of(tx: db.Tx, gateway_dispute_ids: Collection[str]) -> dict[str, Dispute]:
    """Return our rows of some of the gateway's disputes."""
    statement = sa.select(dispute).where(dispute.c.gateway_dispute_id.in_(gateway_dispute_ids))
    return {row.gateway_dispute_id: _dispute(row) for row in await tx.rows(statement)}


async def taken_of(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> dict[str, int]:
    """Return what banks have taken back of each payment of an invoice, decided or not, in minor units."""
    own = dispute.c
    statement = (
        sa.select(own.gateway_payment_id, sa.func.sum(own.amount_minor).label("minor"))
        .where(own.customer_id == customer_id, own.invoice_id == invoice_id, own.stance.in_(TAKEN))
        .group_by(own.gateway_payment_id)
    )
    return {row.gateway_payment_id: int(row.minor) for row in await tx.rows(statement)}


async def find_attempt_by(tx: db.Tx, gateway_payment_id: str) -> Attempt | None:
    """Return the attempt that a payment of the gateway belongs to: the one that brought money, else the newest."""
    own = payment_attempt.c
    brought = own.state.in_(("succeeded", "returned"))
    statement = (
        sa.select(payment_attempt)
        .where(own.gateway_payment_id == gateway_payment_id)
        .order_by(brought.desc(), own.number.desc())
        .limit(1)
    )
    row = await tx.row(statement)
    return attempt_of(row) if row else None


def _values(value: Dispute) -> dict[str, Any]:
    values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    amount = values.pop("amount")
    return values | {"amount_minor": amount.minor, "currency": amount.currency}


def _dispute(row: sa.Row[Any]) -> Dispute:
    found = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
    amount = Money(found.pop("amount_minor"), found.pop("currency"))
    words = {"environment": Environment(row.environment), "stance": Stance(row.stance)}
    return Dispute(**found | words, amount=amount)
