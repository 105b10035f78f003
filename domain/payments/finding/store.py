"""Statement that looks an id of the gateway up wherever one is kept; every place has an index of it."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.payments.copies.store import past_gateway_invoice
from domain.payments.disputing.store import dispute
from domain.payments.refunding.store import refund
from domain.payments.store import gateway_customer, gateway_invoice, payment_attempt, payment_method
from domain.subscriptions.store import subscription

_PLACES = (
    (gateway_customer, "gateway_customer_id"),
    (payment_attempt, "gateway_payment_id"),
    (gateway_invoice, "gateway_invoice_id"),
    (past_gateway_invoice, "gateway_invoice_id"),
    (payment_method, "gateway_method_id"),
    (refund, "gateway_refund_id"),
    (dispute, "gateway_dispute_id"),
    (subscription, "gateway_id"),
)


async def list_customers_of(tx: db.Tx, gateway_id: str, *, limit: int) -> Sequence[CustomerId]:
    """Return whose rows have an id of the gateway, those made last first."""
    places = [sa.select(table.c.customer_id).where(table.c[name] == gateway_id) for table, name in _PLACES]
    found = sa.union(*places).subquery()
    own = found.c.customer_id
    return [row.customer_id for row in await tx.rows(sa.select(own).order_by(own.desc()).limit(limit))]
