"""The table of questions about taxes and their answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.values import dataclass

tax_question = sa.Table(
    "tax_question",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="keyed hash of all that the answer depends on"),
    sa.Column("asked_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("taxed_at", db.Instant, nullable=False, comment="business time whose taxes are asked for"),
    sa.Column("answered_at", db.Instant, comment="real time"),
    sa.Column("answer", pg.JSONB(none_as_null=True)),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="tax_question_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.UniqueConstraint("customer_id", "invoice_id", "digest", name="tax_question_once"),
    sa.CheckConstraint("(answered_at IS NULL) = (answer IS NULL)", name="answer"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question that was asked: its id is in the key under which the service is called."""

    id: UUID
    taxed_at: datetime
    answer: dict[str, Any] | None


async def find_question(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId, digest: bytes) -> Question | None:
    """Return the question of this digest, or None."""
    own = tax_question.c
    statement = sa.select(own.id, own.taxed_at, own.answer).where(
        own.customer_id == customer_id, own.invoice_id == invoice_id, own.digest == digest
    )
    row = await tx.row(statement)
    return Question(row.id, row.taxed_at, row.answer) if row else None


async def insert_question(
    tx: db.Tx,
    customer_id: CustomerId,
    invoice_id: InvoiceId,
    *,
    question_id: UUID,
    digest: bytes,
    asked_at: datetime,
    taxed_at: datetime,
) -> None:
    """Write a question before it is asked; one that is there stays."""
    values = {
        "customer_id": customer_id,
        "id": question_id,
        "invoice_id": invoice_id,
        "digest": digest,
        "asked_at": asked_at,
        "taxed_at": taxed_at,
    }
    statement = pg.insert(tax_question).values(values)
    await tx.execute(statement.on_conflict_do_nothing(constraint="tax_question_once"))


async def save_answer(
    tx: db.Tx, customer_id: CustomerId, question_id: UUID, *, answer: dict[str, Any], at: datetime
) -> None:
    """Write the first answer; a later one changes nothing."""
    own = tax_question.c
    statement = sa.update(tax_question).where(
        own.customer_id == customer_id, own.id == question_id, own.answer.is_(None)
    )
    await tx.execute(statement.values(answer=answer, answered_at=at))
