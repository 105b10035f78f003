"""A dunning case: one invoice whose payment failed, from the first failure until it is paid, given up or dropped."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.dunning.policy import Failure, Next, Policy, after_failure
from domain.invoices.invoice import State as InvoiceState
from domain.payments.declines import Decline
from domain.subscriptions.subscription import Status


class CaseState(StrEnum):
    """Where a case stands. `dropped`: what was owed has ended or is void, and nobody asks for it any more."""

    OPEN = "open"
    RECOVERED = "recovered"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"


class Step(StrEnum):
    """What to do about a case now."""

    NOTHING = "nothing"
    CHARGE = "charge"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Case:
    """What is known about collecting one invoice after its payment failed, in business time.

    `counted` are the failures that use up retries. At most one of `next_attempt_at` and `waits_until` is set: a retry,
    or how long the customer has to act. Both are None once the case is closed, at `closed_at`.
    """

    state: CaseState
    first_failed_at: datetime
    counted: int
    next_attempt_at: datetime | None
    waits_until: datetime | None
    closed_at: datetime | None = None


def opened(policy: Policy, at: datetime, decline: Decline, *, method_kind: str, zone: str) -> tuple[Case, Next]:
    """Open a case on the first failure of an invoice, and say what the subscription becomes."""
    before = Case(CaseState.OPEN, at, 0, None, None)
    return failed_again(policy, before, at, decline, method_kind=method_kind, zone=zone)


def failed_again(
    policy: Policy, before: Case, at: datetime, decline: Decline, *, method_kind: str, zone: str
) -> tuple[Case, Next]:
    """Note another failure of the calendar's own attempts, and decide what follows.

    A failed attempt that the customer started is not noted here: it uses no retry, and what was planned stays.
    """
    assert before.state is CaseState.OPEN, "what is closed is not charged"
    counted = before.counted + 1
    failure = Failure(at, before.first_failed_at, counted, decline, method_kind)
    next_ = after_failure(policy, failure, zone)
    after = replace(before, counted=counted, next_attempt_at=next_.next_attempt_at, waits_until=next_.waits_until)
    return (_closed(after, CaseState.GIVEN_UP, at) if next_.gives_up else after), next_


def paid(before: Case, at: datetime) -> Case:
    """Note that the invoice is paid, by whatever way: nothing more is planned. Safe to repeat.

    A case that was given up or dropped is recovered too: the money came.
    """
    return before if before.state is CaseState.RECOVERED else _closed(before, CaseState.RECOVERED, at)


def run(before: Case, at: datetime, *, invoice: InvoiceState, subscription: Status) -> tuple[Case, Step]:
    """Decide what to do about a case that may be due; the case says what is still planned.

    What has ended or is void is never charged, and what is paid meanwhile is recovered. Safe to repeat: until the
    attempt is settled a case that is due stays so, and `payments` begins no second one beside it.
    """
    if before.state is not CaseState.OPEN:
        return before, Step.NOTHING
    if invoice is InvoiceState.PAID:
        return paid(before, at), Step.NOTHING
    if invoice is not InvoiceState.OPEN or subscription is Status.CANCELED:
        return _closed(before, CaseState.DROPPED, at), Step.NOTHING
    if before.waits_until is not None and before.waits_until <= at:
        return _closed(before, CaseState.GIVEN_UP, at), Step.GIVE_UP
    is_due = before.next_attempt_at is not None and before.next_attempt_at <= at
    return before, Step.CHARGE if is_due else Step.NOTHING


def _closed(before: Case, state: CaseState, at: datetime) -> Case:
    return replace(before, state=state, next_attempt_at=None, waits_until=None, closed_at=at)
