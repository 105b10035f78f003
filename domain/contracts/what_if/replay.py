"""What a usage period came to, beside what it would have come to under another plan version.

The same usage is rated both times: under a hard limit some of it would have been refused, which the limits that would
have been hit tell. A fee that is paid by the year counts with the period's share of its year.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.invoices import rating
from domain.invoices.assembly import usage_of
from domain.invoices.derivation import WantedLine
from domain.invoices.fees import FeePeriod, fee_lines
from domain.invoices.invoice import FEE_KINDS, Line, LineKind
from domain.invoices.rating import SegmentUsage
from domain.kernel.ids import CustomerId, MeterId, PlanVersionId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits.service import limits_of
from domain.limits.status import LimitState, LimitStatus
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue
from domain.subscriptions.schedule import period_containing
from domain.subscriptions.subscription import Segment, Subscription
from domain.subscriptions.term import term_of
from domain.usage.reading import Combination, MeterUsage, SegmentTotal, Usage

FEE_KEY = "fee"
Values = Mapping[MeterId, Sequence[Decimal]]
_ORDER = {LineKind.FEE: 0, LineKind.USAGE: 1, LineKind.CAP: 2}


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing that is charged. `key` is "fee", the meter's key, or that of the cost cap.

    `quantity` is what was counted in the period, or the fee's number of units; for a cap the amount that the other
    plan would take off. `present` is what was billed, or would be if the period ended now.
    """

    kind: LineKind
    key: str
    dimensions: Mapping[str, str]
    quantity: Decimal
    unit: str
    present: Money
    other: Money

    @property
    def difference(self) -> Money:
        """What the other plan would cost more; below zero what it would save."""
        return self.other - self.present


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One usage period under two plan versions. `limits_hit` are those of the other one that usage has reached."""

    customer_id: CustomerId
    subscription_id: SubscriptionId
    period: Period
    is_over: bool
    present_version_id: PlanVersionId
    other_version_id: PlanVersionId
    currency: str
    lines: tuple[Compared, ...]
    limits_hit: tuple[LimitStatus, ...]

    @property
    def present(self) -> Money:
        """What was or would be billed for the period."""
        return Money(sum(line.present.minor for line in self.lines), self.currency)

    @property
    def other(self) -> Money:
        """What the other plan version would have billed."""
        return Money(sum(line.other.minor for line in self.lines), self.currency)

    @property
    def difference(self) -> Money:
        """What the other plan would cost more; below zero what it would save."""
        return self.other - self.present


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in segments that are rated together: totals, and each event's value for prices that need it.

    `segments` are in order of time; mostly there is one.
    """

    segments: tuple[Segment, ...]
    totals: Sequence[SegmentTotal]
    values: Values
    granted: Mapping[MeterId, Mapping[str, Fraction]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replay:
    """A usage period of a subscription with all that is known of it.

    `segments` are those of the period by plan version; they tile the part of it that the subscription lived. `billed`
    are the lines that stand for them and for the period's fee. `meters` adds the segments up; `levels` are level meters
    as they stood at the period's end.
    """

    subscription: Subscription
    period: Period
    is_over: bool
    segments: tuple[Counted, ...]
    meters: Mapping[MeterId, MeterUsage]
    levels: Mapping[MeterId, MeterUsage]
    billed: Sequence[Line]

    @property
    def in_time(self) -> list[Segment]:
        """All segments in order of time."""
        return sorted((each for counted in self.segments for each in counted.segments), key=lambda one: one.during)


def compare(replay: Replay, whole: Counted, catalogue: Catalogue) -> WhatIf:
    """Rate a period as it was and under another version. Raises PriceNotFound where that is not sold alike.

    `whole` is the period as one segment under the other version.
    """
    present, other = _present(replay, catalogue), _other(replay, whole, catalogue)
    other_version_id = whole.segments[0].plan_version_id
    currency = replay.subscription.currency
    lines = tuple(
        _compared(present.get(key), other.get(key), currency) for key in sorted({*present, *other}, key=_in_order)
    )
    return WhatIf(
        customer_id=replay.subscription.customer_id,
        subscription_id=replay.subscription.id,
        period=replay.period,
        is_over=replay.is_over,
        present_version_id=replay.in_time[-1].plan_version_id,
        other_version_id=other_version_id,
        currency=currency,
        lines=lines,
        limits_hit=_limits_hit(replay, other_version_id, catalogue),
    )


# What identifies a charge in both: kind, key, and dimensions as sorted pairs.
_Key = tuple[LineKind, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class _Amount:
    key: _Key
    quantity: Decimal
    unit: str
    minor: int


def _in_order(key: _Key) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    return _ORDER[key[0]], key[1], key[2]


def _compared(present: _Amount | None, other: _Amount | None, currency: str) -> Compared:
    one = other or present
    assert one is not None, "a charge is on one side at least"
    return Compared(
        one.key[0],
        one.key[1],
        dict(one.key[2]),
        one.quantity,
        one.unit,
        Money(present.minor if present else 0, currency),
        Money(other.minor if other else 0, currency),
    )


def _present(replay: Replay, catalogue: Catalogue) -> dict[_Key, _Amount]:
    """Return what stands on invoices and, for what is not billed yet, what would."""
    found = [
        _amount(line.identity.kind, line.derivation, line.quantity, line.unit, line.amount.minor)
        for line in replay.billed
    ]
    billed = {line.identity.segment_id for line in replay.billed}
    for counted in replay.segments:
        if not billed & {segment.id for segment in counted.segments}:
            own = rating.usage_lines(_usage(replay.subscription, counted), catalogue)
            found += [_wanted(line) for line in own]
    if not any(line.identity.kind in FEE_KINDS for line in replay.billed):
        found.append(_wanted(_fee(replay, replay.in_time[0].plan_version_id, catalogue)))
    return _summed(found)


def _other(replay: Replay, whole: Counted, catalogue: Catalogue) -> dict[_Key, _Amount]:
    """Rate the period as one segment under another version."""
    lines = rating.usage_lines(_usage(replay.subscription, whole), catalogue)
    fee = _fee(replay, whole.segments[0].plan_version_id, catalogue)
    return _summed(_wanted(line) for line in (fee, *lines))


def as_one_segment(segments: Sequence[Segment], version_id: PlanVersionId) -> Segment:
    """Return the segments of a usage period as one under another version."""
    first, last = segments[0], segments[-1]
    return replace(first, plan_version_id=version_id, during=Period(first.during.start, last.during.end))


def _usage(subscription: Subscription, counted: Counted) -> SegmentUsage:
    """Give rating what is charged. A comparison does not say what each segment brought to it."""
    alone = {counted.segments[0].id: counted.totals}
    used = usage_of(subscription, counted.segments, alone, counted.totals)
    return replace(used, events=counted.values, granted=counted.granted)


def totals_of(meters: Mapping[MeterId, MeterUsage]) -> list[SegmentTotal]:
    """Write running totals as those that rating takes; a comparison has no digests."""
    parts = [
        (meter.meter_id, part.dimensions if isinstance(part, Combination) else {}, part)
        for meter in meters.values()
        for part in meter.combinations or (meter,)
    ]
    return [
        SegmentTotal(meter_id, dimensions, part.quantity, part.events, digest=0) for meter_id, dimensions, part in parts
    ]


def _fee(replay: Replay, version_id: PlanVersionId, catalogue: Catalogue) -> WantedLine:
    """Return the period's fee, or its share of a yearly one."""
    subscription = replay.subscription
    start = max(replay.period.start, subscription.started_at)
    whole = period_containing(subscription.anchor_at, subscription.zone, subscription.interval, start)
    sold = replace(subscription, plan_version_id=version_id)
    fee = FeePeriod(Period(start, replay.period.end), whole, (term_of(sold, start),))
    [line] = fee_lines(sold, fee, catalogue)
    return line


def _wanted(line: WantedLine) -> _Amount:
    return _amount(line.identity.kind, line.derivation, line.quantity, line.unit, line.amount_minor)


def _amount(kind: LineKind, derivation: Mapping[str, Any], quantity: Decimal, unit: str, minor: int) -> _Amount:
    if kind in FEE_KINDS:
        return _Amount((LineKind.FEE, FEE_KEY, ()), quantity, unit, minor)
    key = {LineKind.USAGE: derivation.get("meter"), LineKind.CAP: derivation.get("entitlement")}
    dimensions = tuple(sorted(derivation.get("dimensions", {}).items()))
    return _Amount((kind, str(key[kind]), dimensions), quantity, unit, minor)


def _summed(amounts: Iterable[_Amount]) -> dict[_Key, _Amount]:
    """Add up revisions, segments and prices of the same thing."""
    found: dict[_Key, _Amount] = {}
    for each in amounts:
        before = found.get(each.key, replace(each, quantity=Decimal(0), minor=0))
        quantity = EXACT.add(before.quantity, each.quantity)
        found[each.key] = replace(each, quantity=quantity, minor=before.minor + each.minor)
    return found


def _limits_hit(replay: Replay, version_id: PlanVersionId, catalogue: Catalogue) -> tuple[LimitStatus, ...]:
    """Compare the whole period with the limits of the other version as it is sold; those it has reached, by key."""
    subscription = replace(replay.subscription, plan_version_id=version_id)
    meters = {**replay.meters, **replay.levels}
    usage = Usage(subscription.customer_id, subscription.id, replay.period, 0, meters)
    reached = (each for each in limits_of(catalogue, subscription, usage, {}) if each.state is not LimitState.OK)
    return tuple(sorted(reached, key=lambda each: each.key))
