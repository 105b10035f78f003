"""Pausing at the end of what is paid, and resuming with a period of its own. Pure rules."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.kernel.period import Period
from domain.subscriptions.lifecycle import need_own
from domain.subscriptions.schedule import Interval, period
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.transitions import Event, TransitionRefused, after

# A pause that is to end by itself ends within two years: longer ones are ended by hand.
PAUSE_AHEAD_MAX = timedelta(days=2 * 366)


def ask_pause(before: Subscription, now: datetime, *, resumes_at: datetime | None = None) -> Subscription:
    """Have it pause where what is paid ends; nothing is credited. `resumes_at` ends the pause by itself.

    Only an active one without a pending cancel can pause. Asking again moves `resumes_at`, also of one that is paused
    already. Raises TransitionRefused.
    """
    need_own(before)
    after(before.status, Event.ASK_PAUSE)
    if before.cancel_at is not None:
        raise TransitionRefused("its end is pending; undo the cancel first")
    if before.moves_at is not None:
        raise TransitionRefused("its bill day is going to move; keep the present one first, or pause it afterwards")
    begins_at = before.pause_at or before.fee_period.end
    if resumes_at is not None and not max(begins_at, now) < resumes_at <= now + PAUSE_AHEAD_MAX:
        raise TransitionRefused(f"a pause ends after it begins, at most {PAUSE_AHEAD_MAX.days} days ahead")
    return replace(before, pause_at=begins_at, resumes_at=resumes_at)


def undo_pause(before: Subscription) -> Subscription:
    """Forget a pause that has not begun. Without one nothing changes. Raises TransitionRefused for one that has."""
    need_own(before)
    after(before.status, Event.UNDO_PAUSE)
    return replace(before, pause_at=None, resumes_at=None)


def pause(before: Subscription) -> Subscription:
    """Begin the pause that was asked for; where an invoice is overdue by then, forget it: it hides no debt."""
    if before.status is not Status.ACTIVE:
        return undo_pause(before)
    return replace(before, status=after(before.status, Event.PAUSE))


def pause_unpaid_trial(before: Subscription) -> Subscription:
    """Pause where a trial ends and nobody can be charged. Raises TransitionRefused."""
    return replace(before, status=after(before.status, Event.TRIAL_UNPAID), pause_at=before.trial_ends_at)


def resume(before: Subscription, at: datetime) -> Subscription:
    """Run again from an instant on, which anchors both grids anew and opens a full period of each.

    What failed to be paid before makes it past due. Raises TransitionRefused.
    """
    need_own(before)
    status = after(before.status, Event.RESUME)
    if before.failed_invoice_ids:
        status = after(status, Event.PAYMENT_FAILED)
    return replace(
        before,
        status=status,
        anchor_at=at,
        running_since=at,
        period=_first(at, before.zone, Interval.MONTH),
        fee_period=_first(at, before.zone, before.interval),
        pause_at=None,
        resumes_at=None,
    )


def _first(at: datetime, zone: str, interval: Interval) -> Period:
    return period(at, zone, interval, 0)
