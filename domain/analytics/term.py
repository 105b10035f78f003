"""What a contract over a fixed term is worth a month, and the calendar months that figures are shown by."""

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval, boundary, period, period_number


def month_of(at: datetime, zone: str) -> Period:
    """Return the calendar month of a zone that an instant lies in."""
    local = at.astimezone(ZoneInfo(zone))
    first = datetime(local.year, local.month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return period(first, zone, Interval.MONTH, 0)


def term_mrr(total: Fraction, term: Period, zone: str) -> Fraction:
    """Return what a contract over a fixed term is worth a month, exact and in the unit of its total.

    A term of whole months from its own start is divided by them. Any other is worth what its whole calendar months
    hold, once the incomplete months at its ends have taken their share of its time; 0 where there is no whole month.
    """
    months = period_number(term.start, zone, Interval.MONTH, term.end)
    if months and boundary(term.start, zone, Interval.MONTH, months) == term.end:
        return total / months
    first, last = incomplete(term, zone)
    inside = 1 - sum((part.share_of(term) for part in (first, last) if part is not None), Fraction(0))
    start, end = first.end if first else term.start, last.start if last else term.end
    whole = period_number(start, zone, Interval.MONTH, end) if start < end else 0
    return total * inside / whole if whole else Fraction(0)


def incomplete(term: Period, zone: str) -> tuple[Period | None, Period | None]:
    """Return the stretches at both ends of a term that are no whole calendar month of a zone.

    A term inside one month is such a stretch at its start, and has none at its end.
    """
    first, last = month_of(term.start, zone), month_of(term.end, zone)
    if first == last:
        return term, None
    return (
        None if first.start == term.start else Period(term.start, first.end),
        None if last.start == term.end else Period(last.start, term.end),
    )
