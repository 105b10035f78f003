"""What a failed payment leads to: retries by a calendar, and access by another one (SEMANTICS 8.3 and 8.4).

Both calendars are data, count elapsed time, and are asked with business time.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.dunning.cap import CAPS, Cap
from domain.kernel.values import dataclass
from domain.payments.attempt import COUNTED, Trigger
from domain.payments.declines import Decline, DeclineClass
from domain.subscriptions.subscription import AccessState, Status

BANK_DEBIT = "us_bank_account"
_INSUFFICIENT_FUNDS = "insufficient_funds"


class AfterLast(StrEnum):
    """What becomes of a subscription once the last retry failed."""

    UNPAID = "unpaid"
    CANCEL = "cancel"
    FALL_BACK = "fall_back"  # it ends, and the free plan follows
    WRITE_OFF = "write_off"  # it ends, and the invoice is a bad debt


class Mail(StrEnum):
    """What a customer is written about on the way."""

    PAYMENT_FAILED = "payment_failed"
    RETRY_FAILED = "retry_failed"
    ACCESS_RESTRICTED = "access_restricted"
    LAST_NOTICE = "last_notice"
    ENDED = "ended"


_AFTER_LAST = {
    AfterLast.UNPAID: Status.UNPAID,
    AfterLast.CANCEL: Status.CANCELED,
    AfterLast.FALL_BACK: Status.CANCELED,
    AfterLast.WRITE_OFF: Status.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How long and how often is asked for money. Days are elapsed time, each at least 1.

    `retry_days` are counted from the attempt before, `grace_days` from the first failure. `debit_retries_max` bounds
    the retries of a bank debit. `local_hour`, 0 to 23, moves a retry to that hour of its own date in the customer's
    zone; None leaves it where it is. `last_notice_days` is how long before the last day the last notice is mailed; None
    sends none. `mails` are those that are sent. `caps` bound how often a card is charged, by its network.
    An invoice that was sent and not charged is reminded of `due_reminder_days` before its due date and
    `overdue_reminder_days` after it; its grace and its last day count from the due date.
    """

    retry_days: tuple[int, ...] = (2, 5, 7)
    grace_days: int = 7
    debit_retries_max: int = 2
    local_hour: int | None = None
    after_last: AfterLast = AfterLast.UNPAID
    last_notice_days: int | None = 2
    mails: frozenset[Mail] = frozenset(Mail)
    caps: tuple[Cap, ...] = CAPS
    due_reminder_days: tuple[int, ...] = (7, 1)
    overdue_reminder_days: tuple[int, ...] = (3, 10)


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt that has ended, as far as the calendar looks at it."""

    trigger: Trigger
    is_paid: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """The attempt that failed last, on a method of a kind in the gateway's word.

    `counted` are the failures so far that use up retries, this one included, of which the first was at
    `first_failed_at`. `on_method` are those on this very method; None: all of them.
    """

    failed_at: datetime
    first_failed_at: datetime
    counted: int
    decline: Decline
    method_kind: str = "card"
    on_method: int | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """What follows a failure: a retry, or waiting for the customer until an instant, or the end.

    `status` is what the subscription becomes.
    """

    status: Status
    next_attempt_at: datetime | None = None
    waits_until: datetime | None = None

    @property
    def gives_up(self) -> bool:
        """Whether neither a retry nor a wait follows."""
        return self.next_attempt_at is None and self.waits_until is None


def after_failure(policy: Policy, failure: Failure, zone: str) -> Next:
    """Decide what follows a failed attempt, in a customer's zone.

    A soft decline is retried. Any other one is not retried on the same method: the calendar runs on to the day of its
    last retry, in which a new method or the customer's confirmation is tried at once.
    """
    if failure.counted > len(policy.retry_days):
        return _given_up(policy)
    if may_retry(policy, failure):
        days = policy.retry_days[max(failure.counted, 1) - 1]
        return Next(Status.PAST_DUE, next_attempt_at=_retry_at(policy, failure.failed_at, days, zone))
    last_at = last_retry_at(policy, failure.first_failed_at, zone)
    return Next(Status.PAST_DUE, waits_until=last_at) if failure.failed_at < last_at else _given_up(policy)


def may_retry(policy: Policy, failure: Failure) -> bool:
    """Whether the same method may be charged again by the calendar.

    A bank debit is sent again for insufficient funds only, and not as often as a card.
    """
    if failure.decline.kind is not DeclineClass.SOFT:
        return False
    if failure.method_kind != BANK_DEBIT:
        return True
    is_for_funds = _INSUFFICIENT_FUNDS in {failure.decline.code, failure.decline.decline_code}
    tries = failure.counted if failure.on_method is None else failure.on_method
    return is_for_funds and tries <= policy.debit_retries_max


def asks_for_method(decline: Decline) -> bool:
    """Whether only another method, or a corrected one, can help after a decline."""
    return decline.kind in {DeclineClass.HARD, DeclineClass.DATA}


def retries_of(policy: Policy, first_failed_at: datetime, zone: str) -> tuple[datetime, ...]:
    """Return when a payment is retried if every attempt fails and none is late: by default after 2, 7 and 14 days."""
    found, at = [], first_failed_at
    for days in policy.retry_days:
        at = _retry_at(policy, at, days, zone)
        found.append(at)
    return tuple(found)


def last_retry_at(policy: Policy, first_failed_at: datetime, zone: str) -> datetime:
    """Return the instant of the last retry by the calendar; that of the failure where the policy has no retries."""
    return max(retries_of(policy, first_failed_at, zone), default=first_failed_at)


def access(policy: Policy, first_failed_at: datetime, at: datetime, *, given_up_at: datetime | None) -> AccessState:
    """Return what a customer may use while a payment is owed; the grace is over at its last instant."""
    return access_at(grace_end(policy, first_failed_at), at, given_up_at=given_up_at)


def grace_end(policy: Policy, first_failed_at: datetime) -> datetime:
    """Return the first instant without grace."""
    return first_failed_at + timedelta(days=policy.grace_days)


def access_at(grace_ends_at: datetime, at: datetime, *, given_up_at: datetime | None) -> AccessState:
    """Return what a customer may use while a payment is owed, when the grace may have been extended."""
    if given_up_at is not None and at >= given_up_at:
        return AccessState.SUSPENDED
    return AccessState.FULL if at < grace_ends_at else AccessState.RESTRICTED


def strictest(states: Iterable[AccessState]) -> AccessState:
    """Return the strictest of some access states; full without any."""
    return max(states, key=list(AccessState).index, default=AccessState.FULL)


def last_notice_at(policy: Policy, last_at: datetime, failed_at: datetime) -> datetime | None:
    """Return when the last notice before a case's last day is mailed; None where that is past, or none is wanted."""
    if policy.last_notice_days is None:
        return None
    at = last_at - timedelta(days=policy.last_notice_days)
    return at if at > failed_at else None


def counted_failures(tries: Iterable[Try]) -> int:
    """Count the failed attempts that use up retries, in the order of time; a payment that succeeded clears all."""
    counted = 0
    for each in tries:
        if each.is_paid:
            counted = 0
        elif each.trigger in COUNTED:
            counted += 1
    return counted


def _given_up(policy: Policy) -> Next:
    return Next(_AFTER_LAST[policy.after_last])


def _retry_at(policy: Policy, failed_at: datetime, days: int, zone: str) -> datetime:
    at = failed_at + timedelta(days=days)
    if policy.local_hour is None:
        return at
    # With fold=0 an hour that a clock change skips is read with the offset before it, which moves it forward.
    local = at.astimezone(ZoneInfo(zone))
    return local.replace(hour=policy.local_hour, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
