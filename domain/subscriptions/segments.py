"""Which segments follow one another, and which keep the same price: they tile a subscription's life without a gap."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from domain.kernel.ids import PlanVersionId, SubscriptionId
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval, period_containing
from domain.subscriptions.subscription import Segment, Subscription

# Three years of usage periods: more than are opened at once by any event in the window or any late close.
FOLLOWING_MAX = 36


def following(subscription: Subscription, last: Segment | None, at: datetime) -> Iterator[tuple[Period, Period]]:
    """Yield (stretch, usage period) of each segment after the last one, up to the one that contains an instant.

    None goes beyond the subscription's end or into a pause, and there are at most FOLLOWING_MAX.
    """
    start = max(last.during.end, subscription.running_since) if last else subscription.started_at
    for _ in range(FOLLOWING_MAX):
        if start > at or (subscription.stops_at is not None and start >= subscription.stops_at):
            return
        stretch, period = first_stretch(subscription, start)
        yield stretch, period
        start = stretch.end


def first_stretch(subscription: Subscription, start: datetime) -> tuple[Period, Period]:
    """Return the stretch that starts at an instant, to the end of its usage period, its trial, its grid or its life."""
    period = period_containing(subscription.anchor_at, subscription.zone, Interval.MONTH, start)
    trial = subscription.trial_ends_at
    ahead = [each for each in (trial, subscription.moves_at) if each is not None and each > start]
    borders = (period.end, subscription.stops_at, *ahead)
    return Period(start, min(each for each in borders if each is not None)), period


def retiled(
    subscription: Subscription, at: datetime, starts: Sequence[datetime]
) -> Iterator[tuple[int | None, Period, Period]]:
    """Yield the segments that lie from an instant on once a subscription has another grid, without a gap.

    `starts` are those of segments beyond the instant that are kept: the first begins at the instant, the others stay
    where they begin and end no later than the next. Each is yielded by its number, None for one that is new, with its
    stretch and usage period; without `starts` there is none.
    """
    begins = [at, *starts[1:]] if starts else []
    for number, begin in enumerate(begins):
        until = begins[number + 1] if number + 1 < len(begins) else None
        which: int | None = number
        stretch, period = first_stretch(subscription, begin)
        while until is not None and stretch.end < until:
            yield which, stretch, period
            which = None
            stretch, period = first_stretch(subscription, stretch.end)
        yield which, Period(stretch.start, until or stretch.end), period


def is_complete(subscription: Subscription, segment: Segment, at: datetime) -> bool:
    """Whether by an instant a segment has ended, and its usage period can have no further one.

    That is once the period is over, or the subscription, or it is paused: it resumes with another usage period. Until
    then the plan may come back to the segment's version, and both are rated together.
    """
    end = subscription.stops_at
    resumed = segment.during.start < subscription.running_since
    is_over = segment.period.end <= at or (end is not None and end <= at) or resumed
    return is_over and segment.during.end <= at


def keeping_their_price(segments: Iterable[Segment]) -> list[tuple[Segment, ...]]:
    """Group segments that are rated together, oldest first: those of a usage period under the same plan version.

    A price belongs to one plan version, so these and no others keep the same price. Another version's segments may lie
    between them.
    """
    found: dict[tuple[SubscriptionId, Period, PlanVersionId], list[Segment]] = {}
    for segment in sorted(segments, key=lambda each: each.during.start):
        key = (segment.subscription_id, segment.period, segment.plan_version_id)
        found.setdefault(key, []).append(segment)
    return [tuple(group) for group in found.values()]


def stretches_of(segments: Sequence[Segment]) -> list[Period]:
    """Return the time that segments cover, oldest first: those that follow one another are one stretch."""
    found: list[Period] = []
    for segment in segments:
        if found and found[-1].end == segment.during.start:
            found[-1] = Period(found[-1].start, segment.during.end)
        else:
            found.append(segment.during)
    return found
