"""What is due by an instant: every fee period that has begun and every usage period that is over, within bounds."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.invoices.derivation import WantedLine
from domain.invoices.fees import FeePeriod, fee_lines, fee_periods_begun
from domain.invoices.granted import Taken, with_grants
from domain.invoices.invoice import FEE_KINDS, Identity, LineKind
from domain.invoices.rating import Part, Rates, SegmentUsage, usage_lines
from domain.kernel.ids import MeterId, SegmentId
from domain.kernel.values import dataclass
from domain.plans.plan import Catalogue
from domain.subscriptions.segments import is_complete, keeping_their_price
from domain.subscriptions.subscription import Segment, Source, Subscription
from domain.subscriptions.term import Term, billable
from domain.usage.reading import SegmentTotal

# Segments that ended this long ago or less are derived again: events arrive up to 35 days late, and a draft may wait.
SEGMENTS_REVISED = timedelta(days=3 * 31)
# How far back usage periods are looked at that were never billed, or whose invoice was voided.
SEGMENTS_BACK = timedelta(days=36 * 31)

# What each event added to a meter, in order of time, by meter and by the first of the segments rated together.
EventValues = Mapping[SegmentId, Mapping[MeterId, Sequence[Decimal]]]
# What segments counted and measured, each alone or several together under the first of them.
SegmentTotals = Mapping[SegmentId, Sequence[SegmentTotal]]


@dataclass(frozen=True, slots=True)
class Obligation:
    """The part of one subscription that a derivation looks at. Lines outside of it stay as they are.

    Of segments that keep the same price there are all or none; of fees, all since the first of `fees` began. An end
    with credit gives back what was paid from `credited_from` on, also a fee that was due at that very instant.
    """

    subscription: Subscription
    segments: tuple[Segment, ...]
    fees: tuple[FeePeriod, ...]
    credited_from: datetime | None = None

    @property
    def fees_since(self) -> datetime | None:
        """The first instant from which fees are looked at; None where none are."""
        starts = [fee.service.start for fee in self.fees[:1]]
        return min([*starts, *([self.credited_from] if self.credited_from else [])], default=None)

    @property
    def groups(self) -> list[tuple[Segment, ...]]:
        """The segments that are rated together."""
        return keeping_their_price(self.segments)


def obligation_of(
    subscription: Subscription,
    segments: Sequence[Segment],
    billed: Collection[SegmentId],
    now: datetime,
    terms: Sequence[Term] = (),
) -> Obligation:
    """Choose what to derive by business time `now`, from a subscription's segments and terms in order of time.

    That is the segments that are complete and ended within SEGMENTS_REVISED, those that ended before and were not
    `billed` (no line on an opened invoice that is not void), and the last fee periods that have begun. The caller
    loads segments back to SEGMENTS_BACK. Without `terms` the subscription has been what it is since its start. What
    Stripe bills is never rated here, and what was used in a trial is never charged.

    Segments that keep the same price are chosen as one: by the last end, and billed by a line that names any of them.
    A usage period is rated once it can have no further segment, so that a line is derived with its whole service period
    and keeps its identity. Whole periods are looked at, lest the first of a group was not loaded.
    """
    if subscription.source is Source.STRIPE:
        return Obligation(subscription, (), ())
    chosen = {
        segment.id
        for group in keeping_their_price(billable(terms, segments))
        if _is_considered(subscription, group, billed, now)
        for segment in group
    }
    considered = tuple(segment for segment in segments if segment.id in chosen)
    # A stretch that owes nothing follows the end where what is left of the fee goes back.
    is_credited = bool(terms) and not terms[-1].billed and terms[-1].starts_at == subscription.ended_at
    fees = fee_periods_begun(subscription, terms, now)
    return Obligation(subscription, considered, fees, subscription.ended_at if is_credited else None)


def _is_considered(
    subscription: Subscription, group: Sequence[Segment], billed: Collection[SegmentId], now: datetime
) -> bool:
    if group[0].period.start < now - SEGMENTS_BACK or not all(is_complete(subscription, each, now) for each in group):
        return False
    return group[-1].during.end > now - SEGMENTS_REVISED or not any(each.id in billed for each in group)


def is_considered(identity: Identity, obligations: Iterable[Obligation]) -> bool:
    """Whether a line belongs to what these obligations were chosen for.

    A fee billed in advance of a period at whose very start its subscription ended, as for not paying it, stays, unless
    the end was with credit. What an end takes back begins there too, and is looked at.
    """
    for obligation in obligations:
        if obligation.subscription.id == identity.subscription_id:
            if identity.kind in FEE_KINDS:
                return _is_fee_considered(identity, obligation)
            return any(segment.id == identity.segment_id for segment in obligation.segments)
    return False


def _is_fee_considered(identity: Identity, obligation: Obligation) -> bool:
    start, since, ended_at = identity.period.start, obligation.fees_since, obligation.subscription.ended_at
    is_after_end = identity.kind is LineKind.FEE and ended_at is not None and start >= ended_at
    return since is not None and start >= since and (not is_after_end or obligation.credited_from is not None)


def lines_due(
    obligations: Sequence[Obligation],
    totals: SegmentTotals,
    rates: Rates,
    catalogue: Catalogue,
    events: EventValues | None = None,
    *,
    together: SegmentTotals | None = None,
    taken: Taken | None = None,
) -> list[WantedLine]:
    """Return every line that should exist for these obligations, whatever was billed before. Raises PriceNotFound.

    `events` holds what segments need whose prices look at each event (`rating.meters_by_event`); `together` what
    several segments counted that keep the same price; `taken` what segments take of promotional grants.
    """
    wanted: list[WantedLine] = []
    for due in obligations:
        for group in due.groups:
            usage = usage_of(due.subscription, group, totals, (together or {}).get(group[0].id, ()))
            values = (events or {}).get(group[0].id, {})
            given = with_grants(usage, taken or {})
            wanted += usage_lines(replace(given, rates=rates, events=values), catalogue)
        wanted += [line for fee in due.fees for line in fee_lines(due.subscription, fee, catalogue)]
    return wanted


def usage_of(
    subscription: Subscription, group: Sequence[Segment], totals: SegmentTotals, together: Sequence[SegmentTotal]
) -> SegmentUsage:
    """Return the usage of segments that keep the same price, to be rated; `together` is theirs where they are several.

    One alone is what it counted: nothing is added up.
    """
    first, *others = group
    if not others:
        return SegmentUsage(subscription, first, totals.get(first.id, ()), {})
    parts = [Part(segment, totals.get(segment.id, ())) for segment in group]
    return SegmentUsage(subscription, first, together, {}, parts=parts)
