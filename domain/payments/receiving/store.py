"""Table and statements of payments that staff recorded."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import AttemptId, CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.payments.receiving.receipt import ReceiptMethod, Received, ReversalReason
from domain.payments.store import payment_attempt

received_payment = sa.Table(
    "received_payment",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("attempt_id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False, comment="what names it at the bank or on the cheque"),
    sa.Column("received_at", db.Instant, nullable=False, comment="business time; when the money came"),
    sa.Column("recorded_at", db.Instant, nullable=False, comment="business time; when staff wrote it down"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time of that"),
    sa.Column("reversed_at", db.Instant, comment="business time; when it was taken back"),
    sa.Column("reversal", sa.Text, comment="why it was taken back"),
    sa.ForeignKeyConstraint(
        ["customer_id", "attempt_id"], ["payment_attempt.customer_id", "payment_attempt.id"], ondelete="RESTRICT"
    ),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.CheckConstraint("method IN ('bank_transfer', 'cheque', 'cash', 'other')", name="method"),
    sa.CheckConstraint("length(reference) BETWEEN 1 AND 140", name="reference"),
    sa.CheckConstraint("received_at <= recorded_at", name="received_at"),
    sa.CheckConstraint("reversal IN ('bounced', 'mistake', 'other')", name="reversal"),
    sa.CheckConstraint("(reversed_at IS NULL) = (reversal IS NULL)", name="reversed_at"),
    sa.Index("received_payment_invoice_idx", "customer_id", "invoice_id"),
    sa.Index("received_payment_attempt_idx", "attempt_id"),
)


_WITH_AMOUNT = sa.select(received_payment, payment_attempt.c.amount_minor, payment_attempt.c.currency).join(
    payment_attempt,
    (payment_attempt.c.customer_id == received_payment.c.customer_id)
    & (payment_attempt.c.id == received_payment.c.attempt_id),
)


async def insert_received(tx: db.Tx, new: Received) -> None:
    """Insert what was recorded; its amount is the attempt's."""
    values = {name: getattr(new, name) for name in Received.__slots__ if name != "amount"}
    await tx.execute(sa.insert(received_payment).values(values))


async def find_received(tx: db.Tx, attempt_id: AttemptId) -> Received | None:
    """Return what was recorded as an attempt, or None."""
    row = await tx.row(_WITH_AMOUNT.where(received_payment.c.attempt_id == attempt_id))
    return _received(row) if row else None


async def save_received(tx: db.Tx, after: Received) -> None:
    """Write that a recorded payment was taken back; its invoice is locked."""
    own = received_payment.c
    statement = sa.update(received_payment).where(
        own.customer_id == after.customer_id, own.attempt_id == after.attempt_id, own.reversed_at.is_(None)
    )
    result = await tx.execute(statement.values(reversed_at=after.reversed_at, reversal=after.reversal))
    assert result.rowcount == 1, "it is taken back once"


async def list_received_of(
    tx: db.Tx, invoices: Collection[tuple[CustomerId, InvoiceId]]
) -> dict[InvoiceId, list[Received]]:
    """Return what was recorded about customers' invoices, the newest first: one statement, for loaders."""
    table = received_payment.c
    wanted = sa.tuple_(table.customer_id, table.invoice_id).in_(invoices)
    statement = _WITH_AMOUNT.where(wanted).order_by(table.attempt_id.desc())
    found: dict[InvoiceId, list[Received]] = {invoice_id: [] for _, invoice_id in invoices}
    for row in await tx.rows(statement):
        found[row.invoice_id].append(_received(row))
    return found


def _received(row: sa.Row[Any]) -> Received:
    return Received(
        customer_id=row.customer_id,
        attempt_id=row.attempt_id,
        invoice_id=row.invoice_id,
        amount=Money(row.amount_minor, row.currency),
        method=ReceiptMethod(row.method),
        reference=row.reference,
        received_at=row.received_at,
        recorded_at=row.recorded_at,
        created_at=row.created_at,
        reversed_at=row.reversed_at,
        reversal=ReversalReason(row.reversal) if row.reversal else None,
    )
