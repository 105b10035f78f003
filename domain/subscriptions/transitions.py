"""What may happen to a subscription in each status, and what it then is: one table, and why all else is refused."""

from collections.abc import Mapping
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.subscriptions.subscription import Status


class Event(StrEnum):
    """What may happen to a subscription."""

    FIRST_PAYMENT = "first_payment"
    LAPSE = "lapse"
    TRIAL_OVER = "trial_over"
    TRIAL_UNPAID = "trial_unpaid"
    PAYMENT_FAILED = "payment_failed"
    DEBTS_CLEARED = "debts_cleared"
    RETRIES_EXHAUSTED = "retries_exhausted"
    RENEW = "renew"
    CHANGE = "change"
    ASK_CANCEL = "ask_cancel"
    UNDO_CANCEL = "undo_cancel"
    END = "end"
    ASK_PAUSE = "ask_pause"
    UNDO_PAUSE = "undo_pause"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(eq=False)
class TransitionRefused(DomainError):
    """The subscription cannot be changed like that: {why}."""

    code = "transition_refused"
    kind = Kind.CONFLICT
    why: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot happen in a status, as the end of a sentence for the customer."""

    why: str


_INCOMPLETE, _TRIALING, _ACTIVE = Status.INCOMPLETE, Status.TRIALING, Status.ACTIVE
_PAST_DUE, _PAUSED, _UNPAID, _CANCELED = Status.PAST_DUE, Status.PAUSED, Status.UNPAID, Status.CANCELED

_BEFORE_PAYMENT = Refusal("its first payment is not done")
_ENDED = Refusal("it has ended; subscribe again")
_IN_TRIAL = Refusal("it is in its trial; cancel it, or wait for the trial's end")
_OWES = Refusal("an invoice is overdue; pay it first")
_IS_PAUSED = Refusal("it is paused; resume it first")
_NOT_PAUSED = Refusal("it is not paused")
_NOT_IN_TRIAL = Refusal("it is not in a trial")
_WAS_PAID = Refusal("its first payment is done")

# What each event makes of each status; a Refusal says why it cannot happen there. An event that comes from outside and
# may come late, such as the news of a payment, leaves alone what it no longer concerns.
TABLE: Mapping[Event, Mapping[Status, Status | Refusal]] = {
    Event.FIRST_PAYMENT: {
        _INCOMPLETE: _ACTIVE,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: _PAUSED,
        _UNPAID: _UNPAID,
        _CANCELED: _CANCELED,
    },
    Event.LAPSE: {
        _INCOMPLETE: _CANCELED,
        _TRIALING: _WAS_PAID,
        _ACTIVE: _WAS_PAID,
        _PAST_DUE: _WAS_PAID,
        _PAUSED: _WAS_PAID,
        _UNPAID: _WAS_PAID,
        _CANCELED: _CANCELED,
    },
    Event.TRIAL_OVER: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _ACTIVE,
        _ACTIVE: _NOT_IN_TRIAL,
        _PAST_DUE: _NOT_IN_TRIAL,
        _PAUSED: _NOT_IN_TRIAL,
        _UNPAID: _NOT_IN_TRIAL,
        _CANCELED: _ENDED,
    },
    Event.TRIAL_UNPAID: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _PAUSED,
        _ACTIVE: _NOT_IN_TRIAL,
        _PAST_DUE: _NOT_IN_TRIAL,
        _PAUSED: _NOT_IN_TRIAL,
        _UNPAID: _NOT_IN_TRIAL,
        _CANCELED: _ENDED,
    },
    Event.PAYMENT_FAILED: {
        _INCOMPLETE: _INCOMPLETE,
        _TRIALING: _TRIALING,
        _ACTIVE: _PAST_DUE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: _PAUSED,
        _UNPAID: _UNPAID,
        _CANCELED: _CANCELED,
    },
    Event.DEBTS_CLEARED: {
        _INCOMPLETE: _INCOMPLETE,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _ACTIVE,
        _PAUSED: _PAUSED,
        _UNPAID: _ACTIVE,
        _CANCELED: _CANCELED,
    },
    Event.RETRIES_EXHAUSTED: {
        _INCOMPLETE: _INCOMPLETE,
        _TRIALING: _TRIALING,
        _ACTIVE: _UNPAID,
        _PAST_DUE: _UNPAID,
        _PAUSED: _PAUSED,
        _UNPAID: _UNPAID,
        _CANCELED: _CANCELED,
    },
    Event.RENEW: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: _IS_PAUSED,
        _UNPAID: _UNPAID,
        _CANCELED: _ENDED,
    },
    Event.CHANGE: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: _IS_PAUSED,
        _UNPAID: _OWES,
        _CANCELED: _ENDED,
    },
    Event.ASK_CANCEL: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: Refusal("it is paused, so nothing is paid that it could run to the end of; cancel it now"),
        _UNPAID: _UNPAID,
        _CANCELED: _CANCELED,
    },
    Event.UNDO_CANCEL: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: _PAUSED,
        _UNPAID: _UNPAID,
        _CANCELED: _ENDED,
    },
    Event.END: {
        _INCOMPLETE: _CANCELED,
        _TRIALING: _CANCELED,
        _ACTIVE: _CANCELED,
        _PAST_DUE: _CANCELED,
        _PAUSED: _CANCELED,
        _UNPAID: _CANCELED,
        _CANCELED: _CANCELED,
    },
    Event.ASK_PAUSE: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _IN_TRIAL,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _OWES,
        _PAUSED: _PAUSED,
        _UNPAID: _OWES,
        _CANCELED: _ENDED,
    },
    Event.UNDO_PAUSE: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _TRIALING,
        _ACTIVE: _ACTIVE,
        _PAST_DUE: _PAST_DUE,
        _PAUSED: _IS_PAUSED,
        _UNPAID: _UNPAID,
        _CANCELED: _ENDED,
    },
    Event.PAUSE: {
        _INCOMPLETE: _BEFORE_PAYMENT,
        _TRIALING: _IN_TRIAL,
        _ACTIVE: _PAUSED,
        _PAST_DUE: _OWES,
        _PAUSED: _PAUSED,
        _UNPAID: _OWES,
        _CANCELED: _ENDED,
    },
    Event.RESUME: {
        _INCOMPLETE: _NOT_PAUSED,
        _TRIALING: _NOT_PAUSED,
        _ACTIVE: _NOT_PAUSED,
        _PAST_DUE: _NOT_PAUSED,
        _PAUSED: _ACTIVE,
        _UNPAID: _NOT_PAUSED,
        _CANCELED: _ENDED,
    },
}


def after(status: Status, event: Event) -> Status:
    """Return what an event makes of a status. Raises TransitionRefused, which says why it cannot happen."""
    found = TABLE[event][status]
    if isinstance(found, Refusal):
        raise TransitionRefused(found.why)
    return found
