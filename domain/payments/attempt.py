"""A payment attempt and its states. One function settles it; what has ended absorbs late and repeated news."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.ids import AttemptId, CustomerId, InvoiceId, MethodId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.declines import OUTCOME_LOST, Decline, DeclineClass
from domain.payments.port import KEY_HOURS_MAX, PayOutcome, PayState


class AttemptState(StrEnum):
    """Where an attempt stands."""

    PLANNED = "planned"
    SENT = "sent"
    PROCESSING = "processing"
    ACTION_REQUIRED = "action_required"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    RETURNED = "returned"  # it had succeeded, and its bank took the money back


ENDED = frozenset((AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.SUPERSEDED, AttemptState.RETURNED))
# At most one attempt of an invoice is in one of these: the next one waits for its end.
LIVE = frozenset(AttemptState) - ENDED
# Never sent, or waiting for the customer: no money moves by it unless somebody acts.
WITHDRAWABLE = frozenset((AttemptState.PLANNED, AttemptState.ACTION_REQUIRED))
# Sent, and nothing certain is known: the gateway is asked, or the same key is sent again.
UNRESOLVED = frozenset((AttemptState.SENT, AttemptState.UNKNOWN))


class Trigger(StrEnum):
    """Who started an attempt."""

    BILLING = "billing"
    RETRY = "retry"  # the calendar of dunning
    CUSTOMER = "customer"  # also money that came without an attempt of ours
    NEW_METHOD = "new_method"
    STAFF = "staff"


# An attempt that a person caused uses up none of the retries.
COUNTED = frozenset((Trigger.BILLING, Trigger.RETRY))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to collect an invoice.

    `key` is the idempotency key of the charge. `method_id` is None for money that came without a try of ours (a hosted
    page, a transfer). `sent_at` and `settled_at` are real time, `began_at` and `ended_at` business time: of the order
    for it, and of its end.
    """

    customer_id: CustomerId
    id: AttemptId
    invoice_id: InvoiceId
    number: int
    method_id: MethodId | None
    amount: Money
    key: str
    state: AttemptState
    decline: Decline | None
    gateway_payment_id: str | None
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    trigger: Trigger
    began_at: datetime
    ended_at: datetime | None = None
    version: int = 1


_NEXT = {
    PayState.PAID: AttemptState.SUCCEEDED,
    PayState.PROCESSING: AttemptState.PROCESSING,
    PayState.ACTION_REQUIRED: AttemptState.ACTION_REQUIRED,
    PayState.DECLINED: AttemptState.FAILED,
    PayState.UNKNOWN: AttemptState.UNKNOWN,
}


def send(before: Attempt, at: datetime) -> Attempt:
    """Mark a planned attempt as sent; it is committed before the gateway is called."""
    assert before.state is AttemptState.PLANNED, "an attempt is sent once"
    return dataclasses.replace(before, state=AttemptState.SENT, sent_at=at)


def settle(before: Attempt, outcome: PayOutcome, at: datetime, now: datetime) -> Attempt:
    """Apply what is known about the payment at real time `at`, business time `now`. Safe to repeat.

    An ended attempt never changes again. Not knowing never undoes what was known.
    """
    if before.state in ENDED:
        return before
    if outcome.state is PayState.UNKNOWN and before.state not in {AttemptState.PLANNED, AttemptState.SENT}:
        return before
    state = _NEXT[outcome.state]
    return dataclasses.replace(
        before,
        state=state,
        decline=outcome.decline or before.decline,
        gateway_payment_id=outcome.gateway_payment_id or before.gateway_payment_id,
        settled_at=at if state in ENDED else None,
        ended_at=now if state in ENDED else None,
    )


def supersede(before: Attempt, at: datetime, now: datetime) -> Attempt:
    """Close an attempt that waits for the customer because a new payment method takes over.

    Likewise one that is planned and was never sent, once nothing is owed any more; and either where money came another
    way.
    """
    if before.state not in WITHDRAWABLE:
        return before
    return dataclasses.replace(before, state=AttemptState.SUPERSEDED, settled_at=at, ended_at=now)


def give_back(before: Attempt, why: Decline, at: datetime, now: datetime) -> Attempt:
    """Note that a bank has returned a payment that had succeeded: it counts as failed from then on. Safe to repeat."""
    if before.state is not AttemptState.SUCCEEDED:
        return before
    return dataclasses.replace(before, state=AttemptState.RETURNED, decline=why, settled_at=at, ended_at=now)


def is_received(attempt: Attempt) -> bool:
    """Whether an attempt stands for money that staff recorded: the gateway had no part in it."""
    return attempt.trigger is Trigger.STAFF and attempt.method_id is None


def is_lost(attempt: Attempt) -> bool:
    """Whether an attempt left no trace at the gateway: it counts for none."""
    return attempt.decline is not None and attempt.decline.code == OUTCOME_LOST


def is_untried(attempts: Sequence[Attempt]) -> bool:
    """Whether nothing was tried since an invoice was opened, or asked for again after it had been paid.

    `attempts` are the invoice's, the newest first.
    """
    last = next((each for each in attempts if not is_lost(each)), None)
    return last is None or last.state is AttemptState.SUCCEEDED


def key_expired(sent_at: datetime, at: datetime) -> bool:
    """Whether a key is too old to be repeated safely."""
    return at - sent_at >= timedelta(hours=KEY_HOURS_MAX)


def lost() -> PayOutcome:
    """Return the outcome of an attempt that left no trace at the gateway before its key expired."""
    return PayOutcome(PayState.DECLINED, Decline(DeclineClass.SOFT, OUTCOME_LOST))


def news_of(attempt: Attempt, seen: PayOutcome | None) -> PayOutcome | None:
    """Return what a freshly fetched gateway invoice proves about a live attempt, or None where it proves nothing.

    Paid and processing speak for themselves. A decline is this attempt's own only where the payment was seen running
    before: otherwise it may be the trace of the attempt before, and the reply to this one's key decides.
    """
    if seen is None:
        return None
    if seen.state in {PayState.PAID, PayState.PROCESSING}:
        return seen
    if seen.state is PayState.DECLINED and attempt.state is AttemptState.PROCESSING:
        return seen
    return None
