"""A product with a meter of every kind, and the rule that each must agree with, for tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from domain.access.roles import Permission
from domain.customers.customer import Customer
from domain.kernel.call import Environment, Principal, PrincipalKind
from domain.kernel.ids import MeterId
from domain.kernel.period import Period
from domain.plans import aggregation
from domain.plans import service as plans
from domain.plans.aggregation import Reading
from domain.plans.definition import ProductDefinition
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Segment, Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.reading import SegmentTotal, Usage, whole_of
from domain.usage.verdict import Status, Verdict
from tests import make
from tests.domain.usage.world import World, name_of

PRODUCT = "yard"
SAMPLE, BADGE, STOCK, PLAIN = "yard.sample", "yard.badge", "yard.stock", "yard.plain"
_PERIODS = (
    Period(make.at("2026-01-01"), make.at("2026-02-01")),
    Period(make.at("2026-02-01"), make.at("2026-03-01")),
)
_UTC = ZoneInfo("UTC")


def meter(key: str, event_type: str, aggregation: str, value: str | None = None, **more: Any) -> dict[str, Any]:
    """Describe a meter."""
    values = [value] if value else []
    given = {"key": key, "name": key, "event_type": event_type, "aggregation": aggregation, "unit": "unit"}
    return {**given, "value_properties": values, "dimensions": ["place"], **more}


METERS = [
    meter("samples", SAMPLE, "count"),
    meter("total", SAMPLE, "sum", "v"),
    meter("largest", SAMPLE, "max", "v"),
    meter("smallest", SAMPLE, "min", "v"),
    meter("mean", SAMPLE, "average", "v"),
    meter("last", SAMPLE, "latest", "v"),
    meter("median", SAMPLE, "percentile", "v", percent="50"),
    meter("p90", SAMPLE, "percentile", "v", percent="90", dimensions=[]),
    meter("visitors", BADGE, "unique_count", "who", operation_property="op"),
    meter("members", BADGE, "unique_count", "who", operation_property="op", carries_over=True),
    meter("member_days", BADGE, "unique_count", "who", operation_property="op", carries_over=True, by_days=True),
    meter("stock", STOCK, "level", "amount", operation_property="op"),
    meter("stock_days", STOCK, "level", "amount", operation_property="op", by_days=True),
    meter("stock_seconds", STOCK, "weighted_sum", "amount", operation_property="op"),
    meter("plain", PLAIN, "level", "delta"),
    meter("plain_days", PLAIN, "level", "delta", by_days=True),
    meter("plain_seconds", PLAIN, "weighted_sum", "delta", dimensions=[]),
]


def product(meters: Sequence[Mapping[str, Any]] = METERS, key: str = PRODUCT) -> ProductDefinition:
    """Describe a product with these meters, sold for nothing."""
    fee = {"key": "fee", "kind": "fee", "currency": "USD", "interval": "month", "model": "flat", "description": "Fee"}
    plan = {"key": "only", "name": "Only", "rank": 0, "support": "", "features": [], "invoice_grace_s": 0}
    plan |= {"prices": [{**fee, "definition": {"amount": "0.00"}}], "entitlements": []}
    return msgspec.convert({"key": key, "name": key, "meters": list(meters), "plans": [plan]}, ProductDefinition)


def sender(*, may_correct: bool = True, source: str = "gateway", product_key: str = PRODUCT) -> Principal:
    """Make the principal of a key that reports usage of the yard, and corrects it."""
    granted = {str(Permission.USAGE_WRITE), *((str(Permission.USAGE_CORRECT),) if may_correct else ())}
    kind, live = PrincipalKind.KEY, Environment.LIVE
    return Principal(kind, "key_y", "key", frozenset(granted), live, None, product=product_key, source=source)


@dataclass
class Yard:
    """A customer of the yard, and what was sent, in the order of arrival."""

    world: World
    customer: Customer
    subscription: Subscription
    meters: Mapping[str, MeterId]
    sent: dict[str, UsageEvent] = field(default_factory=dict)
    batches: int = 0

    async def send(self, *events: UsageEvent, by: Principal | None = None, atomic: bool = False) -> list[Verdict]:
        """Record a batch, each a millisecond after the one before; keep what was counted."""
        self.batches += 1
        at = make.at("2026-02-04") + timedelta(milliseconds=self.batches)
        call = make.call(at.replace(tzinfo=None).isoformat(), by or sender())
        verdicts = await self.world.recorder.record(call, events, atomic=atomic)
        for event, verdict in zip(events, verdicts, strict=True):
            if verdict.status is Status.COUNTED:
                self.sent.setdefault(event.id, event)
        return verdicts

    def event(
        self, event_id: str, event_type: str, at: str, *, corrects: str | None = None, **values: Any
    ) -> UsageEvent:
        """Make an event of the customer."""
        return UsageEvent(event_id, event_type, name_of(self.customer), None, at, values, corrects)

    def void(self, event_id: str, target: str) -> UsageEvent:
        """Make an event that voids another."""
        return UsageEvent(event_id, "void", name_of(self.customer), corrects=target)

    async def segments(self) -> list[Segment]:
        """Return the segments so far."""
        async with self.world.db.transaction() as tx:
            return (await subscriptions.segments_of(tx, [self.subscription.id]))[self.subscription.id]

    async def month(self, month: int = 0) -> dict[str, list[SegmentTotal]]:
        """Return what each meter, by its key, measured in January (0) or February (1), by combination."""
        own = [each for each in await self.segments() if each.period == _PERIODS[month]]
        async with self.world.db.transaction() as tx:
            segments = await usage.usage_of_segments(tx, self.customer.id, [each.id for each in own])
        every = [total for each in own for total in segments[each.id]]
        return {key: [total for total in every if total.meter_id == own_id] for key, own_id in self.meters.items()}

    async def totals(self, key: str, month: int = 0) -> list[SegmentTotal]:
        """Return what one meter measured in a month, by combination."""
        return (await self.month(month))[key]

    async def measured(self, key: str, month: int = 0) -> Fraction:
        """Return what a meter measured over all its combinations."""
        return whole_of(await self.totals(key, month))

    async def usage(self) -> Usage:
        """Return what January shows."""
        return await self.world.usage(self.subscription)

    async def state(self) -> dict[str, Any]:
        """Return everything that is measured, to compare before and after."""
        found: dict[str, Any] = {}
        for month in range(2):
            for key, totals in (await self.month(month)).items():
                found[f"{key}{month}"] = sorted(
                    (sorted(each.dimensions.items()), each.amount, each.whole, each.events, each.digest)
                    for each in totals
                    if each.events or each.amount
                )
        return found


async def open_yard(world: World) -> Yard:
    """Publish the product and subscribe a customer on 1 January 2026."""
    async with world.db.transaction() as tx:
        await plans.publish(tx, make.call(), product())
    async with world.db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
    customer = await world.customer()
    product_id = catalogue.product(PRODUCT).id
    async with world.db.transaction() as tx:
        subscription = await subscriptions.open_subscription(
            tx,
            make.call(),
            make.at("2026-01-01"),
            customer=customer,
            product_id=product_id,
            plan_version_id=catalogue.current_version(PRODUCT, "only").id,
            interval=Interval.MONTH,
            currency="USD",
        )
        february = await subscriptions.ensure_segment(tx, make.call(), subscription, make.at("2026-02-02"))
        assert february is not None
    return Yard(world, customer, subscription, {each.key: each.id for each in catalogue.meters_of(product_id)})


def rule(key: str, events: Iterable[UsageEvent], month: int) -> dict[str | None, Fraction | None]:
    """Return what a meter must measure in a month, by place, and over all places (None), by the pure rule."""
    [definition] = [each for each in METERS if each["key"] == key]
    own = [event for event in events if event.type == definition["event_type"]]
    carries = definition["aggregation"] in {"level", "weighted_sum"} or definition.get("carries_over", False)
    by_place: dict[str | None, list[Reading]] = {}
    for event in own:
        reading = _reading(definition, event)
        for place in (event.properties["place"], None):
            by_place.setdefault(place, []).append(reading)
    period = _PERIODS[month]
    measure = _RULES[key]
    found = {
        place: measure(aggregation.readings_of(readings, period, carries_over=carries), period)
        for place, readings in by_place.items()
    }
    if definition["aggregation"] in {"level", "weighted_sum"}:
        found[None] = sum((value or Fraction(0) for place, value in found.items() if place is not None), Fraction(0))
    return found


def _reading(definition: Mapping[str, Any], event: UsageEvent) -> Reading:
    at = datetime.fromisoformat(str(event.occurred_at))
    operation = event.properties.get("op", "add")
    if definition["event_type"] == BADGE:
        return Reading(at, key=event.properties["who"], operation=operation)
    [value] = [Decimal(event.properties[name]) for name in ("v", "amount", "delta") if name in event.properties]
    return Reading(at, Fraction(value), operation=operation)


def _percentile(percent: int) -> Callable[[Sequence[Reading], Period], Fraction | None]:
    return lambda readings, _: aggregation.percentile(readings, Fraction(percent))


def _days(period: Period) -> int:
    return (period.end - period.start).days


_RULES: Mapping[str, Callable[[Sequence[Reading], Period], Fraction | None]] = {
    "samples": lambda readings, _: aggregation.count(readings),
    "total": lambda readings, _: aggregation.total(readings),
    "largest": lambda readings, _: aggregation.largest(readings),
    "smallest": lambda readings, _: aggregation.smallest(readings),
    "mean": lambda readings, _: aggregation.average(readings),
    "last": lambda readings, _: aggregation.latest(readings),
    "median": _percentile(50),
    "p90": _percentile(90),
    "visitors": lambda readings, _: aggregation.unique_count(readings),
    "members": lambda readings, _: aggregation.unique_count(readings),
    "member_days": lambda readings, period: aggregation.prorated_unique_count(readings, period, _UTC, _days(period)),
    "stock": lambda readings, _: aggregation.total(readings),
    "stock_days": lambda readings, period: aggregation.prorated_sum(readings, period, _UTC, _days(period)),
    "stock_seconds": aggregation.weighted_sum,
    "plain": lambda readings, _: aggregation.total(readings),
    "plain_days": lambda readings, period: aggregation.prorated_sum(readings, period, _UTC, _days(period)),
    "plain_seconds": aggregation.weighted_sum,
}
