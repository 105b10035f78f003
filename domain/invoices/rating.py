"""Price times totals: the lines that one segment's usage, or one fee period, should have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.invoices import document
from domain.invoices.derivation import WantedLine, digest_text
from domain.invoices.invoice import Identity, LineKind
from domain.kernel.ids import MeterId, PlanVersionId, encode
from domain.kernel.money import exact_text, exponent, to_minor
from domain.kernel.period import Period
from domain.plans.exact import EXACT
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue, Entitlement, Price
from domain.plans.price import MODELS, Charge, rate
from domain.plans.provider_price import ANY_MODEL, ProviderPrice
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage.event import DIGEST_MODULUS
from domain.usage.measure import shown
from domain.usage.reading import SegmentTotal, whole_of

# What was counted of one type of event under the same dimensions, by the type and the dimensions' key.
_Beside = Mapping[tuple[str, str], Sequence[SegmentTotal]]
# Dated rows of the provider price list, by provider and model.
Rates = Mapping[tuple[str, str], Sequence[ProviderPrice]]


@dataclass(frozen=True, slots=True)
class FeePeriod:
    """A fee period that has begun. `service` is the part of `whole` that is billed: all of it but for a short first."""

    service: Period
    whole: Period
    plan_version_id: PlanVersionId


@dataclass(frozen=True, slots=True)
class SegmentUsage:
    """What was counted in one segment, and the price list that its kept costs were taken from.

    `events` holds what each event added, in order of time, for the meters that are priced by the event.
    """

    subscription: Subscription
    segment: Segment
    totals: Sequence[SegmentTotal]
    rates: Rates
    events: Mapping[MeterId, Sequence[Decimal]] = field(default_factory=dict)

    @property
    def share(self) -> Fraction:
        """The part of its usage period that the segment is: tiers, allowances and caps count by it."""
        return self.segment.during.share_of(self.segment.period)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all lines of one price in a segment share; `derivation` is the part of theirs that is the same."""

    usage: SegmentUsage
    price: Price
    meter: Meter
    product: str
    derivation: dict[str, Any]


def fee_line(subscription: Subscription, fee: FeePeriod, catalogue: Catalogue) -> WantedLine:
    """Return the fee of one fee period, in advance. Raises PriceNotFound where the version is not sold that way."""
    price = catalogue.fee_price(fee.plan_version_id, subscription.interval, subscription.currency)
    plan, product = catalogue.plan_of_version(fee.plan_version_id), catalogue.product_by_id(subscription.product_id)
    charge = rate(price, Decimal(subscription.quantity))
    share = fee.service.share_of(fee.whole)
    exact = charge.amount * share
    return WantedLine(
        identity=Identity(LineKind.FEE, subscription.id, price.id, None, fee.service),
        description=document.describe_fee(
            product.name, plan.name, subscription.interval, fee.service, subscription.zone
        ),
        quantity=Decimal(subscription.quantity),
        unit=subscription.interval,
        amount_minor=to_minor(exact, subscription.currency),
        derivation={
            **charge.derivation,
            **_sold(price, catalogue),
            **_rounded(exact, subscription.currency),
            "unit": str(subscription.interval),
            "share_of_time": exact_text(share),
            "period": _stretch(fee.whole),
        },
    )


def usage_lines(usage: SegmentUsage, catalogue: Catalogue) -> list[WantedLine]:
    """Return the usage lines of a segment that has ended, and what its cost caps take off.

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
    said = {**_sold(price, catalogue), **_segment(usage.segment), "meter": meter.key, "unit": meter.unit}
    return _Frame(usage, price, meter, catalogue.product_by_id(usage.subscription.product_id).name, said)


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
    in_order = sorted(counted, key=lambda total: sorted(total.dimensions.items()))
    charge = rate(
        frame.price,
        in_all,
        combinations=[(total.dimensions, _amount(total)) for total in in_order],
        events=frame.usage.events.get(frame.meter.id, ()),
        share=frame.usage.share,
    )
    if not (charge.amount or in_all or summed.events):
        return []
    return [_usage_line(frame, summed, charge)]


def _cost_line(frame: _Frame, total: SegmentTotal, beside: _Beside, catalogue: Catalogue) -> WantedLine:
    """Charge the kept cost of one combination, and say what it was made of."""
    line = _usage_line(frame, total, rate(frame.price, total.quantity, total.quantity))
    line.derivation["counted"] = _counted_beside(total, beside, catalogue)
    line.derivation["rates"] = _rates(frame.usage, total)
    return line


def _usage_line(frame: _Frame, total: SegmentTotal, charge: Charge) -> WantedLine:
    subscription, segment, meter = frame.usage.subscription, frame.usage.segment, frame.meter
    values = [total.dimensions[name] for name in meter.dimensions if name in total.dimensions]
    key = document.dimension_key(total.dimensions)
    amount = _rounded(charge.amount, subscription.currency)
    return WantedLine(
        identity=Identity(LineKind.USAGE, subscription.id, frame.price.id, segment.id, segment.during, key),
        description=document.describe_usage(frame.product, meter.name, values, segment.during, subscription.zone),
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
        },
    )


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
    """Return the list rows of the line's model, or of any model of its provider, in force at times of the segment."""
    provider, model = cost.dimensions.get("provider", ""), cost.dimensions.get("model", "")
    rows = usage.rates.get((provider, model)) or usage.rates.get((provider, ANY_MODEL), ())
    during = usage.segment.during
    in_force = (
        row for row in rows if row.valid_from < during.end and (row.valid_to is None or row.valid_to > during.start)
    )
    return [_rate(row) for row in sorted(in_force, key=lambda row: (row.pool, row.valid_from))]


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
    subscription, segment = usage.subscription, usage.segment
    currency = subscription.currency
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
        identity=Identity(LineKind.CAP, subscription.id, None, segment.id, segment.during, cap.key),
        description=document.describe_cap(product.name, segment.during, subscription.zone),
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
            **_rounded(-Fraction(above), currency),
            **_segment(segment),
        },
    )


def _sold(price: Price, catalogue: Catalogue) -> dict[str, Any]:
    version = catalogue.version(price.plan_version_id)
    return {
        "price_id": encode("price", price.id),
        "price": price.key,
        "plan": catalogue.plan_of_version(version.id).key,
        "plan_version": version.number,
    }


def _rounded(exact: Fraction, currency: str) -> dict[str, Any]:
    return {
        "exact_amount": exact_text(exact),
        "rounding": f"half up to {exponent(currency)} digits",
        "amount_minor": to_minor(exact, currency),
        "currency": currency,
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "segment_id": encode("segment", segment.id),
        "segment": _stretch(segment.during),
        "period": _stretch(segment.period),
        "share_of_time": exact_text(segment.during.share_of(segment.period)),
    }


def _stretch(period: Period) -> dict[str, str]:
    return {"start": _instant(period.start), "end": _instant(period.end)}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _rate(row: ProviderPrice) -> dict[str, str | None]:
    return {
        "pool": row.pool,
        "amount": exact_text(row.amount),
        "per": exact_text(row.per),
        "currency": row.currency,
        "valid_from": _instant(row.valid_from),
        "valid_to": _instant(row.valid_to) if row.valid_to else None,
        "source": row.source,
    }


def _amount(total: SegmentTotal) -> Decimal | Fraction:
    return total.quantity if total.measured is None else total.measured


def _sum(totals: Sequence[SegmentTotal]) -> Decimal:
    found = Decimal(0)
    for total in totals:
        found = EXACT.add(found, total.quantity)
    return found
