"""Where what is shown is heading at an instant. What time does not move stays the very same."""

from decimal import Decimal

from api.graphql.scalars import Cost, exact
from api.graphql.usage import Limit
from domain.limits.projection import Course, Pace
from domain.plans.provider_price import LIST_CURRENCY

PROJECTED_DIGITS = 6


def limit_at(limit: Limit, pace: Pace | None, course: Course | None) -> Limit:
    """Show a limit as of another instant. A level carries over and is not projected: it has no pace."""
    projected, reaches_at = None, None
    if pace is not None and course is not None:
        projected, reaches_at = _projected(pace, course), course.reaches_at(pace)
    if limit.projected == projected and limit.reaches_at == reaches_at:
        return limit
    return Limit(
        key=limit.key,
        description=limit.description,
        policy=limit.policy,
        limit=limit.limit,
        used=limit.used,
        percent=limit.percent,
        state=limit.state,
        unit=limit.unit,
        resets_at=limit.resets_at,
        projected=projected,
        reaches_at=reaches_at,
    )


def cost_at(before: Cost | None, pace: Pace | None, course: Course | None) -> Cost | None:
    """Return what usage will have cost at the end of the period, as of another instant than what was shown before."""
    if pace is None or course is None:
        return None
    amount = _projected(pace, course)
    return before if before is not None and before.amount == amount else Cost(amount=amount, currency=LIST_CURRENCY)


def _projected(pace: Pace, course: Course) -> Decimal:
    return exact(course.projected(pace, PROJECTED_DIGITS))
