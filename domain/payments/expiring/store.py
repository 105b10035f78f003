"""Statements that look for cards which expire, over the customers of one clock."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain import db
from domain.customers.store import customer
from domain.kernel.ids import ClockId
from domain.payments.method import PaymentMethod
from domain.payments.store import method_of, payment_method

_METHOD = payment_method.c
_expiry = _METHOD.exp_year * 12 + _METHOD.exp_month
_UNWARNED = (
    _METHOD.kind == "card",
    _METHOD.detached_at.is_(None),
    _METHOD.blocked.is_(None),
    _METHOD.warned_month.is_distinct_from(_expiry),
)


async def list_expiring(tx: db.Tx, *, clock_id: ClockId | None, month: int, limit: int) -> Sequence[PaymentMethod]:
    """Return attached cards that expire at the end of a month and whose owners do not know it yet."""
    statement = (
        sa.select(payment_method)
        .join(customer, customer.c.customer_id == _METHOD.customer_id)
        .where(customer.c.clock_id.is_not_distinct_from(clock_id), *_UNWARNED, _expiry == month)
        .order_by(_METHOD.customer_id, _METHOD.id)
        .limit(limit)
    )
    return [method_of(row) for row in await tx.rows(statement)]


async def find_next_month(tx: db.Tx, *, clock_id: ClockId, after: int) -> int | None:
    """Return the next month after one in which a card of a test clock's customers expires unwarned, or None."""
    found: int | None = await tx.value(
        sa.select(sa.func.min(_expiry))
        .join(customer, customer.c.customer_id == _METHOD.customer_id)
        .where(customer.c.clock_id == clock_id, *_UNWARNED, _expiry > after)
    )
    return found
