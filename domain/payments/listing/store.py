"""Statements over the payment attempts of all customers; the table is the slice's own."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight, customer
from domain.kernel.ids import AttemptId
from domain.payments.attempt import Attempt
from domain.payments.listing.filter import PaymentFilter
from domain.payments.store import attempt_of, payment_attempt


async def list_attempts(
    tx: db.Tx, wanted: PaymentFilter, *, sight: Sight, before: AttemptId | None, limit: int
) -> Sequence[Attempt]:
    """Return attempts in sight, the last ones first; `before` is the id of the last one seen."""
    own, owner = payment_attempt.c, customer.c
    statement = sa.select(payment_attempt).select_from(
        payment_attempt.join(customer, owner.customer_id == own.customer_id)
    )
    equal = (
        (own.customer_id, sight.scope),
        (owner.environment, sight.environment),
        (own.customer_id, wanted.customer_id),
        (owner.environment, wanted.environment),
        (own.gateway_payment_id, wanted.gateway_payment_id),
    )
    statement = statement.where(*(column == value for column, value in equal if value is not None))
    if wanted.states:
        statement = statement.where(own.state.in_(wanted.states))
    if wanted.ended_from is not None:
        statement = statement.where(own.ended_at >= wanted.ended_from)
    if wanted.ended_before is not None:
        statement = statement.where(own.ended_at < wanted.ended_before)
    if before is not None:
        statement = statement.where(own.id < before)
    return [attempt_of(row) for row in await tx.rows(statement.order_by(own.id.desc()).limit(limit))]
