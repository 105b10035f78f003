"""What a subscription and a segment are."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, PlanVersionId, ProductId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval

# Advisory locks are taken per bucket, so that a flush over many subscriptions takes a bounded number of them.
BUCKETS = 1024


class Status(StrEnum):
    """Where a subscription stands. Live is everything but incomplete and canceled."""

    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    UNPAID = "unpaid"
    CANCELED = "canceled"


class AccessState(StrEnum):
    """What checks answer by: the plan, the limits of the free plan with nothing to be added, or nothing."""

    FULL = "full"
    RESTRICTED = "restricted"
    SUSPENDED = "suspended"


class Source(StrEnum):
    """Who bills it. What Stripe bills is counted and limited here, and never rated or invoiced."""

    TOLLGATE = "tollgate"
    STRIPE = "stripe"


class TrialEnd(StrEnum):
    """What becomes of a trial at whose end there is no payment method. With one it is billed in any case."""

    BILL = "bill"
    CANCEL = "cancel"
    PAUSE = "pause"
    FALL_BACK = "fall_back"


LIVE = frozenset(Status) - {Status.INCOMPLETE, Status.CANCELED}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A customer's contract for one plan version of one product.

    `period` is the present usage period and `fee_period` the one its fee pays for; both are counted from `anchor_at`
    in `zone`. `cancel_at` is where it ends or ended, `canceled_at` when that was asked for. `cancel_feedback` is the
    customer's own text, sealed. `settles_at` is when, after its end, what arrived late is billed for the last time.
    `failed_invoice_ids` are open invoices whose last attempt failed: past due while any. `access` is lowered while a
    payment is owed for longer than its grace. `running_since` is the first instant after its last pause, else its
    start. `trial_ends_at` is where a trial ends or ended and billing starts, `trial_end` what then happens without a
    payment method. `pause_at` is where a pause begins or began, `resumes_at` where it ends by itself. `expires_at` is
    where one whose first payment has not come lapses. `moves_at` is where its bill day moves, to the grid of the anchor
    `moves_to`, as was asked for at `moves_asked_at`. `paid_until` is how far a fee had been billed when the end was
    brought forward into its period; None where it was not.
    """

    customer_id: CustomerId
    id: SubscriptionId
    product_id: ProductId
    plan_version_id: PlanVersionId
    environment: Environment
    status: Status
    source: Source
    gateway_id: str | None
    anchor_at: datetime
    zone: str
    interval: Interval
    currency: str
    quantity: int
    started_at: datetime
    period: Period
    fee_period: Period
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    settles_at: datetime | None
    cancel_reason: str | None
    cancel_feedback: bytes | None = field(repr=False)
    failed_invoice_ids: tuple[InvoiceId, ...]
    running_since: datetime
    epoch: int
    version: int
    access: AccessState = AccessState.FULL
    trial_ends_at: datetime | None = None
    trial_end: TrialEnd | None = None
    pause_at: datetime | None = None
    resumes_at: datetime | None = None
    expires_at: datetime | None = None
    moves_at: datetime | None = None
    moves_to: datetime | None = None
    moves_asked_at: datetime | None = None
    paid_until: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether it grants what its plan promises and occupies its product."""
        return self.status in LIVE

    @property
    def ends_at(self) -> datetime | None:
        """The first instant that is no longer part of it, as far as known."""
        return self.ended_at or self.cancel_at

    @property
    def never_ran(self) -> bool:
        """Whether it ended where it started: its first payment did not come, or it was called off before."""
        return self.ended_at is not None and self.ended_at <= self.started_at

    @property
    def stops_at(self) -> datetime | None:
        """The first instant at which nothing more is counted, as far as known: its end, or a pause."""
        return min((each for each in (self.ends_at, self.pause_at) if each is not None), default=None)

    @property
    def due_at(self) -> datetime | None:
        """The next instant at which something becomes of it by itself, or None. What Stripe bills only renews."""
        if not self.is_live:
            return self.expires_at if self.status is Status.INCOMPLETE else None
        if self.source is Source.STRIPE:
            return self.period.end
        if self.status is Status.PAUSED:
            return min((each for each in (self.resumes_at, self.cancel_at) if each is not None), default=None)
        trial = self.trial_ends_at if self.status is Status.TRIALING else None
        ahead = (self.period.end, self.cancel_at, trial, self.pause_at, self.moves_at)
        return min(each for each in ahead if each is not None)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a usage period under one plan version: `during` is the stretch, `period` the whole usage period.

    Once final, what arrives late is not part of its first lines but a difference on the next invoice. Its hours and
    days are those of `zone`; None is the customer's own, for what Stripe bills.
    """

    customer_id: CustomerId
    id: SegmentId
    subscription_id: SubscriptionId
    plan_version_id: PlanVersionId
    during: Period
    period: Period
    final: bool
    zone: str | None = None


def bucket_of(subscription_id: SubscriptionId) -> int:
    """Return the advisory lock's number of a subscription, 0 to BUCKETS - 1."""
    return subscription_id.int % BUCKETS
