"""Where usage stands against one limit."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from domain.kernel.values import dataclass
from domain.limits.policy import Limit, bound, limit_of
from domain.plans.plan import Entitlement, Policy

# Percentages are cut after this many digits, never rounded up: 100 means that the limit is reached.
_PERCENT_DIGITS = 6


class LimitState(StrEnum):
    """`at_limit`: used equals the limit. `over_soft_limit`: above it and tolerated. `blocked`: above the bound."""

    OK = "ok"
    AT_LIMIT = "at_limit"
    OVER_SOFT_LIMIT = "over_soft_limit"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit beside what counts against it, both in `unit`; `limit` None is unlimited.

    `percent` is None without a limit and with a limit of 0. `resets_at` is None for a level, which carries over.
    """

    key: str
    description: str
    policy: Policy
    limit: Decimal | None
    used: Decimal
    percent: Decimal | None
    state: LimitState
    unit: str
    resets_at: datetime | None


def status_of(
    entitlement: Entitlement, used: Decimal, *, unit: str, resets_at: datetime | None, in_grace: bool = True
) -> LimitStatus:
    """Compare what was used with an entitlement of the kind limit.

    A soft limit is read as in its hours of grace, unless told that they are over.
    """
    limit = limit_of(entitlement)
    return LimitStatus(
        entitlement.key,
        entitlement.description,
        limit.policy,
        entitlement.amount,
        used,
        percent_of(used, entitlement.amount),
        state_of(limit, Fraction(used), bound(limit, in_grace=in_grace)),
        unit,
        resets_at,
    )


def percent_of(used: Decimal, limit: Decimal | None) -> Decimal | None:
    """Return used in percent of the limit: 800 of 5,000 is 16. None where there is nothing to compare with."""
    if not limit:
        return None
    (above, below), (most, of) = used.as_integer_ratio(), limit.as_integer_ratio()
    return Decimal(above * of * 10 ** (2 + _PERCENT_DIGITS) // (below * most)).scaleb(-_PERCENT_DIGITS)


def state_of(limit: Limit, used: Fraction, upto: Fraction | None) -> LimitState:
    """Say where usage stands, given the bound that holds at the time; None: nothing is ever refused."""
    if limit.amount is None or used < limit.amount:
        return LimitState.OK
    if used == limit.amount:
        return LimitState.AT_LIMIT
    return LimitState.OVER_SOFT_LIMIT if upto is None or used <= upto else LimitState.BLOCKED
