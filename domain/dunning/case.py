"""A dunning case: one invoice whose payment failed, from the first failure until it is paid, given up or dropped."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.dunning.policy import (
    Failure,
    Next,
    Policy,
    after_failure,
    last_notice_at,
    last_retry_at,
    may_retry,
    retries_of,
)
from domain.invoices.invoice import State as InvoiceState
from domain.kernel.values import dataclass
from domain.payments.declines import Decline
from domain.subscriptions.subscription import Status


class CaseState(StrEnum):
    """Where a case stands. `dropped`: what was owed has ended or is void, and nobody asks for it any more."""

    OPEN = "open"
    RECOVERED = "recovered"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"
    WRITTEN_OFF = "written_off"


class Step(StrEnum):
    """What to do about a case now."""

    NOTHING = "nothing"
    CHARGE = "charge"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Case:
    """What is known about collecting one invoice after its payment failed, in business time.

    `counted` are the failures that use up retries; `skipped` the days of the calendar that passed while the customer
    had to act. At most one of `next_attempt_at` and `waits_until` is set: a retry, or how long the customer has to act.
    `notice_at` is when the last notice is mailed. All three are None once the case is closed, at `closed_at`.
    `charging_since`: an attempt is under way, and until it ends both clocks stand. `paused_at`: staff have stopped
    both.
    """

    state: CaseState
    first_failed_at: datetime
    counted: int
    next_attempt_at: datetime | None
    waits_until: datetime | None
    closed_at: datetime | None = None
    skipped: int = 0
    notice_at: datetime | None = None
    charging_since: datetime | None = None
    paused_at: datetime | None = None

    @property
    def stands_since(self) -> datetime | None:
        """Since when both clocks stand; None while they go."""
        return min((at for at in (self.charging_since, self.paused_at) if at is not None), default=None)

    @property
    def is_still(self) -> bool:
        """Whether nothing happens to it by time: it is closed, an attempt is under way, or staff have paused it."""
        return self.state is not CaseState.OPEN or self.stands_since is not None


def opened(
    policy: Policy, at: datetime, decline: Decline, *, method_kind: str, zone: str, counted: int = 1
) -> tuple[Case, Next]:
    """Open a case on the first failure of an invoice, and say what the subscription becomes."""
    before = Case(CaseState.OPEN, at, counted - 1, None, None)
    after, next_ = failed_again(policy, before, at, decline, method_kind=method_kind, zone=zone)
    if next_.gives_up:
        return after, next_
    return replace(after, notice_at=last_notice_at(policy, last_retry_at(policy, at, zone), at)), next_


def failed_again(
    policy: Policy,
    before: Case,
    at: datetime,
    decline: Decline,
    *,
    method_kind: str,
    zone: str,
    counted: int | None = None,
    on_method: int | None = None,
) -> tuple[Case, Next]:
    """Note another failure of the calendar's own attempts, and decide what follows.

    `counted` are all that use up retries, this one included; None: one more than before. A failed attempt that a person
    started is noted by `failed_beside`.
    """
    assert before.state is CaseState.OPEN, "what is closed is not charged"
    counted = before.counted + 1 if counted is None else counted
    failure = Failure(at, before.first_failed_at, counted + before.skipped, decline, method_kind, on_method)
    next_ = after_failure(policy, failure, zone)
    after = replace(
        before,
        counted=counted,
        next_attempt_at=next_.next_attempt_at,
        waits_until=next_.waits_until,
        charging_since=None,
    )
    return (_closed(after, CaseState.GIVEN_UP, at) if next_.gives_up else after), next_


def failed_beside(
    policy: Policy, before: Case, at: datetime, decline: Decline, *, method_kind: str, zone: str, on_method: int = 1
) -> Case:
    """Note the failure of an attempt that a person started, by hand or by a new method: it uses no retry.

    What was planned stays. Where the case waited for the customer and the new method may be charged again, the calendar
    goes on with its next day.
    """
    after = replace(before, charging_since=None)
    failure = Failure(at, before.first_failed_at, before.counted + before.skipped, decline, method_kind, on_method)
    if after.waits_until is None or not may_retry(policy, failure):
        return after
    days = retries_of(policy, before.first_failed_at, zone)
    coming = next((number for number, day in enumerate(days) if day > at), None)
    if coming is None or coming < failure.counted - 1:
        return after
    skipped = coming - (before.counted - 1)
    return replace(after, next_attempt_at=days[coming], waits_until=None, skipped=skipped)


def reopened(
    policy: Policy, at: datetime, decline: Decline, *, method_kind: str, zone: str, on_method: int
) -> tuple[Case, Next]:
    """Begin a case anew whose money had come, and was taken back by its bank: its calendar and its grace begin again.

    The tries on the method go on counting: a bank debit is not sent more often for that.
    """
    before = Case(CaseState.OPEN, at, 0, None, None)
    after, next_ = failed_again(policy, before, at, decline, method_kind=method_kind, zone=zone, on_method=on_method)
    if next_.gives_up:
        return after, next_
    return replace(after, notice_at=last_notice_at(policy, last_retry_at(policy, at, zone), at)), next_


def ordered(before: Case, at: datetime) -> Case:
    """Note that an attempt is under way."""
    return replace(before, charging_since=at)


def put_off(policy: Policy, before: Case, until: datetime, *, longest: timedelta, zone: str) -> Case:
    """Put a due retry off until an instant; by more than `longest` it waits for the customer to the last day."""
    assert before.next_attempt_at is not None, "a retry is due"
    if until - before.next_attempt_at <= longest:
        return replace(before, next_attempt_at=until)
    return without_method(policy, before, zone=zone)


def without_method(policy: Policy, before: Case, *, zone: str) -> Case:
    """Wait for the customer to the last day, because nothing may be charged by the calendar."""
    last_at = last_retry_at(policy, before.first_failed_at, zone)
    return replace(before, next_attempt_at=None, waits_until=last_at)


def noticed(before: Case) -> Case:
    """Note that the last notice was mailed."""
    return replace(before, notice_at=None)


def paid(before: Case, at: datetime) -> Case:
    """Note that the invoice is paid, by whatever way: nothing more is planned. Safe to repeat.

    A case that was given up, dropped or written off is recovered too: the money came.
    """
    return before if before.state is CaseState.RECOVERED else _closed(before, CaseState.RECOVERED, at)


def given_up(before: Case, at: datetime) -> Case:
    """Note that nobody asks for the money any more."""
    return _closed(before, CaseState.GIVEN_UP, at)


def written_off(before: Case, at: datetime) -> Case:
    """Note that the invoice is a bad debt."""
    return _closed(before, CaseState.WRITTEN_OFF, at)


def paused(before: Case, at: datetime) -> Case:
    """Stop both clocks of an open case. Safe to repeat."""
    is_paused = before.state is not CaseState.OPEN or before.paused_at is not None
    return before if is_paused else replace(before, paused_at=at)


def resumed(before: Case, at: datetime) -> tuple[Case, timedelta]:
    """Let both clocks go on, everything later by as long as they stood; return that time too. Safe to repeat."""
    if before.paused_at is None:
        return before, timedelta(0)
    stood = at - before.paused_at
    after = replace(
        before,
        paused_at=None,
        next_attempt_at=_later(before.next_attempt_at, stood),
        waits_until=_later(before.waits_until, stood),
        notice_at=_later(before.notice_at, stood),
    )
    return after, stood


def due_at(case: Case, changes_at: Iterable[datetime]) -> datetime | None:
    """Return when something happens to a case next; `changes_at` are the ends of graces that are not over.

    None where nothing happens by time.
    """
    if case.is_still:
        return None
    known = (case.next_attempt_at, case.waits_until, case.notice_at, *changes_at)
    return min((at for at in known if at is not None), default=None)


def last_day(policy: Policy, case: Case) -> datetime | None:
    """Return the last day of a case as it stands, if no retry is late; None where nothing is planned."""
    if case.next_attempt_at is None:
        return case.waits_until
    left = policy.retry_days[case.counted + case.skipped :]
    return case.next_attempt_at + timedelta(days=sum(left))


def run(before: Case, at: datetime, *, invoice: InvoiceState, subscription: Status) -> tuple[Case, Step]:
    """Decide what to do about a case that may be due; the case says what is still planned.

    What has ended or is void is never charged, and what is paid meanwhile is recovered. Safe to repeat: until the
    attempt is settled a case that is due stays so, and `payments` begins no second one beside it.
    """
    if before.state not in {CaseState.OPEN, CaseState.GIVEN_UP}:
        return before, Step.NOTHING
    if invoice is InvoiceState.PAID:
        return paid(before, at), Step.NOTHING
    has_ended = before.state is CaseState.OPEN and subscription is Status.CANCELED
    if invoice is not InvoiceState.OPEN or has_ended:
        return _closed(before, CaseState.DROPPED, at), Step.NOTHING
    if before.is_still:
        return before, Step.NOTHING
    if before.waits_until is not None and before.waits_until <= at:
        return given_up(before, at), Step.GIVE_UP
    is_due = before.next_attempt_at is not None and before.next_attempt_at <= at
    return before, Step.CHARGE if is_due else Step.NOTHING


def _later(at: datetime | None, by: timedelta) -> datetime | None:
    return None if at is None else at + by


def _closed(before: Case, state: CaseState, at: datetime) -> Case:
    return replace(
        before,
        state=state,
        next_attempt_at=None,
        waits_until=None,
        notice_at=None,
        charging_since=None,
        paused_at=None,
        closed_at=at,
    )
