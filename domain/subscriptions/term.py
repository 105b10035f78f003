"""What a subscription was under, stretch by stretch: the schedule that fees are derived from, also looking back."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, zip_longest

from domain.kernel.ids import CustomerId, PlanVersionId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Segment, Subscription


@dataclass(frozen=True, slots=True)
class Term:
    """What a subscription is under from `starts_at` until its next term starts, or its end.

    Fee periods are counted from `anchor_at` in `zone`; another anchor, zone or interval starts a new one where the
    term starts. A term that is not `billed`, such as a trial or a pause, owes no fees. A `pending` one is charged
    already and takes effect once that is paid; the subscription itself still is what it was. `known_at` is when its
    start was known, where that was before: a fee period that began since is billed up to it.
    """

    customer_id: CustomerId
    subscription_id: SubscriptionId
    starts_at: datetime
    plan_version_id: PlanVersionId
    interval: Interval
    quantity: int
    anchor_at: datetime
    zone: str
    billed: bool = True
    pending: bool = False
    known_at: datetime | None = None

    @property
    def grid(self) -> tuple[datetime, str, Interval, bool]:
        """What its fee periods are counted by; terms of another grid share none with it."""
        return self.anchor_at, self.zone, self.interval, self.billed

    @property
    def sold(self) -> tuple[PlanVersionId, Interval]:
        """What has one price, whatever the quantity."""
        return self.plan_version_id, self.interval


def term_of(
    subscription: Subscription,
    starts_at: datetime,
    *,
    billed: bool = True,
    pending: bool = False,
    known_at: datetime | None = None,
) -> Term:
    """Return the term that begins where a subscription becomes what it is."""
    return Term(
        customer_id=subscription.customer_id,
        subscription_id=subscription.id,
        starts_at=starts_at,
        plan_version_id=subscription.plan_version_id,
        interval=subscription.interval,
        quantity=subscription.quantity,
        anchor_at=subscription.anchor_at,
        zone=subscription.zone,
        billed=billed,
        pending=pending,
        known_at=known_at,
    )


def with_term(terms: Iterable[Term], new: Term) -> list[Term]:
    """Return the terms once a new one stands: those that would start with it or later are gone."""
    return [*(each for each in terms if each.starts_at < new.starts_at), new]


def charged(terms: Sequence[Term]) -> list[Term]:
    """Return the terms that fees are derived from, of terms in order of time, a pending one last of its instant.

    Of two that start at the same instant the earlier one holds, and is charged again should the pending one lapse.
    """
    after = [each.starts_at for each in terms[1:]]
    return [each for each, next_at in zip_longest(terms, after) if each.starts_at != next_at]


def runs_of(terms: Sequence[Term]) -> Iterator[tuple[Term, ...]]:
    """Yield the terms in order of time, those together that follow one another on the same grid."""
    for _, run in groupby(terms, key=lambda each: each.grid):
        yield tuple(run)


def billable(terms: Sequence[Term], segments: Iterable[Segment]) -> list[Segment]:
    """Return the segments outside of trials and pauses, whose usage is charged; no term begins inside of a segment."""
    return [segment for segment in segments if not is_unbilled(terms, segment.during.start)]


def is_unbilled(terms: Iterable[Term], at: datetime) -> bool:
    """Whether an instant lies in a trial or a pause: what is counted there is not charged."""
    begun = [each for each in terms if each.starts_at <= at]
    return bool(begun) and not begun[-1].billed
