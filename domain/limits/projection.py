"""Where a period's usage or cost is heading: linear over the time that has passed (SEMANTICS 5.7 and 9)."""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec

from domain.kernel.period import Period
from domain.plans.exact import EXACT

# Less time than this says nothing about a month.
FIRST_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def projected(used: Fraction, period: Period, at: datetime) -> Fraction | None:
    """Return what a period will have come to at its end at the present rate; exact, in the unit of `used`.

    None in the period's first 24 hours. Once the period is over it is what was used.
    """
    elapsed = min(at, period.end) - period.start
    if elapsed < FIRST_DAY:
        return None
    return used * Fraction(period.length // _MICROSECOND, elapsed // _MICROSECOND)


class Pace(msgspec.Struct, frozen=True, gc=False):
    """What was used, and how far a limit is ahead of it, as ratios of whole numbers: made once for many instants.

    `ahead` is the limit over what was used; None where there is no limit, where it is reached, and with nothing used.
    """

    used: tuple[int, int]
    ahead: tuple[int, int] | None


def pace_of(used: Decimal, limit: Decimal | None = None) -> Pace:
    """Return what a course asks of usage."""
    above, below = used.as_integer_ratio()
    if limit is None or used >= limit or used <= 0:
        return Pace((above, below), None)
    most, of = limit.as_integer_ratio()
    return Pace((above, below), (most * below, of * above))


class Course(msgspec.Struct, frozen=True, gc=False):
    """How far a period has come: where its usage is heading in whole numbers, for what is shown again and again."""

    start: datetime
    whole: int
    passed: int

    def projected(self, pace: Pace, digits: int) -> Decimal:
        """Return what `projected` does, cut after some digits."""
        above, below = pace.used
        return Decimal(above * self.whole * 10**digits // (below * self.passed)).scaleb(-digits, EXACT)

    def reaches_at(self, pace: Pace) -> datetime | None:
        """Return what `reaches_at` does."""
        if pace.ahead is None:
            return None
        limit, used = pace.ahead
        # The limit is ahead by this share of what has passed, rounded up to the microsecond.
        ahead = -(-self.passed * limit // used)
        return self.start + ahead * _MICROSECOND if ahead < self.whole else None


def course_of(period: Period, at: datetime) -> Course | None:
    """Return how far a period has come; None in its first 24 hours."""
    elapsed = min(at, period.end) - period.start
    if elapsed < FIRST_DAY:
        return None
    return Course(period.start, period.length // _MICROSECOND, elapsed // _MICROSECOND)


def reaches_at(used: Fraction, limit: Fraction | None, period: Period, at: datetime) -> datetime | None:
    """Return when usage will reach a limit at the present rate, to the microsecond.

    None in the first 24 hours, without a limit, with a limit that is reached already, and where the period ends first.
    """
    passed = min(at, period.end) - period.start
    if limit is None or passed < FIRST_DAY or used >= limit:
        return None
    # Compared crosswise: what is expected at the end is what was used times the whole over what has passed.
    if used * (period.length // _MICROSECOND) < limit * (passed // _MICROSECOND):
        return None
    # Where the end of the period is expected above the limit, something was used and the limit is on the way.
    elapsed = (at - period.start) // _MICROSECOND
    reaches = period.start + math.ceil(elapsed * limit / used) * _MICROSECOND
    return reaches if reaches in period else None
