"""What happens to the lines of an invoice that is taken back."""

import sqlalchemy as sa

from domain import db
from domain.invoices.invoice import Invoice
from domain.invoices.store import invoice_line


async def void_lines(tx: db.Tx, void: Invoice) -> None:
    """Free the identities of the lines of a void invoice: the next derivation may bring them back."""
    own = invoice_line.c
    await tx.execute(
        sa.update(invoice_line).where(own.customer_id == void.customer_id, own.invoice_id == void.id).values(void=True)
    )
