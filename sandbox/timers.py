"""What happens later by itself: debits and refunds settle, disputes come. Each timer acts once, in one transaction."""

import logging
from collections.abc import Callable

from sandbox import clock, disputes, payment_intents, refunds, waiting
from sandbox.call import Call
from sandbox.errors import StripeError
from sandbox.intents import SETTLE_PAYMENT
from sandbox.refunds import FAIL_REFUND, SETTLE_REFUND
from sandbox.store import Document, Store

BATCH = 50
LOG = logging.getLogger("sandbox")


def _settle_payment(call: Call, target: Document) -> None:
    payment_intents.settle(call, target)


def _settle_refund(call: Call, target: Document) -> None:
    refunds.settle(call, target)


def _fail_refund(call: Call, target: Document) -> None:
    refunds.fail(call, target, "expired_or_canceled_card")


def _open_dispute(call: Call, target: Document) -> None:
    disputes.opened(call, target, "fraudulent")


ACTIONS: dict[str, Callable[[Call, Document], None]] = {
    SETTLE_PAYMENT: _settle_payment,
    SETTLE_REFUND: _settle_refund,
    FAIL_REFUND: _fail_refund,
    disputes.OPEN_DISPUTE: _open_dispute,
}


def run_due(store: Store, now: float) -> int:
    """Act on the timers whose time has come and give their number; what no longer applies is dropped."""
    due = waiting.due_timers(store, now, BATCH)
    for timer in due:
        try:
            with store.transaction():
                waiting.remove_timers(store, timer.target)
                _act(store, timer)
        except StripeError as error:
            LOG.info("timer %s on %s does not apply any more: %s", timer.action, timer.target, error)
            _drop(store, timer)
        except Exception:
            # It would fail again at once, and hold up all others.
            LOG.exception("timer %s on %s failed", timer.action, timer.target)
            _drop(store, timer)
    return len(due)


def _drop(store: Store, timer: waiting.Timer) -> None:
    with store.transaction():
        waiting.remove_timers(store, timer.target)


def _act(store: Store, timer: waiting.Timer) -> None:
    target = store.find(timer.target)
    if target is not None:
        ACTIONS[timer.action](Call(store, clock.now(), {}, {}), target)
