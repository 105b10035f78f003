"""Statements over the invoices and credit notes of all customers; the tables are the slice's own."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.invoices.credit_note import CreditKind, CreditNote
from domain.invoices.crediting.store import credit_note, note_of_row
from domain.invoices.invoice import Invoice, State
from domain.invoices.listing.filter import CreditNoteFilter, InvoiceFilter
from domain.invoices.listing.totals import InvoiceSum, NoteSum
from domain.invoices.store import invoice, invoice_line, invoice_of_row
from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, ProductId
from domain.kernel.money import Money
from domain.kernel.period import Period, Range
from domain.kernel.values import dataclass
from domain.statement import within
from domain.subscriptions.store import subscription

_NET_AND_TAX = ("subtotal_minor", "discount_minor", "tax_minor", "tax_included_minor")
_NOTHING = sa.literal(0, sa.BigInteger)
_TOTAL = invoice.c.subtotal_minor - invoice.c.discount_minor + invoice.c.tax_minor - invoice.c.tax_included_minor
_DUE = sa.case(
    (
        invoice.c.state == State.OPEN,
        sa.func.greatest(_TOTAL, _NOTHING) - invoice.c.applied_minor - invoice.c.offset_minor - invoice.c.kept_minor,
    ),
    else_=_NOTHING,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose invoices are looked at, and those of which product; None is of any, and without one."""

    sight: Sight
    product_id: ProductId | None = None


