"""Statements that look at many invoices and their attempts."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.invoices.store import invoice, invoice_line
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.attempt import UNRESOLVED, Attempt
from domain.payments.ending import Share
from domain.payments.method import PaymentMethod
from domain.payments.overdue.store import due
from domain.payments.store import attempt_of, payment_attempt, payment_method
from domain.subscriptions.store import subscription


async def list_stale_attempts(tx: db.Tx, *, sent_before: datetime, at: datetime, limit: int) -> Sequence[Attempt]:
    """Return attempts whose answer is overdue and which are to be looked at, the longest due first."""
    statement = due(payment_attempt, sent_before=sent_before, at=at, states=tuple(UNRESOLVED), limit=limit)
    return [attempt_of(row) for row in await tx.rows(statement)]


async def list_tries(tx: db.Tx, method: PaymentMethod, *, since: datetime, limit: int) -> Sequence[datetime]:
    """Return when a method, or another one of its owner with the same fingerprint, was charged, the newest first."""
    attempt, own = payment_attempt.c, payment_method.c
    is_same = own.id == method.id
    if method.fingerprint is not None:
        is_same |= own.fingerprint == method.fingerprint
    statement = (
        sa.select(attempt.began_at)
        .join(payment_method, sa.and_(own.customer_id == attempt.customer_id, own.id == attempt.method_id))
        .where(attempt.customer_id == method.customer_id, is_same, attempt.sent_at.is_not(None))
        .where(attempt.began_at > since)
        .order_by(attempt.began_at.desc())
        .limit(limit)
    )
    return [row.began_at for row in await tx.rows(statement)]


async def list_shares(tx: db.Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> Sequence[Share]:
    """Return the subscriptions with lines on an invoice, each with its end and the first instant that is charged."""
    line, own = invoice_line.c, subscription.c
    statement = (
        sa.select(own.id, own.ended_at, sa.func.min(line.service_start_at).label("starts_at"))
        .join(invoice_line, sa.and_(line.customer_id == own.customer_id, line.subscription_id == own.id))
        .where(own.customer_id == customer_id, line.customer_id == customer_id, line.invoice_id == invoice_id)
        .group_by(own.customer_id, own.id)
        .order_by(own.id)
    )
    return [Share(row.ended_at, row.starts_at) for row in await tx.rows(statement)]


async def lock_open_invoice_ids(tx: db.Tx, customer_id: CustomerId, *, limit: int) -> Sequence[InvoiceId]:
    """Lock a customer's open invoices, the oldest first, against a collection that ends at this moment."""
    statement = (
        sa.select(invoice.c.id)
        .where(invoice.c.customer_id == customer_id, invoice.c.state == "open")
        .order_by(invoice.c.id)
        .limit(limit)
        .with_for_update()
    )
    return [row.id for row in await tx.rows(statement)]
