"""Statements about erased customers."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.customers.store import data_key
from domain.kernel.ids import CustomerId


async def lock_presence(tx: db.Tx, customer_id: CustomerId, *, is_shared: bool) -> bool | None:
    """Hold a customer against its erasure, or for it (not shared), until the transaction ends; None for nobody.

    Returns whether it is there, and not erased.
    """
    own = data_key.c
    row = await tx.row(sa.select(own.erased_at).where(own.customer_id == customer_id).with_for_update(read=is_shared))
    return None if row is None else row.erased_at is None


async def erased_among(tx: db.Tx, customer_ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return those of some customers that are erased."""
    own = data_key.c
    statement = sa.select(own.customer_id).where(own.customer_id.in_(customer_ids), own.erased_at.is_not(None))
    return {CustomerId(row.customer_id) for row in await tx.rows(statement)}


async def find_ended(tx: db.Tx, customer_id: CustomerId) -> datetime | None:
    """Return when a customer was erased of whom nothing is kept any more; None for everybody else."""
    own = data_key.c
    is_ended = (own.erased_at.is_not(None), own.retained.is_(None))
    found: datetime | None = await tx.value(sa.select(own.erased_at).where(own.customer_id == customer_id, *is_ended))
    return found


async def delete_retained(tx: db.Tx, customer_id: CustomerId) -> None:
    """Delete the key before an erasure: what it sealed cannot be read by anybody any more."""
    await tx.execute(sa.update(data_key).where(data_key.c.customer_id == customer_id).values(retained=None))
