"""Read what meters measured, of each segment for rating, and of a running period."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.db import Tx
from domain.kernel.ids import CustomerId, MeterId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.plans.exact import EXACT
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage.combination import combination_of
from domain.usage.measure import (
    WHOLE,
    Kept,
    Kind,
    Scope,
    Stretch,
    first_day,
    measure,
    measure_key_days,
    measure_level_days,
    shown,
)
from domain.usage.measuring import store
from domain.usage.reading import Combination, MeterUsage, SegmentTotal, added_up
from domain.usage.totals import store as totals_store

_Measured = dict[Scope, Fraction | None]


class _Of(NamedTuple):
    """Whose usage is read."""

    driver: store.Driver
    customer_id: CustomerId
    subscription_id: SubscriptionId


async def totals_of_segments(
    tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]
) -> dict[SegmentId, list[SegmentTotal]]:
    """Return what each segment counted and measured by meter and combination.

    What stood at a segment's start and was not touched in it is measured too, without events.
    """
    found = await totals_store.list_segment_totals(tx, customer_id, segment_ids)
    driver = await tx.raw()
    segments = await store.list_segments(driver, customer_id, segment_ids)
    kinds = await store.list_kinds(driver, {row["product_id"] for row in segments})
    if not kinds:
        return found
    by_subscription: dict[SubscriptionId, list[Stretch]] = {}
    for row in segments:
        by_subscription.setdefault(row["subscription_id"], []).append(_stretch_of(row))
    for subscription_id, stretches in by_subscription.items():
        of = _Of(driver, customer_id, subscription_id)
        kept = await _load(of, stretches, kinds)
        for stretch in stretches:
            measured = _measured(kinds, stretch, kept) | await _by_days(of, stretch, kinds, kept)
            [segment_id] = stretch.segments
            found[segment_id] = await _with(of, found[segment_id], kinds, measured)
    return found


async def totals_together(tx: Tx, customer_id: CustomerId, segment_ids: Collection[SegmentId]) -> list[SegmentTotal]:
    """Return what segments of one usage period counted and measured together, by meter and combination.

    As if they were one segment, but without what lies between them.
    """
    found = await totals_store.list_segment_totals(tx, customer_id, segment_ids)
    counted = added_up(total for totals in found.values() for total in totals)
    driver = await tx.raw()
    rows = await store.list_segments(driver, customer_id, segment_ids)
    kinds = await store.list_kinds(driver, {row["product_id"] for row in rows})
    if not kinds:
        return counted
    of = _Of(driver, customer_id, rows[0]["subscription_id"])
    return await _with(of, counted, kinds, await _measured_together(of, [_stretch_of(row) for row in rows], kinds))


async def _measured_together(of: _Of, parts: Sequence[Stretch], kinds: Sequence[Kind]) -> _Measured:
    """Measure over all parts; what is weighed by time in each, as the time between them is not theirs."""
    first, last = parts[0], parts[-1]
    ids = tuple(segment_id for part in parts for segment_id in part.segments)
    whole = Stretch(ids, Period(first.during.start, last.during.end), first.period, first.zone)
    kept = await _load(of, [whole], kinds)
    weighed: dict[Scope, Fraction] = {}
    for part in parts:
        own = [kind for kind in kinds if kind.is_weighed]
        for scope, value in (_measured(own, part, kept) | await _by_days(of, part, own, kept)).items():
            weighed[scope] = weighed.get(scope, Fraction(0)) + (value or 0)
    return _measured(kinds, whole, kept) | weighed


def _stretch_of(row: Any) -> Stretch:
    """Read a segment as a stretch of its own."""
    during, period = Period(row["start_at"], row["end_at"]), Period(row["period_start_at"], row["period_end_at"])
    return Stretch((row["id"],), during, period, ZoneInfo(row["zone"]))


async def usage_of_period(
    tx: Tx, subscription: Subscription, segments: Sequence[Segment], totals: Mapping[MeterId, MeterUsage]
) -> dict[MeterId, MeterUsage]:
    """Return what meters show over the segments of one usage period, oldest first, of which `totals` are the sums.

    Meters that counted nothing, and levels that were never reported, are not among them.
    """
    driver, customer_id = await tx.raw(), subscription.customer_id
    kinds = await store.list_kinds(driver, [subscription.product_id])
    if not kinds:
        return dict(totals)
    border = segments[-1].during.end if segments else subscription.period.end
    start = segments[0].during.start if segments else subscription.period.start
    period = segments[0].period if segments else subscription.period
    zone = ZoneInfo(subscription.zone)
    stretch = Stretch(tuple(each.id for each in segments), Period(start, border), period, zone)
    kept = await _load(_Of(driver, customer_id, subscription.id), [stretch], kinds)
    measured = _measured(kinds, stretch, kept)
    # What a level shows is where it stands now, also after the last segment that was opened.
    levels = {kind.meter_id for kind in kinds if kind.carries and kind.aggregation != "weighted_sum"}
    measured |= {scope: Fraction(level) for scope, level in kept.levels.items() if scope[0] in levels}
    sets = await store.list_dimension_sets(driver, customer_id, {combination for _, combination in measured})
    shows = {kind.meter_id: _shown(kind, measured, kept, stretch, sets) for kind in kinds}
    found = {meter_id: each for meter_id, each in totals.items() if meter_id not in shows}
    return found | {meter_id: each for meter_id, each in shows.items() if each is not None}


def _shown(
    kind: Kind, measured: _Measured, kept: Kept, stretch: Stretch, sets: Mapping[UUID, dict[str, Any]]
) -> MeterUsage | None:
    """Return what one meter shows, or None where nothing was counted."""

    def events(scope: Scope) -> int:
        counted = (part.events for part in kept.parts.get(scope, ()) if part.segment_id in stretch.segments)
        return 0 if kind.carries and kind.aggregation != "weighted_sum" else sum(counted)

    own = {scope: value for scope, value in measured.items() if scope[0] == kind.meter_id and value is not None}
    own = {scope: value for scope, value in own.items() if scope in kept.levels or events(scope)}
    whole = own.pop((kind.meter_id, WHOLE), None)
    if whole is None:
        return None
    combinations = tuple(
        Combination(sets[scope[1]], shown(value), events(scope), value) for scope, value in sorted(own.items())
    )
    return MeterUsage(kind.meter_id, shown(whole), events((kind.meter_id, WHOLE)), combinations, whole)


async def _load(of: _Of, stretches: Sequence[Stretch], kinds: Sequence[Kind]) -> Kept:
    meters = [kind.meter_id for kind in kinds]
    since = min(stretch.during.start for stretch in stretches)
    segments = {segment_id for stretch in stretches for segment_id in stretch.segments}
    parts = await store.list_parts(*of, since, meters)
    carried = [kind.meter_id for kind in kinds if kind.carries]
    levels = await store.list_levels(*of, carried) if carried else {}
    ranked = [kind.meter_id for kind in kinds if kind.aggregation == "percentile"]
    values = await store.list_values(of.driver, of.customer_id, segments, ranked) if ranked else {}
    unique = [kind.meter_id for kind in kinds if kind.aggregation == "unique_count" and not kind.carries]
    several = [stretch for stretch in stretches if len(stretch.segments) > 1]
    keys: Mapping[Scope, int] = {}
    if unique and several:
        [stretch] = several
        keys = await store.count_keys(*of, unique, stretch.segments)
    return Kept(parts, levels, keys, _with_whole(values))


def _with_whole(
    values: Mapping[Scope, Sequence[tuple[SegmentId, Decimal, int]]],
) -> Mapping[Scope, Sequence[tuple[SegmentId, Decimal, int]]]:
    """Add the histograms over all combinations."""
    found: dict[Scope, list[tuple[SegmentId, Decimal, int]]] = {}
    for (meter_id, combination), histogram in values.items():
        found.setdefault((meter_id, combination), []).extend(histogram)
        if combination != WHOLE:
            found.setdefault((meter_id, WHOLE), []).extend(histogram)
    return found


def _measured(kinds: Iterable[Kind], stretch: Stretch, kept: Kept) -> _Measured:
    by_id = {kind.meter_id: kind for kind in kinds}
    return {scope: measure(by_id[scope[0]], scope[1], stretch, kept) for scope in kept.scopes if scope[0] in by_id}


async def _by_days(of: _Of, stretch: Stretch, kinds: Iterable[Kind], kept: Kept) -> _Measured:
    """Return what meters measured that are rated by their local days."""
    found: _Measured = {}
    daily = {kind.meter_id: kind for kind in kinds if kind.by_days}
    since = first_day(stretch)
    for scope in kept.scopes if daily else ():
        kind = daily.get(scope[0])
        if kind is None:
            continue
        if kind.aggregation == "level":
            hours = await store.list_hours(*of, scope, since)
            stood = kept.levels.get(scope, Decimal(0))
            for _, rise, _ in hours:
                stood = EXACT.subtract(stood, rise)
            own = [hour for hour in hours if hour[0] < stretch.during.end]
            found[scope] = measure_level_days(stood, own, stretch)
        else:
            span = (since, stretch.during.end)
            steps = await store.list_steps(*of, scope, span)
            keys = await store.list_standing_keys(*of, scope, since)
            found[scope] = measure_key_days(keys, steps, stretch)
    return found


async def _with(
    of: _Of, totals: Sequence[SegmentTotal], kinds: Sequence[Kind], measured: _Measured
) -> list[SegmentTotal]:
    """Put what was measured beside what was counted, and add what was measured without an event."""
    by_id = {kind.meter_id: kind for kind in kinds}
    ids = {combination for _, combination in measured}
    sets = await store.list_dimension_sets(of.driver, of.customer_id, ids)
    rest = dict(measured)
    found = []
    for total in totals:
        if total.meter_id in by_id:
            named = combination_of(total.meter_id.bytes, tuple(total.dimensions), tuple(total.dimensions.values()))
            scope = (total.meter_id, UUID(bytes=named.id))
            value = rest.pop(scope, None)
            whole = _whole(by_id[total.meter_id], measured)
            found.append(replace(total, measured=value or Fraction(0), whole=whole))
        else:
            found.append(total)
    for (meter_id, combination), value in rest.items():
        is_whole = combination == WHOLE and any(each != WHOLE for each_id, each in measured if each_id == meter_id)
        if value and not is_whole:
            whole = _whole(by_id[meter_id], measured)
            found.append(SegmentTotal(meter_id, sets.get(combination, {}), Decimal(0), 0, 0, value, whole))
    return found


def _whole(kind: Kind, measured: _Measured) -> Fraction | None:
    """Return what a meter measured over all its combinations; None where it has none, or they add up."""
    if kind.is_summed and not kind.by_days:
        return None
    return measured.get((kind.meter_id, WHOLE)) or Fraction(0)
