"""A small catalogue, a subscription and its segments, to derive invoices from by hand."""

from datetime import datetime
from decimal import Decimal

from domain.kernel.call import Environment
from domain.kernel.ids import (
    CustomerId,
    MeterId,
    PlanId,
    PlanVersionId,
    PriceId,
    ProductId,
    ProviderPriceId,
    SegmentId,
    SubscriptionId,
)
from domain.kernel.period import Period
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue, Entitlement, EntitlementId, Plan, PlanVersion, Price, Product, catalogue_of
from domain.plans.provider_price import ProviderPrice
from domain.subscriptions.schedule import Interval, period_containing
from domain.subscriptions.subscription import Segment, Source, Status, Subscription
from domain.usage.reading import SegmentTotal
from tests import make

CUSTOMER = CustomerId(make.new_id())
PRODUCT = Product(ProductId(make.new_id()), "llm", "LLM")
PLAN = Plan(PlanId(make.new_id()), PRODUCT.id, "pro", "Pro", 2)
VERSION = PlanVersionId(make.new_id())
GEMINI = {"provider": "gemini", "model": "gemini-2.5-pro"}
TAVILY = {"provider": "tavily", "model": "search"}


def _meter(key: str, aggregation: str, unit: str, *dimensions: str, event_type: str = "llm.call") -> Meter:
    return Meter(
        id=MeterId(make.new_id()),
        product_id=PRODUCT.id,
        key=key,
        name=key.replace("_", " "),
        event_type=event_type,
        aggregation=aggregation,  # type: ignore[arg-type]  # one of the four words
        value_properties=(),
        when_missing="skip",
        dimensions=dimensions,
        event_filter=None,
        unit=unit,
    )


COST = _meter("cost", "cost", "USD", "provider", "model")
INPUT = _meter("input_tokens", "sum", "token", "provider", "model")
OUTPUT = _meter("output_tokens", "sum", "token", "provider", "model")
REQUESTS = _meter("requests", "count", "request", "region", event_type="edge.request")


def _price(key: str, model: str, definition: dict[str, object], meter: Meter | None = None) -> Price:
    interval = {"fee_month": "month", "fee_year": "year"}.get(key)
    return Price(
        id=PriceId(make.new_id()),
        plan_version_id=VERSION,
        key=key,
        kind="usage" if meter else "fee",
        currency="USD",
        interval=interval,  # type: ignore[arg-type]  # month, year or none
        meter_id=meter.id if meter else None,
        model=model,  # type: ignore[arg-type]  # one of the models
        definition=definition,
        description=key,
    )


FEE = _price("fee_month", "flat", {"amount": "79.00"})
YEARLY_FEE = _price("fee_year", "flat", {"amount": "948.00"})
DYNAMIC = _price("usage", "dynamic", {"multiplier": "1.00"}, COST)
PER_REQUEST = _price("requests", "per_unit", {"unit_amount": "0.0003"}, REQUESTS)


def usage_price(model: str, definition: dict[str, object], meter: Meter) -> Price:
    """Make a price of what a meter counts."""
    return _price("usage", model, definition, meter)


def cost_cap(amount: str) -> Entitlement:
    """Make a hard monthly cost cap in USD."""
    return Entitlement(
        id=EntitlementId(make.new_id()),
        plan_version_id=VERSION,
        key="monthly_cost",
        kind="limit",
        meter_id=COST.id,
        money=True,
        dimension_filter=None,
        amount=Decimal(amount),
        currency="USD",
        policy="hard",
        soft_percent=None,
        grace_hours=None,
        on_failure="closed",
        source="requirements",
        description="monthly cost cap",
    )


def catalogue(*prices: Price, cap: str | None = None) -> Catalogue:
    """Make a catalogue of one plan; without prices it has its fees and the kept cost times 1.00."""
    version = PlanVersion(
        id=VERSION,
        plan_id=PLAN.id,
        number=3,
        published_at=make.at("2026-01-01"),
        invoice_grace_s=3600,
        features=(),
        support="e-mail",
        existing="stay",
        digest=b"",
        prices=prices or (FEE, YEARLY_FEE, DYNAMIC),
        entitlements=(cost_cap(cap),) if cap else (),
    )
    return catalogue_of("f", [PRODUCT], [PLAN], [version], [COST, INPUT, OUTPUT, REQUESTS])


def subscription(
    started: str = "2026-01-01",
    *,
    anchor: str | None = None,
    interval: Interval = Interval.MONTH,
    zone: str = "UTC",
    cancel: str | None = None,
    source: Source = Source.TOLLGATE,
) -> Subscription:
    """Make a subscription to the plan."""
    start, anchor_at = make.at(started), make.at(anchor or started)
    return Subscription(
        customer_id=CUSTOMER,
        id=SubscriptionId(make.new_id()),
        product_id=PRODUCT.id,
        plan_version_id=VERSION,
        environment=Environment.TEST,
        status=Status.ACTIVE,
        source=source,
        gateway_id="sub_1" if source is Source.STRIPE else None,
        anchor_at=anchor_at,
        zone=zone,
        interval=interval,
        currency="USD",
        quantity=1,
        started_at=start,
        period=period_containing(anchor_at, zone, Interval.MONTH, start),
        fee_period=period_containing(anchor_at, zone, interval, start),
        cancel_at=make.at(cancel) if cancel else None,
        canceled_at=None,
        ended_at=None,
        settles_at=None,
        cancel_reason=None,
        cancel_feedback=None,
        failed_invoice_ids=(),
        running_since=start,
        epoch=0,
        version=1,
    )


def segment(of: Subscription, start: str, end: str, *, period: tuple[str, str] | None = None) -> Segment:
    """Make a segment; its usage period is the segment itself unless given."""
    during = Period(make.at(start), make.at(end))
    whole = Period(make.at(period[0]), make.at(period[1])) if period else during
    return Segment(of.customer_id, SegmentId(make.new_id()), of.id, of.plan_version_id, during, whole, final=True)


def total(meter: Meter, quantity: str, dimensions: dict[str, str] | None = None, *, events: int = 1) -> SegmentTotal:
    """Make a total; its digest is the number of events."""
    return SegmentTotal(meter.id, dimensions or {}, Decimal(quantity), events, digest=events)


def list_price(
    pool: str, amount: str, *, valid_from: datetime, valid_to: datetime | None = None, model: str = "gemini-2.5-pro"
) -> ProviderPrice:
    """Make a row of the provider price list in USD per million units."""
    return ProviderPrice(
        ProviderPriceId(make.new_id()),
        "gemini",
        model,
        pool,
        Decimal(amount),
        Decimal(1_000_000),
        "USD",
        valid_from,
        valid_to,
        "requirements",
    )
