"""How a subscription moves from state to state. Each function returns what it becomes, or what it was."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import InvoiceId
from domain.subscriptions.schedule import Interval, next_period
from domain.subscriptions.subscription import Source, Status, Subscription
from domain.subscriptions.transitions import Event, TransitionRefused, after

FEEDBACK_LENGTH_MAX = 2_000
# Events are accepted for 35 days: a day later nothing more can be counted for what has ended.
SETTLED_AFTER = timedelta(days=36)
# A date further ahead is more likely a slip of the pen than a contract.
CANCEL_AHEAD_MAX = timedelta(days=5 * 366)


class CancelReason(StrEnum):
    """Why a subscription ends, as chosen from a list; free text is feedback."""

    TOO_EXPENSIVE = "too_expensive"
    MISSING_FEATURES = "missing_features"
    SWITCHED = "switched"
    UNUSED = "unused"
    SUPPORT = "support"
    TOO_COMPLEX = "too_complex"
    QUALITY = "quality"
    OTHER = "other"


@dataclass(eq=False)
class FeedbackMalformed(DomainError):
    """Feedback is text of 1 to {length_max} characters."""

    code = "feedback_malformed"
    kind = Kind.INVALID
    length_max: int


def cancel(
    before: Subscription,
    now: datetime,
    *,
    at_period_end: bool,
    at: datetime | None = None,
    reason: CancelReason | None = None,
    feedback: bytes | None = None,
) -> Subscription:
    """Stop at a date, at the end of the paid fee period, or now. `feedback` is sealed.

    `at` is a later instant, at most CANCEL_AHEAD_MAX ahead, and goes before the rest; another date replaces a pending
    end. Without one, what is pending stays as it is, but can still be brought forward to now. What has ended stays as
    it is. Raises TransitionRefused.
    """
    _need_own(before)
    is_now = at is None and not at_period_end
    after(before.status, Event.END if is_now else Event.ASK_CANCEL)
    if before.status is Status.CANCELED or (at is None and at_period_end and before.cancel_at is not None):
        return before
    asked = replace(
        before,
        cancel_at=before.fee_period.end if at is None else _date_ahead(at, now),
        canceled_at=before.canceled_at or now,
        cancel_reason=reason or before.cancel_reason,
        cancel_feedback=feedback or before.cancel_feedback,
    )
    return end(asked, now) if is_now else asked


def _date_ahead(at: datetime, now: datetime) -> datetime:
    """Return the date of an end. Raises TransitionRefused for one that has passed or lies too far ahead."""
    if at <= now:
        raise TransitionRefused("the date has passed; end it now instead")
    if at > now + CANCEL_AHEAD_MAX:
        raise TransitionRefused(f"the date lies more than {CANCEL_AHEAD_MAX.days} days ahead")
    return at


def undo_cancel(before: Subscription, now: datetime) -> Subscription:
    """Renew again: forget a pending cancel. Without one nothing changes. Raises TransitionRefused."""
    _need_own(before)
    after(before.status, Event.UNDO_CANCEL)
    if before.cancel_at is not None and before.cancel_at <= now:
        raise TransitionRefused("it has ended; subscribe again")
    if before.cancel_at is None:
        return before
    return replace(before, cancel_at=None, canceled_at=None, cancel_reason=None, cancel_feedback=None)


def end(before: Subscription, at: datetime) -> Subscription:
    """End at an instant, which is no longer part of it. What has ended stays as it is.

    What we bill is looked at once more when nothing can arrive late any more.
    """
    if before.status is Status.CANCELED:
        return before
    return replace(
        before,
        status=after(before.status, Event.END),
        cancel_at=at,
        canceled_at=before.canceled_at or at,
        ended_at=at,
        settles_at=at + SETTLED_AFTER if before.source is Source.TOLLGATE else None,
    )


def settle(before: Subscription) -> Subscription:
    """Note that the last look at what arrived late is done."""
    return replace(before, settles_at=None)


def advance(before: Subscription) -> Subscription:
    """Go on to the next usage period, and to the next fee period where the present one is over.

    The fee period of a subscription that Stripe bills follows Stripe, not our grid.
    """
    after(before.status, Event.RENEW)
    period = next_period(before.anchor_at, before.zone, Interval.MONTH, before.period)
    fee_period = before.fee_period
    if before.source is Source.TOLLGATE and period.start >= fee_period.end:
        fee_period = next_period(before.anchor_at, before.zone, before.interval, fee_period)
    return replace(before, period=period, fee_period=fee_period)


def payment_failed(before: Subscription, invoice_id: InvoiceId) -> Subscription:
    """Note an open invoice whose attempt failed: an active subscription becomes past due. Safe to repeat."""
    if before.status is Status.CANCELED or invoice_id in before.failed_invoice_ids:
        return before
    return replace(
        before,
        status=after(before.status, Event.PAYMENT_FAILED),
        failed_invoice_ids=(*before.failed_invoice_ids, invoice_id),
    )


def payment_cleared(before: Subscription, invoice_id: InvoiceId) -> Subscription:
    """Note that an invoice is no longer owed: past due becomes active once no failed one is left. Safe to repeat."""
    if before.status is Status.CANCELED or invoice_id not in before.failed_invoice_ids:
        return before
    left = tuple(each for each in before.failed_invoice_ids if each != invoice_id)
    status = before.status if left else after(before.status, Event.DEBTS_CLEARED)
    return replace(before, status=status, failed_invoice_ids=left)


def give_up(before: Subscription) -> Subscription:
    """Note that nobody asks for an unpaid invoice any more: past due becomes unpaid. Safe to repeat."""
    return replace(before, status=Status.UNPAID) if before.status is Status.PAST_DUE else before


def check_feedback(text: str) -> str:
    """Return free text without surrounding space. Raises FeedbackMalformed."""
    trimmed = text.strip()
    if not 1 <= len(trimmed) <= FEEDBACK_LENGTH_MAX or "\0" in trimmed or not _is_unicode(trimmed):
        raise FeedbackMalformed(FEEDBACK_LENGTH_MAX)
    return trimmed


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which no database stores."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def _need_own(before: Subscription) -> None:
    if before.source is Source.STRIPE:
        raise TransitionRefused("Stripe bills it, so it is changed there")
