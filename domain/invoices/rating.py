"""Price times totals: the lines that the usage of segments under one price should have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from domain.invoices import document
from domain.invoices.derivation import WantedLine, digest_text
from domain.invoices.invoice import Identity, LineKind
from domain.kernel.ids import MeterId, PlanVersionId, encode
from domain.kernel.money import exact_text, exponent, to_minor
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue, Entitlement, Price
from domain.plans.price import MODELS, Charge, rate
from domain.plans.provider_price import ANY_MODEL, ProviderPrice
from domain.subscriptions.segments import stretches_of
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage.event import DIGEST_MODULUS
from domain.usage.measure import shown
from domain.usage.reading import SegmentTotal, whole_of

# What was counted of one type of event under the same dimensions, by the type and the dimensions' key.
_Beside = Mapping[tuple[str, str], Sequence[SegmentTotal]]
# Dated rows of the provider price list, by provider and model.
Rates = Mapping[tuple[str, str], Sequence[ProviderPrice]]


@dataclass(frozen=True, slots=True)
class Part:
    """One of several segments that are rated together, and what it counted alone."""

    segment: Segment
    totals: Sequence[SegmentTotal]


@dataclass(frozen=True, slots=True)
class SegmentUsage:
    """What was counted in one segment, and the price list that its kept costs were taken from.

    `events` holds what each event added, in order of time, for the meters that are priced by the event. Where several
    segments of a usage period keep the same price, `parts` are all of them in order of time, `segment` is the first,
    and `totals` and `events` are those of all together. The first names the lines: whatever else comes under the same
    price in the period comes after it, and so do later differences. `granted` is what is taken of promotional grants
    (by their ids) before rating.
    """

    subscription: Subscription
    segment: Segment
    totals: Sequence[SegmentTotal]
    rates: Rates
    events: Mapping[MeterId, Sequence[Decimal]] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    granted: Mapping[MeterId, Mapping[str, Fraction]] = field(default_factory=dict)

    @property
    def segments(self) -> list[Segment]:
        """The segments that are rated, in order of time."""
        return [part.segment for part in self.parts] or [self.segment]

    @property
    def share(self) -> Fraction:
        """The part of their usage period that the segments are: tiers, allowances and caps count by it."""
        return sum((each.during.share_of(each.period) for each in self.segments), Fraction(0))

    @property
    def zone(self) -> str:
        """The zone of their hours and days."""
        return self.segment.zone or self.subscription.zone

    @property
    def during(self) -> Period:
        """The service period, from the first start to the last end.

        Another plan may have been in force between: its lines overlap this one in time, and the description and the
        derivation name the times that are charged here. One line for each time would be rated apart.
        """
        return Period(self.segment.during.start, self.segments[-1].during.end)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all lines of one price share; `derivation` is the part of theirs that is the same.

    `parts` are those of the usage, with what each line charges of them by its dimension key.
    """

    usage: SegmentUsage
    price: Price
    meter: Meter
    product: str
    derivation: dict[str, Any]
    during: Period
    stretches: Sequence[Period]
    parts: Sequence[tuple[Segment, Mapping[str, Sequence[SegmentTotal]]]]


def usage_lines(usage: SegmentUsage, catalogue: Catalogue) -> list[WantedLine]:
    """Return the usage lines of segments that have ended, and what their cost caps take off.

    A price on kept costs gives a line for each combination of dimensions; any other gives one for the sum over them.
    Nothing counted and nothing due gives no line; a quantity that costs nothing keeps its line.
    """
    lines: list[WantedLine] = []
    for price in catalogue.usage_prices(usage.segment.plan_version_id, usage.subscription.currency):
        frame = _frame(usage, price, catalogue)
        counted = [total for total in usage.totals if total.meter_id == frame.meter.id]
        if frame.meter.aggregation == "cost":
            beside = _by_events(usage.totals, catalogue)
            found = [_cost_line(frame, total, beside, catalogue) for total in counted]
            lines += [*found, *_caps(usage, frame.meter, found, catalogue)]
        else:
            lines += _count_line(frame, counted)
    return lines


def _frame(usage: SegmentUsage, price: Price, catalogue: Catalogue) -> _Frame:
    meter = _meter_of(price, catalogue)
    said = {**sold(price, catalogue), **_time(usage), "meter": meter.key, "unit": meter.unit}
    product = catalogue.product_by_id(usage.subscription.product_id)
    parts = [(part.segment, _by_line(part.totals, meter)) for part in usage.parts]
    return _Frame(usage, price, meter, product.name, said, usage.during, stretches_of(usage.segments), parts)


def _by_line(totals: Sequence[SegmentTotal], meter: Meter) -> Mapping[str, Sequence[SegmentTotal]]:
    found = defaultdict[str, list[SegmentTotal]](list)
    for total in totals:
        if total.meter_id == meter.id:
            found[document.dimension_key(total.dimensions) if meter.aggregation == "cost" else ""].append(total)
    return found


