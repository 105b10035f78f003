"""Statements over the ends of all customers' subscriptions; the table is the slice's own."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain import db
from domain.customers.store import Sight
from domain.kernel.ids import SubscriptionId
from domain.statement import Row, within
from domain.subscriptions.leaving.leaving import Wanted
from domain.subscriptions.store import subscription

_own = subscription.c
_ENDS_AT = sa.func.coalesce(_own.ended_at, _own.cancel_at).label("ends_at")
# One that was never paid never ran, and nobody left.
_LEFT = sa.and_(
    _own.canceled_at.is_not(None),
    sa.or_(_own.ended_at.is_(None), _own.ended_at > _own.started_at),
)


async def list_leaving(
    tx: db.Tx, wanted: Wanted, *, sight: Sight, before: SubscriptionId | None, limit: int
) -> Sequence[Row]:
    """Return ends in sight, of the subscriptions made last first; `before` is the id of the last one seen."""
    statement = (
        sa.select(
            _own.customer_id,
            _own.id,
            _own.plan_version_id,
            _own.canceled_at,
            _own.cancel_reason,
            _own.cancel_feedback,
            _ENDS_AT,
        )
        .where(*_conditions(wanted, sight))
        .order_by(_own.id.desc())
        .limit(limit)
    )
    return await tx.rows(statement if before is None else statement.where(_own.id < before))


async def count_reasons(tx: db.Tx, wanted: Wanted, *, sight: Sight) -> dict[str | None, int]:
    """Count ends in sight by the reason that was said, the most frequent first."""
    number = sa.func.count().label("number")
    statement = sa.select(_own.cancel_reason, number).where(*_conditions(wanted, sight)).group_by(_own.cancel_reason)
    rows = await tx.rows(statement.order_by(number.desc(), _own.cancel_reason))
    return {row.cancel_reason: row.number for row in rows}


def _conditions(wanted: Wanted, sight: Sight) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [_LEFT]
    if sight.scope is not None:
        found.append(_own.customer_id == sight.scope)
    found += [_own.environment == each for each in (sight.environment, wanted.environment) if each is not None]
    return found + within(_own.canceled_at, wanted.asked)
