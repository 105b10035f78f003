"""A change of plan, interval or quantity: which way it goes, when it takes effect, and what a subscription becomes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ChangeId, CustomerId, InvoiceId, PlanVersionId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval, period_containing
from domain.subscriptions.subscription import Source, Status, Subscription
from domain.subscriptions.term import Term, with_term
from domain.subscriptions.transitions import Event, TransitionRefused, after

QUANTITY_MAX = 1_000_000
# An upgrade that waits for its payment is taken back after this long: the customer was shown a price of another day.
LAPSES_AFTER = timedelta(hours=23)
BEFORE_PERIOD_END = timedelta(seconds=1)
# How old the instant of a preview may be when the change that was shown is asked for.
PRORATE_BACK_MAX = timedelta(minutes=15)
# Changes in one fee period; more are a fault, and each one leaves lines that are derived again with every invoice.
CHANGES_MAX = 50
_LENGTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


class ChangeAt(StrEnum):
    """When a change takes effect: now, or where the paid fee period ends."""

    NOW = "now"
    PERIOD_END = "period_end"


class Direction(StrEnum):
    """Higher rank, or equal rank and a longer interval or larger quantity, is an upgrade; all else a downgrade."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


class ChangeState(StrEnum):
    """Where a change stands. Scheduled and pending ones wait; the others are over."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    APPLIED = "applied"
    REPLACED = "replaced"
    CANCELED = "canceled"
    LAPSED = "lapsed"
    REFUSED = "refused"


WAITING = frozenset((ChangeState.SCHEDULED, ChangeState.PENDING))


@dataclass(eq=False)
class NothingToChange(DomainError):
    """The subscription is on this plan, version, interval and quantity already. Choose another one."""

    code = "nothing_to_change"
    kind = Kind.INVALID


@dataclass(eq=False)
class QuantityOutOfBounds(DomainError):
    """A quantity is a whole number from 1 to {quantity_max}."""

    code = "quantity_out_of_bounds"
    kind = Kind.INVALID
    quantity_max: int


@dataclass(eq=False)
class ProrationDateRefused(DomainError):
    """The proration date has to lie between {earliest} and {latest}. Ask for a new preview and use its date."""

    code = "proration_date_refused"
    kind = Kind.INVALID
    earliest: str
    latest: str


@dataclass(eq=False)
class ChangeWaits(DomainError):
    """An upgrade waits for its payment. Pay its invoice first, or wait until it lapses at {lapses_at}."""

    code = "change_waits"
    kind = Kind.CONFLICT
    lapses_at: str


@dataclass(eq=False)
class TooManyChanges(DomainError):
    """The subscription was changed {changes_max} times in this period. Have this change made at the period's end."""

    code = "too_many_changes"
    kind = Kind.CONFLICT
    changes_max: int


