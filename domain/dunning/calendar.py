"""What happens by time to an invoice that was sent and not charged: reminders around its due date, and being overdue.

Days are elapsed time before or after the due date, in business time. What follows from being overdue is a dunning case.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from domain.dunning.policy import Policy
from domain.kernel.values import dataclass
from domain.payments.declines import Decline, DeclineClass

# In place of the decline of a first failure: only the customer can act.
OVERDUE = Decline(DeclineClass.CUSTOMER, "overdue")
BY_TRANSFER = "customer_balance"


class Happens(StrEnum):
    """What a day of the calendar is about."""

    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    STILL_OVERDUE = "still_overdue"


@dataclass(frozen=True, slots=True)
class Day:
    """An instant of the calendar. `days` is how far it lies from the due date, before or after it."""

    at: datetime
    what: Happens
    days: int


def calendar(policy: Policy, issued_at: datetime, due_at: datetime) -> tuple[Day, ...]:
    """Return the days of an invoice in their order. A reminder that would not come after the invoice is left out."""
    before = [Day(due_at - timedelta(days=days), Happens.DUE_SOON, days) for days in set(policy.due_reminder_days)]
    after = [
        Day(due_at + timedelta(days=days), Happens.STILL_OVERDUE, days) for days in set(policy.overdue_reminder_days)
    ]
    kept = [day for day in before if day.at > issued_at]
    return tuple(sorted([*kept, Day(due_at, Happens.OVERDUE, 0), *after], key=lambda day: day.at))


def due_now(days: Sequence[Day], *, after: datetime | None, now: datetime) -> list[Day]:
    """Return what has come since an instant, None for ever: of reminders missed together only the last is worth a mail.

    Being overdue is never left out: everything that follows counts from it.
    """
    come = [day for day in days if (after is None or after < day.at) and day.at <= now]
    return [day for day in come if day.what is Happens.OVERDUE or day is come[-1]]


def next_after(days: Sequence[Day], now: datetime) -> datetime | None:
    """Return when something happens next, or None."""
    return next((day.at for day in days if day.at > now), None)
