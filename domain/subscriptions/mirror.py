"""How a subscription that Stripe bills is followed: whatever order the news come in, what has ended stays ended."""

from dataclasses import replace
from datetime import datetime

from domain.kernel.ids import PlanVersionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval, period_containing
from domain.subscriptions.subscription import Status, Subscription

# Stripe counts its boundaries in UTC.
ZONE = "UTC"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What Stripe says about a subscription, in our words. `ended_at` is set when and only when it is canceled."""

    gateway_id: str
    plan_version_id: PlanVersionId
    status: Status
    interval: Interval
    currency: str
    anchor_at: datetime
    fee_period: Period
    cancel_at: datetime | None
    ended_at: datetime | None

    def __post_init__(self) -> None:
        assert (self.status is Status.CANCELED) == (self.ended_at is not None), "what is canceled has an end"

    def period_at(self, now: datetime) -> Period:
        """Return the usage period of the fee period that contains an instant, or the nearest one."""
        nearest = min(max(now, self.fee_period.start), self.fee_period.end)
        return period_containing(self.anchor_at, ZONE, Interval.MONTH, nearest)


def follow(before: Subscription, news: Mirrored, now: datetime) -> Subscription:
    """Become what Stripe says. A canceled one never revives, and usage periods never go back."""
    if before.status is Status.CANCELED:
        return before
    period = news.period_at(now)
    return replace(
        before,
        plan_version_id=news.plan_version_id,
        status=news.status,
        interval=news.interval,
        currency=news.currency,
        fee_period=news.fee_period,
        period=max(before.period, period),
        cancel_at=news.ended_at or news.cancel_at,
        canceled_at=before.canceled_at or (now if news.ended_at or news.cancel_at else None),
        ended_at=news.ended_at,
    )