@dataclass(frozen=True, slots=True)
class Target:
    """What a subscription is to become."""

    plan_version_id: PlanVersionId
    interval: Interval
    quantity: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was asked for. At most one of a subscription is scheduled and at most one pending.

    `effective_at` is the instant from which fees are charged by it, or at which a scheduled one is due. A pending one
    takes effect when `invoice_id` is paid and lapses at `expires_at`.
    """

    customer_id: CustomerId
    id: ChangeId
    subscription_id: SubscriptionId
    state: ChangeState
    direction: Direction
    target: Target
    asked_at: datetime
    effective_at: datetime
    expires_at: datetime | None = None
    invoice_id: InvoiceId | None = None


def check_quantity(quantity: int) -> None:
    """Refuse a number of units of the fee that is out of bounds. Raises QuantityOutOfBounds."""
    if not 1 <= quantity <= QUANTITY_MAX:
        raise QuantityOutOfBounds(QUANTITY_MAX)


def check_target(before: Subscription, target: Target) -> None:
    """Refuse a target that changes nothing or is out of bounds. Raises NothingToChange, QuantityOutOfBounds."""
    check_quantity(target.quantity)
    if target == Target(before.plan_version_id, before.interval, before.quantity):
        raise NothingToChange


def check_changeable(before: Subscription) -> None:
    """Refuse to change what cannot be. Raises TransitionRefused."""
    after(before.status, Event.CHANGE)
    if before.source is Source.STRIPE:
        raise TransitionRefused("Stripe bills it, so it is changed there")
    if before.cancel_at is not None:
        raise TransitionRefused("it is going to end; take the cancellation back first")
    if before.pause_at is not None:
        raise TransitionRefused("it is going to pause; take the pause back first")


def check_grid(before: Subscription, target: Target) -> None:
    """Refuse another interval while the bill day is going to move: it starts a grid of its own. Raises as above."""
    if target.interval is not before.interval and before.moves_at is not None:
        raise TransitionRefused("its bill day is going to move; keep the present one first, or change it afterwards")


def direction_of(before: Subscription, target: Target, *, rank_before: int, rank: int) -> Direction:
    """Say which way a change goes, from the ranks of the two plans in their product."""
    if rank != rank_before:
        return Direction.UPGRADE if rank > rank_before else Direction.DOWNGRADE
    is_longer = _LENGTHS[target.interval] > _LENGTHS[before.interval]
    return Direction.UPGRADE if is_longer or target.quantity > before.quantity else Direction.DOWNGRADE


def when(before: Subscription, direction: Direction, wish: ChangeAt | None) -> ChangeAt:
    """Say when a change takes effect: an upgrade now and a downgrade at period end, where the customer has no wish.

    In a trial nothing is paid that could be waited for. Raises TransitionRefused where that is wished all the same.
    """
    if before.status is Status.TRIALING:
        if wish is ChangeAt.PERIOD_END:
            raise TransitionRefused("it is in its trial, with no paid period to wait for the end of; change it now")
        return ChangeAt.NOW
    return wish or (ChangeAt.NOW if direction is Direction.UPGRADE else ChangeAt.PERIOD_END)


def prorate_at(before: Subscription, terms: list[Term], now: datetime, wish: datetime | None) -> datetime:
    """Return the instant from which a change is charged: now, or the instant that a preview has shown.

    It lies in the present fee period, at most PRORATE_BACK_MAX back, and not before an earlier change. Raises
    ProrationDateRefused, TooManyChanges.
    """
    last = terms[-1].starts_at if terms else before.started_at
    earliest = max(now - PRORATE_BACK_MAX, before.fee_period.start, min(last, now))
    at = now if wish is None else wish
    if not earliest <= at <= now:
        raise ProrationDateRefused(earliest.isoformat(), now.isoformat())
    if sum(each.starts_at > before.fee_period.start for each in terms) >= CHANGES_MAX:
        raise TooManyChanges(CHANGES_MAX)
    return at


def waiting_in(changes: Iterable[Change], state: ChangeState) -> Change | None:
    """Return the change of a subscription that waits in a state, of which there is at most one."""
    return next((each for each in changes if each.state is state), None)


def lapses_at(before: Subscription, now: datetime) -> datetime:
    """Return when an upgrade that was asked for by `now` lapses: soon enough for the usage period to end without it."""
    period_end = min(before.period.end, before.moves_at or before.period.end)
    return max(min(now + LAPSES_AFTER, period_end - BEFORE_PERIOD_END), now)


def changed(before: Subscription, target: Target, at: datetime, now: datetime) -> Subscription:
    """Return what a subscription becomes by a change that is charged from `at` on and takes effect at `now`.

    Another interval starts new periods at `at`, which is the new anchor; in a trial the periods start at its end in any
    case. Anything else keeps the anchor.
    """
    became = replace(before, plan_version_id=target.plan_version_id, interval=target.interval, quantity=target.quantity)
    if target.interval is before.interval or before.status is Status.TRIALING:
        return became
    return replace(
        became,
        anchor_at=at,
        period=period_containing(at, before.zone, Interval.MONTH, now),
        fee_period=period_containing(at, before.zone, target.interval, now),
        running_since=now,
    )


def terms_with(change: Change, terms: Iterable[Term]) -> list[Term]:
    """Return the terms that were charged while an upgrade waited for its payment: what came later was not known."""
    before = [each for each in terms if each.starts_at <= change.effective_at]
    if not before:
        return []
    target, at = change.target, change.effective_at
    anchor_at = before[-1].anchor_at if target.interval is before[-1].interval else at
    waits = replace(
        before[-1],
        starts_at=at,
        plan_version_id=target.plan_version_id,
        interval=target.interval,
        quantity=target.quantity,
        anchor_at=anchor_at,
        pending=True,
        known_at=None,
    )
    return with_term(before, waits)
