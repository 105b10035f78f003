"""Months that figures are asked for, and what a customer is worth against what winning one cost."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from domain.analytics import ratios
from domain.analytics.revenue.figures import Figures
from domain.analytics.term import month_of
from domain.kernel.errors import DomainError, Kind
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval, period

# The business reads its months in one zone, wherever its customers are.
ZONE = "UTC"
MONTHS_MAX = 36
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


@dataclass(eq=False)
class RevenueMalformed(DomainError):
    """The figures cannot be given: {what}."""

    code = "revenue_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(frozen=True, slots=True)
class Economics:
    """A lifetime's value, its ratio to what winning a customer cost, and after how many months that has come back.

    None where nobody can say yet: without churn there is no end of a lifetime, without a cost nothing to compare with.
    """

    lifetime_value: Fraction | None = None
    value_to_cost: Fraction | None = None
    payback_months: Fraction | None = None


def month_named(text: str) -> Period:
    """Read a calendar month such as 2026-01. Raises RevenueMalformed."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise RevenueMalformed("a month is written as 2026-01")
    return month_of(datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC), ZONE)


def name_of(month: Period) -> str:
    """Write a calendar month as 2026-01."""
    return f"{month.start:%Y-%m}"


def months_from(first: str | None, count: int, now: datetime) -> tuple[Period, ...]:
    """Return calendar months that follow one another, at most up to `now`, where the running one is cut.

    Without a first month they end with the running one. Raises RevenueMalformed.
    """
    if not 1 <= count <= MONTHS_MAX:
        raise RevenueMalformed(f"ask for 1 to {MONTHS_MAX} months")
    running = month_of(now, ZONE).start
    anchor, begin = (running, 1 - count) if first is None else (month_named(first).start, 0)
    found = (period(anchor, ZONE, Interval.MONTH, number) for number in range(begin, begin + count))
    begun = tuple(Period(each.start, min(each.end, now)) for each in found if each.start < now)
    if not begun:
        raise RevenueMalformed("the month has not begun")
    return begun


def is_whole(month: Period) -> bool:
    """Whether a month has ended: what it says of a month's churn can be compared."""
    return month_of(month.start, ZONE) == month


def economics_of(figures: Figures, margin_percent: Decimal, cost: Fraction | None) -> Economics:
    """Return what a customer of a whole month is worth; `cost` is what winning one cost then, where it was entered.

    `margin_percent` is the share of revenue, 0 to 100, that is left once the service itself is paid for.
    """
    if figures.arpu is None or not is_whole(figures.bucket):
        return Economics()
    margin = Fraction(margin_percent) / 100
    value = ratios.lifetime_value(figures.arpu, margin, figures.churn) if figures.churn is not None else None
    if cost is None:
        return Economics(value)
    return Economics(value, ratios.value_to_cost(value, cost), ratios.payback_months(cost, figures.arpu, margin))


def whole_of(months: Sequence[Period]) -> Period:
    """Return the one bucket that months which follow one another make."""
    return Period(months[0].start, months[-1].end)