def meters_by_event(plan_version_id: PlanVersionId, currency: str, catalogue: Catalogue) -> list[Meter]:
    """Return the meters whose price looks at each event: rating needs `SegmentUsage.events` of them."""
    prices = catalogue.usage_prices(plan_version_id, currency)
    return [_meter_of(price, catalogue) for price in prices if MODELS[price.model].by_event]


def _meter_of(price: Price, catalogue: Catalogue) -> Meter:
    assert price.meter_id is not None, "a usage price has a meter"
    return catalogue.meter(price.meter_id)


def _count_line(frame: _Frame, counted: Sequence[SegmentTotal]) -> list[WantedLine]:
    measured = None if all(total.measured is None for total in counted) else whole_of(counted)
    summed = SegmentTotal(
        meter_id=frame.meter.id,
        dimensions={},
        quantity=_sum(counted) if measured is None else shown(measured),
        events=sum(total.events for total in counted),
        digest=sum(total.digest for total in counted) % DIGEST_MODULUS,
    )
    in_all = summed.quantity if measured is None else measured
    granted = frame.usage.granted.get(frame.meter.id, {})
    in_order = sorted(counted, key=lambda total: sorted(total.dimensions.items()))
    charge = rate(
        frame.price,
        Fraction(in_all) - sum(granted.values()) if granted else in_all,
        combinations=[(total.dimensions, _amount(total)) for total in in_order],
        events=frame.usage.events.get(frame.meter.id, ()),
        share=frame.usage.share,
    )
    if not (charge.amount or in_all or summed.events):
        return []
    line = _usage_line(frame, summed, charge)
    return [replace(line, derivation={**line.derivation, **_granted(in_all, granted)})] if granted else [line]


def _granted(in_all: Decimal | Fraction, granted: Mapping[str, Fraction]) -> dict[str, Any]:
    """Say what was taken of promotional grants; the quantity stays whole."""
    grants = [
        {"grant": encode("grant", UUID(grant_id)), "quantity": exact_text(units)}
        for grant_id, units in sorted(granted.items())
    ]
    in_grants = exact_text(sum(granted.values(), Fraction(0)))
    return {"quantity": exact_text(in_all), "granted": {"quantity": in_grants, "grants": grants}}


def _cost_line(frame: _Frame, total: SegmentTotal, beside: _Beside, catalogue: Catalogue) -> WantedLine:
    """Charge the kept cost of one combination, and say what it was made of."""
    line = _usage_line(frame, total, rate(frame.price, total.quantity, total.quantity))
    line.derivation["counted"] = _counted_beside(total, beside, catalogue)
    line.derivation["rates"] = _rates(frame.usage, total)
    return line


def _usage_line(frame: _Frame, total: SegmentTotal, charge: Charge) -> WantedLine:
    usage, subscription, meter = frame.usage, frame.usage.subscription, frame.meter
    values = [total.dimensions[name] for name in meter.dimensions if name in total.dimensions]
    key = document.dimension_key(total.dimensions)
    amount = rounded(charge.amount, subscription.currency)
    return WantedLine(
        identity=Identity(LineKind.USAGE, subscription.id, frame.price.id, usage.segment.id, frame.during, key),
        description=document.describe_usage(frame.product, meter.name, values, frame.stretches, usage.zone),
        quantity=total.quantity,
        unit=meter.unit,
        amount_minor=amount["amount_minor"],
        derivation={
            **charge.derivation,
            **amount,
            **frame.derivation,
            "dimensions": dict(total.dimensions),
            "events": total.events,
            "digest": digest_text(total.digest),
            **_added_up(frame, key),
        },
    )


def _added_up(frame: _Frame, key: str) -> dict[str, Any]:
    """Say what each of several segments brings to a line; nothing for one alone."""
    found = []
    for segment, by_line in frame.parts:
        own = by_line.get(key, ())
        found.append(
            {
                **_part(segment),
                "quantity": exact_text(whole_of(own)),
                "events": sum(each.events for each in own),
                "digest": digest_text(sum(each.digest for each in own) % DIGEST_MODULUS),
            }
        )
    return {"segments": found} if found else {}


def _by_events(totals: Sequence[SegmentTotal], catalogue: Catalogue) -> _Beside:
    found = defaultdict[tuple[str, str], list[SegmentTotal]](list)
    for total in totals:
        found[catalogue.meter(total.meter_id).event_type, document.dimension_key(total.dimensions)].append(total)
    return found


def _counted_beside(cost: SegmentTotal, beside: _Beside, catalogue: Catalogue) -> dict[str, str]:
    """Return what other meters counted of the same events under the same dimensions: calls, and tokens by pool."""
    own = catalogue.meter(cost.meter_id)
    same = beside[own.event_type, document.dimension_key(cost.dimensions)]
    found = {catalogue.meter(total.meter_id).key: exact_text(_amount(total)) for total in same}
    return {key: quantity for key, quantity in sorted(found.items()) if key != own.key}


