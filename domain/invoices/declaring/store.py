"""Statements over what invoices state of taxes and what credit notes give back; the tables are the slice's own."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.invoices.crediting.store import credit_note, credit_note_line
from domain.invoices.declaring.report import CreditedLine, Figures, Stated
from domain.invoices.invoice import InvoiceKind
from domain.invoices.store import invoice, invoice_line
from domain.invoices.tax import NoTax
from domain.invoices.taxing.store import invoice_line_tax, invoice_tax
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.statement import Row

_STATED = tuple(invoice_tax.c[name] for name in ("country", "region", "name", "percent", "inclusive", "reason"))


async def sum_invoices(
    tx: db.Tx, environment: Environment, period: Period, *, voided: bool
) -> Sequence[tuple[Stated, Figures]]:
    """Add up what the invoices that were issued in a period, or voided in it, state. Top-ups sell nothing yet."""
    own, tax = invoice.c, invoice_tax.c
    at = own.voided_at if voided else own.issued_at
    net = own.subtotal_minor - own.discount_minor - own.tax_included_minor
    of_invoice = sa.and_(tax.customer_id == own.customer_id, tax.invoice_id == own.id)
    base = sa.func.sum(sa.func.coalesce(tax.base_minor, net)).label("base")
    statement = (
        sa.select(own.currency, *_STATED, base, sa.func.coalesce(sa.func.sum(tax.tax_minor), 0).label("tax"))
        .select_from(invoice.outerjoin(invoice_tax, of_invoice))
        .where(own.environment == environment, own.kind == InvoiceKind.INVOICE, own.top_up_id.is_(None))
        .where(at >= period.start, at < period.end)
        .group_by(own.currency, *_STATED)
    )
    return [(_stated(row), Figures(int(row.base), int(row.tax))) for row in await tx.rows(statement)]


async def list_credited(
    tx: db.Tx, environment: Environment, period: Period, *, voided: bool, after: UUID | None, limit: int
) -> Sequence[tuple[UUID, CreditedLine]]:
    """Return lines of credit notes that were issued in a period, or whose invoice was voided in it, by their ids.

    `after` is the id of the last one seen; at most `limit`.
    """
    found = _credited(environment, period, voided=voided).order_by(credit_note_line.c.id).limit(limit)
    if after is not None:
        found = found.where(credit_note_line.c.id > after)
    line, part, tax = found.cte("line"), invoice_line_tax.c, invoice_tax.c
    of_line = sa.and_(
        part.customer_id == line.c.customer_id, part.invoice_id == line.c.invoice_id, part.line_id == line.c.line_id
    )
    of_part = sa.and_(
        tax.customer_id == part.customer_id, tax.invoice_id == part.invoice_id, tax.position == part.position
    )
    joined = line.outerjoin(invoice_line_tax, of_line).outerjoin(invoice_tax, of_part)
    statement = (
        sa.select(line.c.id, line.c.currency, line.c.net, line.c.tax, *_STATED, part.tax_minor.label("part"))
        .select_from(joined)
        .order_by(line.c.id, part.position)
    )
    rows = await tx.rows(statement)
    return [(line_id, _credited_line(list(own))) for line_id, own in groupby(rows, key=lambda row: row.id)]


def _credited(environment: Environment, period: Period, *, voided: bool) -> sa.Select[tuple[object, ...]]:
    own, note, line = credit_note_line.c, credit_note.c, invoice_line.c
    at = invoice.c.voided_at if voided else note.issued_at
    of_note = sa.and_(note.customer_id == own.customer_id, note.id == own.credit_note_id)
    of_line = sa.and_(line.customer_id == own.customer_id, line.id == own.line_id)
    of_invoice = sa.and_(invoice.c.customer_id == line.customer_id, invoice.c.id == line.invoice_id)
    included = sa.case((own.tax_inclusive, own.tax_minor), else_=0)
    return (
        sa.select(
            own.id,
            own.customer_id,
            own.line_id,
            line.invoice_id,
            note.currency,
            (own.amount_minor - own.discount_minor - included).label("net"),
            own.tax_minor.label("tax"),
        )
        .select_from(credit_note_line.join(credit_note, of_note).join(invoice_line, of_line).join(invoice, of_invoice))
        .where(note.environment == environment, invoice.c.top_up_id.is_(None))
        .where(at >= period.start, at < period.end)
    )


def _credited_line(rows: Sequence[Row]) -> CreditedLine:
    return CreditedLine(rows[0].net, rows[0].tax, [(_stated(row), row.part or 0) for row in rows])


def _stated(row: Row) -> Stated:
    return Stated(
        currency=row.currency,
        country=row.country,
        region=row.region,
        name=row.name,
        percent=row.percent.normalize() if row.percent is not None else None,
        inclusive=bool(row.inclusive),
        reason=NoTax(row.reason) if row.reason else None,
    )
