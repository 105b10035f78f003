"""Which segments follow one another: they tile a subscription's life without gap or overlap."""

from collections.abc import Iterator
from datetime import datetime

from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval, period_containing
from domain.subscriptions.subscription import Segment, Subscription

# Three years of usage periods: more than are opened at once by any event in the window or any late close.
FOLLOWING_MAX = 36


def following(subscription: Subscription, last: Segment | None, at: datetime) -> Iterator[tuple[Period, Period]]:
    """Yield (stretch, usage period) of each segment after the last one, up to the one that contains an instant.

    None goes beyond the subscription's end, and there are at most FOLLOWING_MAX.
    """
    start = last.during.end if last else subscription.started_at
    for _ in range(FOLLOWING_MAX):
        if start > at or (subscription.ends_at is not None and start >= subscription.ends_at):
            return
        stretch, period = first_stretch(subscription, start)
        yield stretch, period
        start = stretch.end


def first_stretch(subscription: Subscription, start: datetime) -> tuple[Period, Period]:
    """Return the stretch that starts at an instant, to the end of its usage period or of the subscription."""
    period = period_containing(subscription.anchor_at, subscription.zone, Interval.MONTH, start)
    end = min(period.end, subscription.ends_at) if subscription.ends_at else period.end
    return Period(start, end), period
