"""A small product, customers and subscriptions to test with."""

import json
from datetime import datetime
from typing import Any

from domain.access.roles import system_principal
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.ids import ClockId, CustomerId, PlanVersionId, ProductId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.plans.plan import Catalogue
from domain.subscriptions import service
from domain.subscriptions.schedule import Interval, period
from domain.subscriptions.subscription import Segment, Source, Status, Subscription
from tests import make

GRACE_S = 3_600


def call(when: str | datetime = "2026-01-31T10:00") -> Call:
    """Make a system call at a real instant."""
    made = make.call(by=system_principal("test"))
    return Call(made.id, make.at(when) if isinstance(when, str) else when, made.principal, made.new_id)


def _plan(
    key: str, rank: int, *, month: str, year: str | None, page: str, existing: str, grace_s: int
) -> dict[str, Any]:
    fees = [
        {
            "key": f"fee_{interval}_usd",
            "kind": "fee",
            "currency": "USD",
            "interval": interval,
            "model": "flat",
            "definition": {"amount": amount},
            "description": f"Fee of a {interval}",
        }
        for interval, amount in (("month", month), ("year", year))
        if amount is not None
    ]
    usage = {
        "key": "usage_pages_usd",
        "kind": "usage",
        "currency": "USD",
        "meter": "pages",
        "model": "per_unit",
        "definition": {"unit_amount": page},
        "description": "Pages",
    }
    return {
        "key": key,
        "name": key.title(),
        "rank": rank,
        "support": "E-mail",
        "features": ["Printing"],
        "invoice_grace_s": grace_s,
        "prices": [*fees, usage],
        "entitlements": [],
        "existing": existing,
    }


def _product(
    month: str, year: str | None, existing: str, start: dict[str, Any] | None = None, grace_s: int = GRACE_S
) -> dict[str, Any]:
    return {
        "key": "print",
        "name": "Print",
        "meters": [
            {
                "key": "pages",
                "name": "Pages",
                "event_type": "print.page",
                "aggregation": "sum",
                "unit": "page",
                "value_properties": ["pages"],
            }
        ],
        "plans": [
            _plan("free", 0, month="0.00", year="0.00", page="0", existing="stay", grace_s=grace_s),
            _plan("basic", 1, month=month, year=year, page="0.05", existing=existing, grace_s=grace_s)
            | {"start": start or {}},
        ],
    }


async def publish(
    tx: Tx,
    *,
    month: str = "10.00",
    year: str | None = "108.00",
    existing: str = "stay",
    start: dict[str, Any] | None = None,
    grace_s: int = GRACE_S,
) -> Catalogue:
    """Publish a product "print": basic at 10.00 a month or 108.00 a year plus 0.05 a page, and free at nothing.

    `start` is how a subscription to basic starts.
    """
    await plans.publish(tx, call(), read_product(json.dumps(_product(month, year, existing, start, grace_s)).encode()))
    return await plans.load_catalogue(tx)


async def publish_other(tx: Tx, *, grace_s: int = GRACE_S, tax_code: str | None = None) -> Catalogue:
    """Publish a second product "scan" with the same plans, which are `tax_code` to taxes."""
    product = _product("10.00", "108.00", "stay", grace_s=grace_s) | {"key": "scan", "name": "Scan"}
    product["meters"][0] |= {"event_type": "scan.page"}
    product["plans"] = [plan | {"tax_code": tax_code} for plan in product["plans"]]
    await plans.publish(tx, call(), read_product(json.dumps(product).encode()))
    return await plans.load_catalogue(tx)


async def customer(
    tx: Tx, *, zone: str = "UTC", environment: Environment = Environment.TEST, clock_id: ClockId | None = None
) -> Customer:
    """Create a customer."""
    return await customers.create_customer(
        tx, call(), environment=environment, name="Ada", email="ada@example.com", zone=zone, clock_id=clock_id
    )


async def subscription(
    tx: Tx,
    of: Customer,
    catalogue: Catalogue,
    *,
    on: str = "2026-01-31T10:00",
    interval: Interval = Interval.MONTH,
    plan: str = "basic",
    product: str = "print",
) -> Subscription:
    """Open a subscription without billing it."""
    return await service.open_subscription(
        tx,
        call(on),
        make.at(on),
        customer=of,
        product_id=catalogue.product(product).id,
        plan_version_id=catalogue.current_version(product, plan).id,
        interval=interval,
        currency="USD",
    )


def value(
    *,
    on: str = "2026-01-31T10:00",
    zone: str = "UTC",
    interval: Interval = Interval.MONTH,
    status: Status = Status.ACTIVE,
    source: Source = Source.TOLLGATE,
) -> Subscription:
    """Make a subscription that is in no database."""
    anchor_at = make.at(on)
    return Subscription(
        customer_id=CustomerId(make.new_id()),
        id=SubscriptionId(make.new_id()),
        product_id=ProductId(make.new_id()),
        plan_version_id=PlanVersionId(make.new_id()),
        environment=Environment.TEST,
        status=status,
        source=source,
        gateway_id="sub_1" if source is Source.STRIPE else None,
        anchor_at=anchor_at,
        zone=zone,
        interval=interval,
        currency="USD",
        quantity=1,
        started_at=anchor_at,
        period=period(anchor_at, zone, Interval.MONTH, 0),
        fee_period=period(anchor_at, zone, interval, 0),
        cancel_at=None,
        canceled_at=None,
        ended_at=anchor_at if status is Status.CANCELED else None,
        settles_at=None,
        cancel_reason=None,
        cancel_feedback=None,
        failed_invoice_ids=(),
        running_since=anchor_at,
        epoch=0,
        version=1,
    )


def segment_of(subscription: Subscription, during: Period, whole: Period) -> Segment:
    """Make a segment that is in no database."""
    return Segment(
        subscription.customer_id,
        SegmentId(make.new_id()),
        subscription.id,
        subscription.plan_version_id,
        during,
        whole,
        final=False,
    )
