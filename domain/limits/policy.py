"""How far usage may go: a limit, its policy, and the hours of grace of a soft one (SEMANTICS 5.1 and 5.2)."""

from datetime import datetime, timedelta
from fractions import Fraction

from domain.kernel.values import dataclass
from domain.plans.plan import Entitlement, Policy


@dataclass(frozen=True, slots=True)
class Limit:
    """What a usage period allows of one thing, in the unit of its meter or in the major unit of a currency.

    `amount` None is unlimited and 0 is nothing. A soft limit lets `soft_percent` of the amount (at least 100) through
    for `grace_hours` of elapsed time from the first instant above it; a hard one ends at its amount; an observed one
    has no end.
    """

    policy: Policy
    amount: Fraction | None
    soft_percent: int = 100
    grace_hours: int = 0


def limit_of(entitlement: Entitlement) -> Limit:
    """Return the limit that a plan version grants; the entitlement is of the kind limit."""
    assert entitlement.policy is not None, "a limit has a policy"
    return Limit(
        entitlement.policy,
        None if entitlement.amount is None else Fraction(entitlement.amount),
        entitlement.soft_percent or 100,
        entitlement.grace_hours or 0,
    )


def grace_ends_at(limit: Limit, passed_at: datetime) -> datetime:
    """Return the first instant without grace for a limit that usage first passed at an instant of this period."""
    return passed_at + timedelta(hours=limit.grace_hours)


def is_in_grace(limit: Limit, passed_at: datetime | None, at: datetime) -> bool:
    """Whether a soft limit still tolerates more at an instant; the grace is over at its last instant.

    `passed_at` is the first instant of this period with more than the limit, also where usage has fallen back since:
    the hours run once. None means never, so that they would begin now.
    """
    return limit.policy == "soft" and at < grace_ends_at(limit, at if passed_at is None else passed_at)


def bound(limit: Limit, *, in_grace: bool) -> Fraction | None:
    """Return where usage must end, not rounded; landing on it is allowed. None: nothing is ever refused."""
    if limit.amount is None or limit.policy == "observe":
        return None
    return limit.amount * limit.soft_percent / 100 if in_grace and limit.policy == "soft" else limit.amount
