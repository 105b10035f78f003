"""Statements about a customer's name, address and external id."""

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from domain import db
from domain.customers.customer import Customer
from domain.customers.store import customer, sealed_names
from domain.vault import DataKey


async def save_names(tx: db.Tx, key: DataKey, after: Customer) -> bool:
    """Write name, address and external id, sealed where they are personal. False where the external id is taken."""
    own = customer.c
    changed = sa.update(customer).where(own.customer_id == after.id)
    values = {**sealed_names(tx, key, after), "external_id": after.external_id}
    try:
        async with tx.attempted():
            await tx.execute(changed.values(**values, version=own.version + 1))
    except IntegrityError:
        return False
    return True
