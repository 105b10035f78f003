"""What is due by an instant: every fee period that has begun and every segment that has ended, within bounds."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from domain.invoices.derivation import WantedLine
from domain.invoices.invoice import Identity, LineKind
from domain.invoices.rating import FeePeriod, Rates, SegmentUsage, fee_line, usage_lines
from domain.kernel.ids import MeterId, PlanVersionId, SegmentId
from domain.kernel.period import Period
from domain.plans.plan import Catalogue
from domain.subscriptions import schedule
from domain.subscriptions.subscription import Segment, Source, Subscription
from domain.usage.reading import SegmentTotal

# Segments that ended this long ago or less are derived again: events arrive up to 35 days late, and a draft may wait.
SEGMENTS_REVISED = timedelta(days=3 * 31)
# How far back segments and fee periods are looked at that were never billed, or whose invoice was voided.
SEGMENTS_BACK = timedelta(days=36 * 31)
FEE_PERIODS_BACK_MAX = 36

# What each event added to a meter, in order of time, by segment and meter.
EventValues = Mapping[SegmentId, Mapping[MeterId, Sequence[Decimal]]]


@dataclass(frozen=True, slots=True)
class Obligation:
    """The part of one subscription that a derivation looks at. Lines outside of it stay as they are."""

    subscription: Subscription
    segments: tuple[Segment, ...]
    fees: tuple[FeePeriod, ...]


def obligation_of(
    subscription: Subscription, segments: Sequence[Segment], billed: Collection[SegmentId], now: datetime
) -> Obligation:
    """Choose what to derive by business time `now`, from a subscription's segments in order of time.

    That is the segments that ended within SEGMENTS_REVISED, those that ended before and were not `billed` (no line on
    an opened invoice that is not void), and the last FEE_PERIODS_BACK_MAX fee periods that have begun. The caller loads
    segments back to SEGMENTS_BACK. What Stripe bills is never rated here.
    """
    if subscription.source is Source.STRIPE:
        return Obligation(subscription, (), ())
    considered = tuple(
        segment
        for segment in segments
        if segment.during.end <= now and (segment.during.end > now - SEGMENTS_REVISED or segment.id not in billed)
    )
    return Obligation(subscription, considered, fee_periods_begun(subscription, segments, now))


def fee_periods_begun(subscription: Subscription, segments: Sequence[Segment], now: datetime) -> tuple[FeePeriod, ...]:
    """Return the fee periods that have begun by `now`, oldest first, at most FEE_PERIODS_BACK_MAX.

    A fee is due at the first instant of its period, and not for a period that starts where the subscription ends.
    """
    anchor, zone, interval = subscription.anchor_at, subscription.zone, subscription.interval
    first = schedule.period_number(anchor, zone, interval, subscription.started_at)
    last = schedule.period_number(anchor, zone, interval, now)
    found = []
    for number in range(max(first, last - FEE_PERIODS_BACK_MAX + 1), last + 1):
        whole = schedule.period(anchor, zone, interval, number)
        start = max(whole.start, subscription.started_at)
        version_id = _version_at(subscription, segments, start)
        if start <= now and not _has_ended(subscription, start) and version_id is not None:
            found.append(FeePeriod(Period(start, whole.end), whole, version_id))
    return tuple(found)


def _has_ended(subscription: Subscription, at: datetime) -> bool:
    return subscription.ends_at is not None and at >= subscription.ends_at


def _version_at(subscription: Subscription, segments: Sequence[Segment], at: datetime) -> PlanVersionId | None:
    """Return the plan version in force at an instant: the segment's, or the present one where none is opened yet.

    None for an instant before the segments at hand: it lies further back than a derivation looks.
    """
    for segment in segments:
        if at in segment.during:
            return segment.plan_version_id
    before_all = bool(segments) and at < segments[0].during.start
    return None if before_all else subscription.plan_version_id


def is_considered(identity: Identity, obligations: Iterable[Obligation]) -> bool:
    """Whether a line belongs to what these obligations were chosen for."""
    for obligation in obligations:
        if obligation.subscription.id == identity.subscription_id:
            if identity.kind is LineKind.FEE:
                return any(fee.service == identity.period for fee in obligation.fees)
            return any(segment.id == identity.segment_id for segment in obligation.segments)
    return False


def lines_due(
    obligations: Sequence[Obligation],
    totals: Mapping[SegmentId, Sequence[SegmentTotal]],
    rates: Rates,
    catalogue: Catalogue,
    events: EventValues | None = None,
) -> list[WantedLine]:
    """Return every line that should exist for these obligations, whatever was billed before. Raises PriceNotFound.

    `events` holds what segments need whose prices look at each event (`rating.meters_by_event`).
    """
    wanted: list[WantedLine] = []
    for due in obligations:
        for segment in due.segments:
            values = (events or {}).get(segment.id, {})
            usage = SegmentUsage(due.subscription, segment, totals.get(segment.id, ()), rates, values)
            wanted += usage_lines(usage, catalogue)
        wanted += [fee_line(due.subscription, fee, catalogue) for fee in due.fees]
    return wanted
