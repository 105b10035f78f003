"""How a subscription moves from state to state. Each function returns what it becomes, or what it was."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import InvoiceId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval, next_period, period_containing
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


class Step(StrEnum):
    """What is due of a subscription by itself."""

    RENEW = "renew"
    MOVE = "move"
    END = "end"
    LEAVE_TRIAL = "leave_trial"
    PAUSE = "pause"
    RESUME = "resume"
    LAPSE = "lapse"


def next_step(before: Subscription) -> Step:
    """Return what becomes of it at its `due_at`. Of several at one instant an end goes first, and a renewal last."""
    at = before.due_at
    assert at is not None, "something is due of it"
    if before.source is Source.STRIPE:
        return Step.RENEW
    if before.status is Status.INCOMPLETE:
        return Step.LAPSE
    if before.cancel_at is not None and before.cancel_at <= at:
        return Step.END
    if before.status is Status.PAUSED:
        return Step.RESUME
    trial = before.trial_ends_at if before.status is Status.TRIALING else None
    ahead = ((trial, Step.LEAVE_TRIAL), (before.moves_at, Step.MOVE), (before.pause_at, Step.PAUSE))
    return next((step for due, step in ahead if due == at), Step.RENEW)


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
    need_own(before)
    is_now = at is None and not at_period_end
    after(before.status, Event.END if is_now else Event.ASK_CANCEL)
    if before.status is Status.CANCELED or (at is None and at_period_end and before.cancel_at is not None):
        return before
    asked = replace(
        before,
        cancel_at=before.fee_period.end if at is None else _date_ahead(at, now),
        canceled_at=before.canceled_at or now,
        paid_until=before.paid_until if at is None else _paid_until(before, at),
        cancel_reason=reason or before.cancel_reason,
        cancel_feedback=feedback or before.cancel_feedback,
    )
    return end(replace(asked, cancel_at=before.cancel_at), now) if is_now else asked


def _date_ahead(at: datetime, now: datetime) -> datetime:
    """Return the date of an end. Raises TransitionRefused for one that has passed or lies too far ahead."""
    if at <= now:
        raise TransitionRefused("the date has passed; end it now instead")
    if at > now + CANCEL_AHEAD_MAX:
        raise TransitionRefused(f"the date lies more than {CANCEL_AHEAD_MAX.days} days ahead")
    return at


def _paid_until(before: Subscription, ends_at: datetime) -> datetime | None:
    """Return how far the present fee was billed, where an end that was known by then is now to come sooner.

    Nothing of it goes back by that alone: whoever ends it says what becomes of paid time that is left unused.
    """
    asked_at, known = before.canceled_at, before.cancel_at
    if asked_at is None or known is None or asked_at > before.fee_period.start:
        return before.paid_until
    billed = max(min(known, before.fee_period.end), before.paid_until or before.fee_period.start)
    return billed if before.fee_period.start <= ends_at < billed else before.paid_until


def undo_cancel(before: Subscription, now: datetime) -> Subscription:
    """Renew again: forget a pending cancel. Without one nothing changes. Raises TransitionRefused."""
    need_own(before)
    after(before.status, Event.UNDO_CANCEL)
    if before.cancel_at is not None and before.cancel_at <= now:
        raise TransitionRefused("it has ended; subscribe again")
    if before.cancel_at is None:
        return before
    return replace(before, cancel_at=None, canceled_at=None, cancel_reason=None, cancel_feedback=None, paid_until=None)


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
        paid_until=_paid_until(before, at),
        expires_at=None,
        settles_at=at + SETTLED_AFTER if before.source is Source.TOLLGATE else None,
    )


def lapse(before: Subscription) -> Subscription:
    """End one whose first payment has not come, at its own start: it never ran, so nothing is owed for it.

    Raises TransitionRefused for one that runs.
    """
    after(before.status, Event.LAPSE)
    return end(before, before.started_at)


def wait_longer(before: Subscription) -> Subscription:
    """Have one wait an hour more for its first payment, which is under way."""
    assert before.expires_at is not None, "it waits for its first payment"
    return replace(before, expires_at=before.expires_at + timedelta(hours=1))


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
    in_trial = before.status is Status.TRIALING
    if before.source is Source.TOLLGATE and period.start >= fee_period.end and not in_trial:
        fee_period = next_period(before.anchor_at, before.zone, before.interval, fee_period)
        if before.moves_at is not None and before.moves_at in fee_period:
            fee_period = Period(fee_period.start, before.moves_at)
    return replace(before, period=period, fee_period=fee_period)


def trial_over(before: Subscription) -> Subscription:
    """Go from the trial into the first paid period, which begins where the trial ends.

    What failed to be paid meanwhile makes it past due. Raises TransitionRefused.
    """
    at = before.trial_ends_at
    status = after(before.status, Event.TRIAL_OVER)
    assert at is not None, "a trial has an end"
    if before.failed_invoice_ids:
        status = after(status, Event.PAYMENT_FAILED)
    return begun(replace(before, status=status), at)


def begun(before: Subscription, at: datetime) -> Subscription:
    """Put it into the usage period and the fee period that contain an instant; a fee period may begin there short."""
    period = period_containing(before.anchor_at, before.zone, Interval.MONTH, at)
    whole = period_containing(before.anchor_at, before.zone, before.interval, at)
    return replace(before, period=period, fee_period=Period(at, whole.end))


def first_payment(before: Subscription) -> Subscription:
    """Note that the first invoice is paid: what waited for that runs. Any other stays as it is."""
    if before.status is not Status.INCOMPLETE:
        return before
    return replace(before, status=after(before.status, Event.FIRST_PAYMENT), expires_at=None)


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
    """Note that an invoice is no longer owed: past due becomes active once no failed one is left. Safe to repeat.

    One that waited for its first payment runs.
    """
    before = first_payment(before)
    if before.status is Status.CANCELED or invoice_id not in before.failed_invoice_ids:
        return before
    left = tuple(each for each in before.failed_invoice_ids if each != invoice_id)
    status = before.status if left else after(before.status, Event.DEBTS_CLEARED)
    return replace(before, status=status, failed_invoice_ids=left)


def give_up(before: Subscription) -> Subscription:
    """Note that nobody asks for an unpaid invoice any more: past due becomes unpaid. Safe to repeat."""
    return replace(before, status=after(before.status, Event.RETRIES_EXHAUSTED))


def check_feedback(text: str) -> str:
    """Return free text without surrounding space. Raises FeedbackMalformed."""
    trimmed = text.strip()
    if not 1 <= len(trimmed) <= FEEDBACK_LENGTH_MAX or "\0" in trimmed or not _is_unicode(trimmed):
        raise FeedbackMalformed(FEEDBACK_LENGTH_MAX)
    return trimmed


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which no database stores."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def need_own(before: Subscription) -> None:
    """Refuse what Stripe bills: it is changed there. Raises TransitionRefused."""
    if before.source is Source.STRIPE:
        raise TransitionRefused("Stripe bills it, so it is changed there")
