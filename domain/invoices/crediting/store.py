"""Tables and statements of credit notes."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.invoices.credit_note import (
    Correction,
    Credited,
    CreditKind,
    CreditNote,
    CreditNoteLine,
    CreditReason,
)
from domain.invoices.store import invoice_line
from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, LineId
from domain.kernel.money import Money
from domain.statement import Row, Statement, among, given, narrowed, present

# An invoice is credited in parts; each note names its lines.
NOTES_MAX = 1_000

credit_note = sa.Table(
    "credit_note",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        comment="what becomes of the part that was paid; what is still due is taken off first",
    ),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("issued_at", db.Instant, nullable=False, comment="business time"),
    sa.Column("subtotal_minor", sa.BigInteger, nullable=False),
    sa.Column("discount_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_included_minor", sa.BigInteger, nullable=False, comment="what of the tax the lines contain"),
    sa.Column("offset_minor", sa.BigInteger, nullable=False, comment="taken off what was due"),
    sa.Column("credit_minor", sa.BigInteger, nullable=False, comment="kept as customer credit"),
    sa.Column("refund_minor", sa.BigInteger, nullable=False, comment="to be paid back"),
    sa.Column("wallet_minor", sa.BigInteger, nullable=False, comment="back to the prepaid wallets that had paid it"),
    sa.ForeignKeyConstraint(
        ["customer_id", "invoice_id"],
        ["invoice.customer_id", "invoice.id"],
        name="credit_note_invoice_fkey",
        ondelete="RESTRICT",
    ),
    sa.UniqueConstraint("customer_id", "number", name="credit_note_number_key"),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    sa.CheckConstraint("kind IN ('refund', 'customer_credit', 'offset')", name="kind"),
    sa.CheckConstraint(
        "reason IN ('correction', 'goodwill', 'duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory')",
        name="reason",
    ),
    sa.CheckConstraint(
        "offset_minor >= 0 AND credit_minor >= 0 AND refund_minor >= 0 AND wallet_minor >= 0"
        " AND offset_minor + credit_minor + refund_minor + wallet_minor"
        " = subtotal_minor - discount_minor + tax_minor - tax_included_minor",
        name="parts",
    ),
    sa.CheckConstraint("subtotal_minor - discount_minor + tax_minor - tax_included_minor > 0", name="total"),
    sa.Index("credit_note_invoice_idx", "customer_id", "invoice_id"),
    sa.Index("credit_note_id_idx", "id"),
    sa.Index("credit_note_number_idx", "number"),
    sa.Index("credit_note_issued_idx", "environment", "issued_at"),
)

credit_note_line = sa.Table(
    "credit_note_line",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("credit_note_id", db.Id, nullable=False),
    sa.Column("line_id", db.Id, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column(
        "quantity",
        sa.Numeric,
        nullable=False,
        comment="the line's whole quantity, also where a part of its amount goes back",
    ),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False, comment="before discounts; has the sign of the line"),
    sa.Column("discount_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_minor", sa.BigInteger, nullable=False),
    sa.Column("tax_inclusive", sa.Boolean, nullable=False),
    sa.ForeignKeyConstraint(
        ["customer_id", "credit_note_id"],
        ["credit_note.customer_id", "credit_note.id"],
        name="credit_note_line_note_fkey",
        ondelete="RESTRICT",
    ),
    sa.ForeignKeyConstraint(
        ["customer_id", "line_id"],
        ["invoice_line.customer_id", "invoice_line.id"],
        name="credit_note_line_line_fkey",
        ondelete="RESTRICT",
    ),
    sa.UniqueConstraint("customer_id", "credit_note_id", "line_id", name="credit_note_line_line_key"),
    sa.Index("credit_note_line_line_idx", "customer_id", "line_id"),
)


_INSERT = Statement(sa.insert(credit_note).values(given(credit_note)))
_INSERT_LINE = Statement(sa.insert(credit_note_line).values(given(credit_note_line)))


async def insert_note(tx: db.Tx, new: CreditNote, lines: Sequence[tuple[UUID, CreditNoteLine]]) -> None:
    """Append a note with its lines."""
    await _INSERT.run(tx, **_note_row(new))
    rows = [
        {
            "customer_id": new.customer_id,
            "id": line_id,
            "credit_note_id": new.id,
            "line_id": line.line_id,
            "description": line.description,
            "quantity": line.quantity,
            "unit": line.unit,
            "amount_minor": line.amount.minor,
            "discount_minor": line.discount.minor,
            "tax_minor": line.tax.minor,
            "tax_inclusive": line.tax_inclusive,
        }
        for line_id, line in lines
    ]
    await _INSERT_LINE.run_each(tx, rows)


_PAID_BACK = Statement(
    sa.select(sa.func.coalesce(sa.func.sum(credit_note.c.credit_minor + credit_note.c.refund_minor), 0)).where(
        *narrowed(credit_note, ("customer_id", "invoice_id"))
    )
)


async def sum_paid_back(tx: db.Tx, *, customer_id: CustomerId, invoice_id: InvoiceId) -> int:
    """Return what notes have made customer credit of, or have to be paid back, of an invoice, in minor units."""
    return int(await _PAID_BACK.value(tx, customer_id=customer_id, invoice_id=invoice_id))


def _credited() -> Statement:
    own, line = credit_note_line.c, invoice_line.c
    statement = (
        sa.select(
            own.line_id,
            sa.func.sum(own.amount_minor).label("amount"),
            sa.func.sum(own.discount_minor).label("discount"),
            sa.func.sum(own.tax_minor).label("tax"),
            sa.func.bool_or(own.tax_inclusive).label("inclusive"),
        )
        .join(invoice_line, sa.and_(line.customer_id == own.customer_id, line.id == own.line_id))
        .where(*narrowed(credit_note_line, ("customer_id",)), *narrowed(invoice_line, ("invoice_id",)))
        .group_by(own.line_id)
    )
    return Statement(statement)


_CREDITED = _credited()


async def credited_by_line(tx: db.Tx, *, customer_id: CustomerId, invoice_id: InvoiceId) -> dict[LineId, Credited]:
    """Return what notes have given back of each line of an invoice."""
    rows = await _CREDITED.rows(tx, customer_id=customer_id, invoice_id=invoice_id)
    return {row.line_id: Credited(int(row.amount), int(row.discount), int(row.tax), row.inclusive) for row in rows}


_SAME_NOTE = sa.and_(
    credit_note.c.customer_id == credit_note_line.c.customer_id, credit_note.c.id == credit_note_line.c.credit_note_id
)
_CORRECTIONS = Statement(
    sa.select(credit_note_line.c.credit_note_id, credit_note_line.c.line_id, credit_note_line.c.amount_minor)
    .join(credit_note, _SAME_NOTE)
    .where(
        *narrowed(credit_note_line, ("customer_id",)),
        among(credit_note_line.c.line_id, "line_ids"),
        credit_note.c.reason == CreditReason.CORRECTION,
    )
)


async def list_corrections(tx: db.Tx, *, customer_id: CustomerId, line_ids: Collection[LineId]) -> list[Correction]:
    """Return the parts of notes with reason correction that name these lines."""
    rows = await _CORRECTIONS.rows(tx, customer_id=customer_id, line_ids=list(line_ids))
    return [Correction(row.credit_note_id, row.line_id, row.amount_minor) for row in rows]


async def find_note(tx: db.Tx, note_id: CreditNoteId, *, sight: Sight) -> CreditNote | None:
    """Return a note, or None where there is none in sight."""
    row = await tx.row(sa.select(credit_note).where(credit_note.c.id == note_id, *_in_sight(sight)))
    return note_of_row(row) if row else None


async def notes_by_invoice_ids(
    tx: db.Tx, ids: Collection[InvoiceId], *, sight: Sight
) -> dict[InvoiceId, list[CreditNote]]:
    """Return the notes of invoices in sight, the oldest first: one statement, for loaders."""
    found: dict[InvoiceId, list[CreditNote]] = {each: [] for each in ids}
    statement = (
        sa.select(credit_note).where(credit_note.c.invoice_id.in_(ids), *_in_sight(sight)).order_by(credit_note.c.id)
    )
    for row in await tx.rows(statement):
        found[row.invoice_id].append(note_of_row(row))
    return found


async def notes_by_customer_ids(
    tx: db.Tx, ids: Collection[CustomerId], *, sight: Sight, before: CreditNoteId | None, limit: int
) -> dict[CustomerId, list[CreditNote]]:
    """Return the newest notes of each customer, at most `limit`; `before` is the id of the last one seen."""
    found: dict[CustomerId, list[CreditNote]] = {each: [] for each in ids}
    statement = db.newest_of_each(credit_note, ids, before=before, limit=limit, where=_in_sight(sight))
    for row in await tx.rows(statement):
        found[row.customer_id].append(note_of_row(row))
    return found


@cache
def _lines_of(*names: str) -> Statement:
    return Statement(
        sa.select(credit_note_line, credit_note.c.currency)
        .join(credit_note, _SAME_NOTE)
        .where(among(credit_note_line.c.credit_note_id, "ids"), *narrowed(credit_note_line, names))
        .order_by(credit_note_line.c.id)
    )


async def lines_by_note_ids(
    tx: db.Tx, ids: Collection[CreditNoteId], *, scope: CustomerId | None
) -> dict[CreditNoteId, list[CreditNoteLine]]:
    """Return the lines of notes in the scope: one statement, for loaders."""
    known = present(customer_id=scope)
    found: dict[CreditNoteId, list[CreditNoteLine]] = {each: [] for each in ids}
    for row in await _lines_of(*known).rows(tx, ids=list(ids), **known):
        found[row.credit_note_id].append(
            CreditNoteLine(
                row.line_id,
                row.description,
                row.quantity,
                row.unit,
                Money(row.amount_minor, row.currency),
                Money(row.discount_minor, row.currency),
                Money(row.tax_minor, row.currency),
                row.tax_inclusive,
            )
        )
    return found


def _in_sight(sight: Sight) -> list[sa.ColumnElement[bool]]:
    wanted = ((credit_note.c.customer_id, sight.scope), (credit_note.c.environment, sight.environment))
    return [column == value for column, value in wanted if value is not None]


def _note_row(value: CreditNote) -> dict[str, Any]:
    return {
        "customer_id": value.customer_id,
        "id": value.id,
        "invoice_id": value.invoice_id,
        "environment": value.environment,
        "currency": value.currency,
        "number": value.number,
        "kind": value.kind,
        "reason": value.reason,
        "issued_at": value.issued_at,
        "subtotal_minor": value.subtotal.minor,
        "discount_minor": value.discount.minor,
        "tax_minor": value.tax.minor,
        "tax_included_minor": value.tax_included_minor,
        "offset_minor": value.offset_minor,
        "credit_minor": value.credit_minor,
        "refund_minor": value.refund_minor,
        "wallet_minor": value.wallet_minor,
    }


def note_of_row(row: Row) -> CreditNote:
    """Read a note."""
    return CreditNote(
        customer_id=row.customer_id,
        id=row.id,
        invoice_id=row.invoice_id,
        environment=Environment(row.environment),
        currency=row.currency,
        number=row.number,
        kind=CreditKind(row.kind),
        reason=CreditReason(row.reason),
        issued_at=row.issued_at,
        subtotal=Money(row.subtotal_minor, row.currency),
        discount=Money(row.discount_minor, row.currency),
        tax=Money(row.tax_minor, row.currency),
        tax_included_minor=row.tax_included_minor,
        offset_minor=row.offset_minor,
        credit_minor=row.credit_minor,
        refund_minor=row.refund_minor,
        wallet_minor=row.wallet_minor,
    )
