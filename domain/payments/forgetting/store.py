"""Statements that take away what tells whose a payment method was, and keep the key of what is asked for that."""

from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.payments.store import gateway_customer, payment_method


async def save_forgotten(tx: db.Tx, customer_id: CustomerId, *, at: datetime) -> None:
    """Write that every method is removed, and over what describes it; its id at the gateway and its kind stay."""
    own = payment_method.c
    nothing = dict.fromkeys(("brand", "last4", "exp_month", "exp_year", "fingerprint"))
    removed = {"is_default": False, "detached_at": sa.func.coalesce(own.detached_at, at)}
    statement = sa.update(payment_method).where(own.customer_id == customer_id)
    await tx.execute(statement.values(**nothing, **removed, version=own.version + 1))


async def keep_deletion_key(tx: db.Tx, customer_id: CustomerId, key: str) -> str:
    """Store the key of a customer's deletion before the gateway is asked, and return it; the first one stays."""
    own = gateway_customer.c
    statement = sa.update(gateway_customer).where(own.customer_id == customer_id)
    kept: str | None = await tx.value(
        statement.values(deletion_key=sa.func.coalesce(own.deletion_key, key)).returning(own.deletion_key)
    )
    assert kept is not None, "the gateway's customer is never deleted here"
    return kept
