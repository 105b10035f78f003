"""Have what was resolved of a customer before its erasure resolved anew."""

from domain.db import Tx
from domain.kernel.ids import CustomerId
from domain.subscriptions.erasing import store


async def forget_resolved(tx: Tx, customer_id: CustomerId) -> None:
    """Have every process that remembers an erased customer as it was look again before it counts or reserves for it."""
    await store.raise_epochs(tx, customer_id)
