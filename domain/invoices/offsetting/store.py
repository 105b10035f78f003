"""Statements that look up the credit notes of a change."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.invoices.credit_note import CreditNote
from domain.invoices.crediting.store import credit_note, note_of_row
from domain.invoices.standing.store import derived_credit
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.statement import Statement, narrowed

_CREDITS = sa.select(derived_credit.c.credit_note_id).where(
    *narrowed(derived_credit, ("customer_id", "subscription_id", "service_start_at"))
)
_NOTES_FROM = Statement(
    sa.select(credit_note)
    .where(*narrowed(credit_note, ("customer_id",)), credit_note.c.id.in_(_CREDITS))
    .order_by(credit_note.c.id)
)


async def list_notes_from(
    tx: db.Tx, *, customer_id: CustomerId, subscription_id: SubscriptionId, since: datetime
) -> Sequence[CreditNote]:
    """Return the notes on which a subscription's credits of service from exactly an instant stand, oldest first."""
    rows = await _NOTES_FROM.rows(tx, customer_id=customer_id, subscription_id=subscription_id, service_start_at=since)
    return [note_of_row(row) for row in rows]
