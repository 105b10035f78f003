"""Table and statements of copies that were paid at the gateway, of invoices that were asked for again since."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.push import Push

past_gateway_invoice = sa.Table(
    "past_gateway_invoice",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True),
    sa.Column("invoice_id", db.Id, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, comment="as in gateway_invoice"),
    sa.Column("gateway_invoice_id", sa.Text, nullable=False),
    sa.Column("retired_at", db.Instant, nullable=False, comment="real time"),
    sa.ForeignKeyConstraint(["customer_id", "invoice_id"], ["invoice.customer_id", "invoice.id"], ondelete="RESTRICT"),
    sa.UniqueConstraint("gateway_invoice_id", name="past_gateway_invoice_gateway_invoice_id_key"),
    comment="paid at the gateway for ever; a bank took the money back",
)


async def insert_past(tx: db.Tx, push: Push, gateway_invoice_id: str, *, at: datetime) -> None:
    """Keep the id of a copy that another one follows."""
    values = {
        "customer_id": push.customer_id,
        "invoice_id": push.invoice_id,
        "number": push.number,
        "gateway_invoice_id": gateway_invoice_id,
        "retired_at": at,
    }
    await tx.execute(sa.insert(past_gateway_invoice).values(values))


async def past_of(tx: db.Tx, gateway_invoice_ids: Collection[str]) -> dict[str, tuple[CustomerId, InvoiceId]]:
    """Return whose past copies these invoices of the gateway are, and of which invoice."""
    own = past_gateway_invoice.c
    statement = sa.select(own.gateway_invoice_id, own.customer_id, own.invoice_id).where(
        own.gateway_invoice_id.in_(gateway_invoice_ids)
    )
    return {row.gateway_invoice_id: (row.customer_id, row.invoice_id) for row in await tx.rows(statement)}