async def list_invoices(
    tx: db.Tx, wanted: InvoiceFilter, place: Place, *, before: InvoiceId | None, limit: int
) -> Sequence[Invoice]:
    """Return invoices in sight, those drafted last first; `before` is the id of the last one seen."""
    statement = sa.select(invoice).where(*_invoices(wanted, place)).order_by(invoice.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(invoice.c.id < before)
    return [invoice_of_row(row) for row in await tx.rows(statement)]


async def sum_invoices(tx: db.Tx, wanted: InvoiceFilter, place: Place) -> Sequence[InvoiceSum]:
    """Add invoices in sight up: a row for each environment, currency and state."""
    own = invoice.c
    summed = (*_NET_AND_TAX, "applied_minor", "offset_minor")
    statement = (
        sa.select(own.environment, own.currency, own.state, sa.func.count().label("documents"), *_sums(invoice, summed))
        .add_columns(sa.func.sum(_DUE).label("due_minor"))
        .where(*_invoices(wanted, place))
        .group_by(own.environment, own.currency, own.state)
        .order_by(own.environment, own.currency, own.state)
    )
    return [
        InvoiceSum(
            environment=Environment(row.environment),
            currency=row.currency,
            state=State(row.state),
            count=row.documents,
            net=Money(int(row.subtotal_minor - row.discount_minor - row.tax_included_minor), row.currency),
            tax=Money(int(row.tax_minor), row.currency),
            applied=Money(int(row.applied_minor), row.currency),
            offset=Money(int(row.offset_minor), row.currency),
            due=Money(int(row.due_minor), row.currency),
        )
        for row in await tx.rows(statement)
    ]


async def list_notes(
    tx: db.Tx, wanted: CreditNoteFilter, *, sight: Sight, before: CreditNoteId | None, limit: int
) -> Sequence[CreditNote]:
    """Return credit notes in sight, the last ones first; `before` is the id of the last one seen."""
    statement = sa.select(credit_note).where(*_notes(wanted, sight)).order_by(credit_note.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(credit_note.c.id < before)
    return [note_of_row(row) for row in await tx.rows(statement)]


async def sum_notes(tx: db.Tx, wanted: CreditNoteFilter, *, sight: Sight) -> Sequence[NoteSum]:
    """Add credit notes in sight up: a row for each environment, currency and kind."""
    own = credit_note.c
    summed = (*_NET_AND_TAX, "offset_minor", "credit_minor", "refund_minor", "wallet_minor")
    statement = (
        sa.select(
            own.environment, own.currency, own.kind, sa.func.count().label("documents"), *_sums(credit_note, summed)
        )
        .where(*_notes(wanted, sight))
        .group_by(own.environment, own.currency, own.kind)
        .order_by(own.environment, own.currency, own.kind)
    )
    return [
        NoteSum(
            environment=Environment(row.environment),
            currency=row.currency,
            kind=CreditKind(row.kind),
            count=row.documents,
            net=Money(int(row.subtotal_minor - row.discount_minor - row.tax_included_minor), row.currency),
            tax=Money(int(row.tax_minor), row.currency),
            offset=Money(int(row.offset_minor), row.currency),
            credit=Money(int(row.credit_minor), row.currency),
            refund=Money(int(row.refund_minor), row.currency),
            to_wallets=Money(int(row.wallet_minor), row.currency),
        )
        for row in await tx.rows(statement)
    ]


async def list_customers_of(tx: db.Tx, number: str, *, limit: int) -> Sequence[CustomerId]:
    """Return whose invoice or credit note has this number, those made last first."""
    tables = (invoice, credit_note)
    found = sa.union(*(sa.select(table.c.customer_id).where(table.c.number == number) for table in tables)).subquery()
    own = found.c.customer_id
    return [row.customer_id for row in await tx.rows(sa.select(own).order_by(own.desc()).limit(limit))]


async def list_issued(
    tx: db.Tx, environment: Environment, period: Period, *, after: str | None, limit: int
) -> Sequence[Invoice]:
    """Return invoices that were issued in a period by their numbers; `after` is the last one seen."""
    own = invoice.c
    statement = sa.select(invoice).where(own.environment == environment, own.number.is_not(None))
    statement = statement.where(*within(own.issued_at, Range(period.start, period.end)))
    return [invoice_of_row(row) for row in await tx.rows(_by_number(statement, own.number, after, limit))]


async def list_issued_notes(
    tx: db.Tx, environment: Environment, period: Period, *, after: str | None, limit: int
) -> Sequence[CreditNote]:
    """Return credit notes that were issued in a period by their numbers; `after` is the last one seen."""
    own = credit_note.c
    statement = sa.select(credit_note).where(own.environment == environment)
    statement = statement.where(*within(own.issued_at, Range(period.start, period.end)))
    return [note_of_row(row) for row in await tx.rows(_by_number(statement, own.number, after, limit))]


def _by_number(
    statement: sa.Select[tuple[object, ...]], number: sa.ColumnElement[str], after: str | None, limit: int
) -> sa.Select[tuple[object, ...]]:
    """Order by number: a longer one is a higher one, since there are zeros before the first million only."""
    order = (sa.func.length(number), number)
    if after is not None:
        statement = statement.where(sa.tuple_(*order) > sa.tuple_(sa.literal(len(after)), sa.literal(after)))
    return statement.order_by(*order).limit(limit)


def _sums(table: sa.Table, names: Iterable[str]) -> list[sa.Label[int]]:
    return [sa.func.sum(table.c[name]).label(name) for name in names]


def _invoices(wanted: InvoiceFilter, place: Place) -> list[sa.ColumnElement[bool]]:
    own = invoice.c
    equal = (
        (own.customer_id, place.sight.scope),
        (own.environment, place.sight.environment),
        (own.customer_id, wanted.customer_id),
        (own.environment, wanted.environment),
        (own.number, wanted.number),
        (own.kind, wanted.kind),
        (own.currency, wanted.currency),
        (own.collection, wanted.collection),
    )
    found = [column == value for column, value in equal if value is not None]
    found += within(own.issued_at, wanted.issued) + within(own.due_at, wanted.due) + within(own.paid_at, wanted.paid)
    if wanted.states:
        found.append(own.state.in_(wanted.states))
    if place.product_id is not None:
        found.append(_is_of_product(place.product_id))
    return found + _between(wanted.at_least, wanted.at_most)


def _notes(wanted: CreditNoteFilter, sight: Sight) -> list[sa.ColumnElement[bool]]:
    own = credit_note.c
    equal = (
        (own.customer_id, sight.scope),
        (own.environment, sight.environment),
        (own.customer_id, wanted.customer_id),
        (own.environment, wanted.environment),
        (own.invoice_id, wanted.invoice_id),
        (own.number, wanted.number),
        (own.kind, wanted.kind),
        (own.reason, wanted.reason),
        (own.currency, wanted.currency),
    )
    return [column == value for column, value in equal if value is not None] + within(own.issued_at, wanted.issued)


def _between(at_least: Money | None, at_most: Money | None) -> list[sa.ColumnElement[bool]]:
    found = [invoice.c.currency == each.currency for each in (at_least, at_most) if each is not None]
    if at_least is not None:
        found.append(at_least.minor <= _TOTAL)
    if at_most is not None:
        found.append(at_most.minor >= _TOTAL)
    return found


def _is_of_product(product_id: ProductId) -> sa.ColumnElement[bool]:
    """Whether an invoice has a line of a product. By its id: how many have one is then known to the planner."""
    line, own = invoice_line.c, subscription.c
    joined = invoice_line.join(
        subscription, sa.and_(own.customer_id == line.customer_id, own.id == line.subscription_id)
    )
    of_invoice = (line.customer_id == invoice.c.customer_id, line.invoice_id == invoice.c.id)
    lines = sa.select(sa.literal(1)).select_from(joined)
    return lines.where(*of_invoice, own.product_id == product_id).correlate(invoice).exists()
