"""An erasure: what stands in its way, how it goes on, and until when what the law wants is kept. Pure rules."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, uuid7
from domain.kernel.values import dataclass
from domain.privacy.inventory import Fate, Holding

BATCH = 1_000
# The table of jobs.
JOBS = "outbox_job"
# Units of work of one run of the job; the next job goes on from there.
BATCHES_PER_RUN = 300
# For how long the payment provider still sends events about a customer that was deleted there; ours are looked through.
FOLLOWED_FOR = timedelta(days=32)
# What arrived so shortly ago is looked through once more.
OVERLAP = timedelta(minutes=10)


class ErasureReason(StrEnum):
    """Why a customer is erased."""

    REQUESTED = "requested"
    UNUSED = "unused"
    MISTAKE = "mistake"


class ErasureState(StrEnum):
    """Where an erasure stands. Who the customer is, is gone in all of them."""

    CLEARING = "clearing"
    RESTRICTED = "restricted"
    ENDING = "ending"
    DONE = "done"


class Blocker(StrEnum):
    """What a customer must not have when it is erased."""

    SUBSCRIPTIONS = "subscriptions"
    STARTS = "starts"
    UNSETTLED = "unsettled"
    INVOICES = "invoices"
    CHARGES = "charges"
    ATTEMPTS = "attempts"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    BALANCES = "balances"
    JOBS = "jobs"


ADVICE: Mapping[Blocker, str] = {
    Blocker.SUBSCRIPTIONS: "live subscriptions ({count}): cancel them now",
    Blocker.STARTS: "scheduled subscriptions ({count}): cancel their starts",
    Blocker.UNSETTLED: "ended subscriptions whose last usage is not invoiced yet ({count}): wait until it is",
    Blocker.INVOICES: "draft or open invoices ({count}): have them paid, void them, or write them off",
    Blocker.CHARGES: "one-off charges that wait for an invoice ({count}): invoice or cancel them",
    Blocker.ATTEMPTS: "payments under way ({count}): wait for their end",
    Blocker.REFUNDS: "refunds under way ({count}): wait for their end",
    Blocker.DISPUTES: "disputes that are not decided ({count}): wait for their end, or accept them",
    Blocker.BALANCES: "balances that are owed or held ({count}): pay back or apply credit, prepaid and unapplied "
    "money, write off what is owed",
    Blocker.JOBS: "work that is under way ({count}): wait for its end, and retry failed jobs",
}


@dataclass(eq=False)
class CustomerNotErasable(DomainError):
    """This customer cannot be erased yet. It still has {blockers}."""

    code = "customer_not_erasable"
    kind = Kind.CONFLICT
    blockers: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure. Instants are real time. `keep_until` None: nothing has to be kept.

    `looked_to` is the newest event of the payment provider that was looked through for copies.
    """

    customer_id: CustomerId
    state: ErasureState
    reason: ErasureReason
    requested_at: datetime
    requested_by: str
    keep_until: datetime | None
    cleared_at: datetime | None = None
    ended_at: datetime | None = None
    looked_to: UUID | None = None


def check(found: Mapping[Blocker, int]) -> None:
    """Refuse to erase a customer that still has something, and say what to do about it. Raises CustomerNotErasable."""
    told = [ADVICE[each].format(count=found[each]) for each in Blocker if found.get(each)]
    if told:
        raise CustomerNotErasable("; ".join(told))


def keep_until(last_booked_at: datetime | None, years: int) -> datetime | None:
    """Return until when the books are kept: `years` after the end of the calendar year (UTC) of their last entry.

    None where nothing was ever booked.
    """
    if last_booked_at is None:
        return None
    return datetime(last_booked_at.astimezone(UTC).year + 1 + years, 1, 1, tzinfo=UTC)


def cleared(before: Erasure, at: datetime) -> Erasure:
    """Everything but what is kept is gone: wait for the end of the retention, or go on where it is over."""
    assert before.state is ErasureState.CLEARING, "it is cleared once"
    waits = before.keep_until is not None and before.keep_until > at
    return replace(before, state=ErasureState.RESTRICTED if waits else ErasureState.ENDING, cleared_at=at)


def looked(before: Erasure, to: UUID | None, at: datetime) -> Erasure:
    """Remember up to which inbound event copies were looked for, never later than OVERLAP ago.

    Their ids are in the order of arrival, and one that arrived earlier may be committed later.
    """
    settled = uuid7(at - OVERLAP, bytes)
    return replace(before, looked_to=to if to is None else min(to, settled))


def due(before: Erasure, at: datetime) -> Erasure:
    """End the retention once its time is over."""
    is_due = before.state is ErasureState.RESTRICTED and before.keep_until is not None and before.keep_until <= at
    return replace(before, state=ErasureState.ENDING) if is_due else before


def ended(before: Erasure, at: datetime) -> Erasure:
    """Nothing is kept any more."""
    assert before.state is ErasureState.ENDING, "what is kept is deleted last"
    return replace(before, state=ErasureState.DONE, ended_at=at)


def cleared_at_once(holdings: Iterable[Holding]) -> list[Holding]:
    """Return the tables that are cleared in the transaction of the request."""
    return [each for each in holdings if each.is_cleared_at_once]


def cleared_later(holdings: Iterable[Holding]) -> list[Holding]:
    """Return the tables that the job clears: those that were cleared at once too, as others wrote at that moment.

    Its own row is a job, and ends as all jobs do.
    """
    return [each for each in holdings if each.fate in {Fate.DELETED, Fate.BLANKED} and each.table != JOBS]


def cleared_last(holdings: Iterable[Holding]) -> list[Holding]:
    """Return the tables that are cleared when the retention ends."""
    return [each for each in holdings if each.fate in {Fate.KEPT, Fate.KEPT_ROWS}]
