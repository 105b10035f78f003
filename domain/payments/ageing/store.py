"""Statements that lead from ledger entries to the invoices whose receivables they move."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from domain import db
from domain.customers.store import customer
from domain.invoices.crediting.store import credit_note
from domain.invoices.store import invoice
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.ledger.account import Account
from domain.ledger.store import ledger_entry, ledger_line
from domain.payments.ageing.age import Cause, cause_of
from domain.payments.disputing.store import dispute
from domain.payments.refunding.store import refund
from domain.payments.store import payment_attempt

_TABLES = {"credit_note": credit_note, "refund": refund, "dispute": dispute, "attempt": payment_attempt}


async def list_customers(
    tx: db.Tx, environment: Environment, *, after: CustomerId | None, limit: int
) -> Sequence[CustomerId]:
    """Return the next customers of an environment by their ids; `after` is the last one seen."""
    own = customer.c.customer_id
    statement = sa.select(own).where(customer.c.environment == environment).order_by(own).limit(limit)
    if after is not None:
        statement = statement.where(own > after)
    return [row.customer_id for row in await tx.rows(statement)]


async def sum_by_cause(tx: db.Tx, customers: Collection[CustomerId], before: datetime) -> Sequence[tuple[Cause, Money]]:
    """Add up what entries before an instant of business time moved receivables by, by what they are about."""
    line, entry = ledger_line.c, ledger_entry.c
    owner = sa.and_(entry.customer_id == line.customer_id, entry.id == line.entry_id)
    about = sa.func.split_part(entry.about, ":", 1)
    total = sa.func.sum(line.amount_minor)
    statement = (
        sa.select(line.customer_id, about.label("about"), line.currency, total.label("total"))
        .select_from(ledger_line.join(ledger_entry, owner))
        .where(line.customer_id.in_(customers), line.account == Account.RECEIVABLE, entry.at < before)
        .group_by(line.customer_id, about, line.currency)
        .having(total != 0)
    )
    return [
        (cause_of(row.customer_id, row.about), Money(int(row.total), row.currency)) for row in await tx.rows(statement)
    ]


async def invoices_of(tx: db.Tx, causes: Collection[Cause]) -> dict[Cause, InvoiceId]:
    """Return the invoice that each of these is about."""
    found = {each: InvoiceId(each.id) for each in causes if each.noun == "invoice"}
    by_noun: dict[str, list[tuple[CustomerId, UUID]]] = defaultdict(list)
    for each in causes:
        by_noun[each.noun].append((each.customer_id, each.id))
    for noun, table in _TABLES.items():
        if wanted := by_noun.get(noun):
            own = table.c
            statement = sa.select(own.customer_id, own.id, own.invoice_id)
            rows = await tx.rows(statement.where(sa.tuple_(own.customer_id, own.id).in_(wanted)))
            found |= {Cause(row.customer_id, noun, row.id): row.invoice_id for row in rows}
    return found


async def due_dates(
    tx: db.Tx, invoices: Collection[tuple[CustomerId, InvoiceId]]
) -> dict[tuple[CustomerId, InvoiceId], datetime]:
    """Return when opened invoices are due."""
    own = invoice.c
    statement = sa.select(own.customer_id, own.id, own.due_at)
    rows = await tx.rows(statement.where(sa.tuple_(own.customer_id, own.id).in_(list(invoices))))
    return {(row.customer_id, row.id): row.due_at for row in rows}
