"""Statements that look up the credit notes of a change."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.invoices.credit_note import CreditNote
from domain.invoices.crediting.store import credit_note, note_of_row
from domain.invoices.standing.store import derived_credit
from domain.kernel.ids import CustomerId, SubscriptionId


async def list_notes_from(
    tx: db.Tx, *, customer_id: CustomerId, subscription_id: SubscriptionId, since: datetime
) -> Sequence[CreditNote]:
    """Return the notes on which a subscription's credits of service from exactly an instant stand, oldest first."""
    own = derived_credit.c
    statement = (
        sa.select(credit_note)
        .where(
            credit_note.c.customer_id == customer_id,
            credit_note.c.id.in_(
                sa.select(own.credit_note_id).where(
                    own.customer_id == customer_id,
                    own.subscription_id == subscription_id,
                    own.service_start_at == since,
                )
            ),
        )
        .order_by(credit_note.c.id)
    )
    return [note_of_row(row) for row in await tx.rows(statement)]
