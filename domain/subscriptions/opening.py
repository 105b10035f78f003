"""What a subscription is when it starts: on which grid, with a trial or without, running or waiting for its payment."""

from datetime import datetime, timedelta

from domain.customers.customer import Customer
from domain.kernel.ids import PlanVersionId, ProductId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval, anchor_of_bill_day, calendar_anchor, period_containing
from domain.subscriptions.subscription import Source, Status, Subscription, TrialEnd
from domain.subscriptions.trial import trial_end

# How long a subscription waits for its first payment: as long as the gateway keeps a first payment open.
FIRST_PAYMENT_WITHIN = timedelta(hours=23)


@dataclass(frozen=True, slots=True)
class Sale:
    """What is sold to whom."""

    customer: Customer
    product_id: ProductId
    plan_version_id: PlanVersionId
    interval: Interval
    currency: str


@dataclass(frozen=True, slots=True)
class Opening:
    """How it starts. `at` is now or lies back; usage and fees count from there, after a trial of `trial_days`, if any.

    `bill_day`, 1 to 31, or `calendar` move the anchor from where billing starts to local midnight of a day, or of the
    first of the calendar month or year: the first period is then a short one. `when_paid`: what is due at the start is
    to be paid before it runs. `quantity` is how many units of the fee are sold.
    """

    at: datetime
    trial_days: int = 0
    trial_end: TrialEnd = TrialEnd.CANCEL
    bill_day: int | None = None
    calendar: bool = False
    when_paid: bool = False
    quantity: int = 1


def opened(sale: Sale, opening: Opening, subscription_id: SubscriptionId, now: datetime) -> Subscription:
    """Return the subscription as it is at business time `now`, in the periods that contain it."""
    zone = sale.customer.zone
    trial_ends_at = trial_end(opening.at, zone, opening.trial_days) if opening.trial_days else None
    in_trial = trial_ends_at is not None and now < trial_ends_at
    anchor_at = _anchor(opening, zone, sale.interval, trial_ends_at or opening.at)
    waits = opening.when_paid and not in_trial
    return Subscription(
        customer_id=sale.customer.id,
        id=subscription_id,
        product_id=sale.product_id,
        plan_version_id=sale.plan_version_id,
        environment=sale.customer.environment,
        status=Status.TRIALING if in_trial else Status.INCOMPLETE if waits else Status.ACTIVE,
        source=Source.TOLLGATE,
        gateway_id=None,
        anchor_at=anchor_at,
        zone=zone,
        interval=sale.interval,
        currency=sale.currency,
        quantity=opening.quantity,
        started_at=opening.at,
        period=period_containing(anchor_at, zone, Interval.MONTH, now),
        fee_period=_fee_period(opening.at, trial_ends_at, period_containing(anchor_at, zone, sale.interval, now), now),
        cancel_at=None,
        canceled_at=None,
        ended_at=None,
        settles_at=None,
        cancel_reason=None,
        cancel_feedback=None,
        failed_invoice_ids=(),
        running_since=opening.at,
        epoch=0,
        version=1,
        trial_ends_at=trial_ends_at,
        trial_end=opening.trial_end if trial_ends_at else None,
        expires_at=now + FIRST_PAYMENT_WITHIN if waits else None,
    )


def _anchor(opening: Opening, zone: str, interval: Interval, billed_from: datetime) -> datetime:
    """Return the anchor: where billing starts, or a day of that month, or the first of the calendar's period."""
    if opening.bill_day is not None:
        return anchor_of_bill_day(billed_from, zone, interval, opening.bill_day)
    return calendar_anchor(billed_from, zone, interval) if opening.calendar else billed_from


def _fee_period(start: datetime, trial_ends_at: datetime | None, whole: Period, now: datetime) -> Period:
    """Return what the present fee pays for, the first one short where it starts inside; a trial pays for itself."""
    if trial_ends_at is not None and now < trial_ends_at:
        return Period(start, trial_ends_at)
    return Period(max(whole.start, trial_ends_at or start), whole.end)
