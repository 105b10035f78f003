"""Statements that take away what tells whose a payment method was."""

from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.payments.store import payment_method


async def save_forgotten(tx: db.Tx, customer_id: CustomerId, *, at: datetime) -> None:
    """Write that every method is removed, and over what describes it; its id at the gateway and its kind stay."""
    own = payment_method.c
    nothing = dict.fromkeys(("brand", "last4", "exp_month", "exp_year", "fingerprint"))
    removed = {"is_default": False, "detached_at": sa.func.coalesce(own.detached_at, at)}
    statement = sa.update(payment_method).where(own.customer_id == customer_id)
    await tx.execute(statement.values(**nothing, **removed, version=own.version + 1))