def _rates(usage: SegmentUsage, cost: SegmentTotal) -> list[dict[str, str | None]]:
    """Return the list rows of the line's model, or of any model of its provider, in force at times of the segments."""
    provider, model = cost.dimensions.get("provider", ""), cost.dimensions.get("model", "")
    rows = usage.rates.get((provider, model)) or usage.rates.get((provider, ANY_MODEL), ())
    in_force = (row for row in rows if any(_is_in_force(row, each.during) for each in usage.segments))
    return [_rate(row) for row in sorted(in_force, key=lambda row: (row.pool, row.valid_from, row.above))]


def _is_in_force(row: ProviderPrice, during: Period) -> bool:
    return row.valid_from < during.end and (row.valid_to is None or row.valid_to > during.start)


def _caps(usage: SegmentUsage, meter: Meter, lines: Sequence[WantedLine], catalogue: Catalogue) -> list[WantedLine]:
    """Take off what the charges on kept costs come to above a cost cap: the cap is their maximum."""
    charged_minor = sum(line.amount_minor for line in lines)
    found = []
    for entitlement in catalogue.version(usage.segment.plan_version_id).entitlements:
        if entitlement.money and entitlement.meter_id == meter.id and entitlement.amount is not None:
            line = _cap(usage, entitlement, charged_minor, catalogue)
            if line is not None:
                found.append(line)
                charged_minor += line.amount_minor
    return found


def _cap(usage: SegmentUsage, cap: Entitlement, charged_minor: int, catalogue: Catalogue) -> WantedLine | None:
    subscription, currency = usage.subscription, usage.subscription.currency
    assert cap.amount is not None, "only a limited amount caps"
    assert cap.currency == currency, "a cost cap is in the currency of the prices it caps"
    assert not cap.dimension_filter, "a cost cap covers the whole meter"
    cap_exact = Fraction(cap.amount) * usage.share
    above_minor = charged_minor - to_minor(cap_exact, currency)
    if above_minor <= 0:
        return None
    product = catalogue.product_by_id(subscription.product_id)
    above = Decimal(above_minor).scaleb(-exponent(currency))
    return WantedLine(
        identity=Identity(LineKind.CAP, subscription.id, None, usage.segment.id, usage.during, cap.key),
        description=document.describe_cap(product.name, stretches_of(usage.segments), usage.zone),
        quantity=above,
        unit=currency,
        amount_minor=-above_minor,
        derivation={
            "model": "cap",
            "entitlement": cap.key,
            "quantity": exact_text(above),
            "unit": currency,
            "cap": exact_text(cap.amount),
            "cap_of_segment": exact_text(cap_exact),
            "charged_minor": charged_minor,
            **rounded(-Fraction(above), currency),
            **_time(usage),
            **({"segments": [_part(part.segment) for part in usage.parts]} if usage.parts else {}),
        },
    )


def sold(price: Price, catalogue: Catalogue) -> dict[str, Any]:
    """Say what was sold: the price, its plan and the version."""
    version = catalogue.version(price.plan_version_id)
    return {
        "price_id": encode("price", price.id),
        "price": price.key,
        "plan": catalogue.plan_of_version(version.id).key,
        "plan_version": version.number,
    }


def rounded(exact: Fraction, currency: str) -> dict[str, Any]:
    """Say an exact amount in major units, and what it is once rounded."""
    return {
        "exact_amount": exact_text(exact),
        "rounding": f"half up to {exponent(currency)} digits",
        "amount_minor": to_minor(exact, currency),
        "currency": currency,
    }


def _time(usage: SegmentUsage) -> dict[str, Any]:
    return {
        "segment_id": encode("segment", usage.segment.id),
        "segment": stretch(usage.during),
        "period": stretch(usage.segment.period),
        "share_of_time": exact_text(usage.share),
    }


def _part(segment: Segment) -> dict[str, Any]:
    return {
        "segment_id": encode("segment", segment.id),
        **stretch(segment.during),
        "share_of_time": exact_text(segment.during.share_of(segment.period)),
    }


def stretch(period: Period) -> dict[str, str]:
    """Write a stretch of time as its two instants."""
    return {"start": _instant(period.start), "end": _instant(period.end)}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _rate(row: ProviderPrice) -> dict[str, str | None]:
    """Say a row; one for long calls says from how many input tokens on it prices a call."""
    return {
        "pool": row.pool,
        "amount": exact_text(row.amount),
        "per": exact_text(row.per),
        "currency": row.currency,
        "valid_from": _instant(row.valid_from),
        "valid_to": _instant(row.valid_to) if row.valid_to else None,
        "source": row.source,
        **({"above": str(row.above)} if row.above else {}),
    }


def _amount(total: SegmentTotal) -> Decimal | Fraction:
    return total.quantity if total.measured is None else total.measured


def _sum(totals: Sequence[SegmentTotal]) -> Decimal:
    found = Decimal(0)
    for total in totals:
        found = EXACT.add(found, total.quantity)
    return found
