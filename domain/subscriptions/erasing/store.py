"""The statement that raises the epochs of a customer's subscriptions."""

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.subscriptions.store import subscription


async def raise_epochs(tx: db.Tx, customer_id: CustomerId) -> None:
    """Raise the epoch of every subscription of a customer."""
    own = subscription.c
    await tx.execute(sa.update(subscription).where(own.customer_id == customer_id).values(epoch=own.epoch + 1))
