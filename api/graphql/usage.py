"""What a customer has used, what it costs by the price list, and where the limits are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor
from typing import Annotated, NamedTuple

import strawberry
from strawberry.types import Info

from api.context import Reading
from api.graphql import ids
from api.graphql.catalogue import LimitPolicy, Meter, meter_of
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import computed, reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt, Cost, Json, exact
from api.graphql.subscriptions import Period
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.kernel import period as billing
from domain.kernel.ids import CustomerId, MeterId
from domain.limits import service as limits
from domain.limits.override import in_force
from domain.limits.projection import projected, reaches_at
from domain.limits.status import LimitState, LimitStatus
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue
from domain.plans.provider_price import LIST_CURRENCY
from domain.subscriptions.subscription import Subscription
from domain.usage import reading as readings

PROJECTED_DIGITS = 6

name_enum(
    LimitState,
    "LimitState",
    "Where usage stands against a limit.",
    OK="Below it.",
    AT_LIMIT="Just at it.",
    OVER_SOFT_LIMIT="Above it, and tolerated.",
    BLOCKED="Above what is tolerated.",
)


@guarded_type(Permission.USAGE_READ, "A meter's quantity for one combination of its dimensions.")
class DimensionUsage:
    """One combination."""

    dimensions: Json = strawberry.field(description="Dimension names and values.")
    quantity: Decimal = strawberry.field(description="In the meter's unit, exact.")


@guarded_type(Permission.USAGE_READ, "What one meter shows in the usage period: a counter's sum, or a level now.")
class MeterUsage:
    """One meter."""

    meter_id: strawberry.Private[MeterId]
    combinations: strawberry.Private[Sequence[readings.Combination]]
    key: str = strawberry.field(description="The meter's key, such as input_tokens.")
    quantity: Decimal = strawberry.field(description="In the meter's unit, exact, over all dimensions.")
    events: BigInt = strawberry.field(description="How many events it counted; 0 for a level.")

    @computed("The same by dimension, largest first; at most as many as the meter may have, 1,000 unless told.")
    def dimensions(self) -> list[DimensionUsage]:
        """Arrange them: only where they are asked for, as there may be many."""
        largest = sorted(self.combinations, key=lambda one: (-one.quantity, sorted(one.dimensions.items())))
        return [DimensionUsage(dimensions=Json(one.dimensions), quantity=exact(one.quantity)) for one in largest]

    @reading(Permission.CATALOGUE_READ, "The meter.")
    async def meter(self, info: Info[Context, None]) -> Meter:
        """Read it from the catalogue."""
        return meter_of((await info.context.loaders.catalogue()).meter(self.meter_id))


@guarded_type(Permission.USAGE_READ, "Where usage stands against a limit of the plan.")
class Limit:
    """A limit."""

    key: str = strawberry.field(description="The entitlement's key.")
    description: str = strawberry.field(description="For people.")
    policy: LimitPolicy = strawberry.field(description="What happens above it.")
    limit: Decimal | None = strawberry.field(description="In `unit`; null is unlimited.")
    used: Decimal = strawberry.field(description="In `unit`, exact.")
    percent: Decimal | None = strawberry.field(
        description="`used` in percent of `limit`, cut after six digits; null without a limit, or with one of 0."
    )
    state: LimitState = strawberry.field(description="Where usage stands.")
    unit: str = strawberry.field(description="What is counted; a currency for a cost cap, in major units.")
    resets_at: datetime | None = strawberry.field(description="When a counter starts anew; null for a level.")
    projected: Decimal | None = strawberry.field(
        description="What `used` will have come to at the end of the period at the present rate, cut after six digits; "
        "null in the period's first 24 hours and for a level."
    )
    reaches_at: datetime | None = strawberry.field(
        description="When the limit will be reached at the present rate; null where it is reached or the period ends "
        "first."
    )


@guarded_type(Permission.USAGE_READ, "Usage of one subscription in its present usage period.")
class SubscriptionUsage:
    """One subscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    product: str = strawberry.field(description="The product's key.")
    plan: str = strawberry.field(description="The plan's key.")
    period: Period = strawberry.field(description="The usage period.")
    cost: Cost | None = strawberry.field(description="What it costs by the provider price list; null without one.")
    projected_cost: Cost | None = strawberry.field(
        description="What it will have cost at the end of the period at the present rate, cut after six digits; null "
        "in the period's first 24 hours, and without a price list."
    )
    meters: list[MeterUsage] = strawberry.field(description="Meters that counted anything, by key.")
    limits: list[Limit] = strawberry.field(description="The plan's limits, in its order.")


@guarded_type(Permission.USAGE_READ, "A customer's usage as it stands.")
class Usage:
    """A customer's usage."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    version: BigInt = strawberry.field(
        description="Goes up with every commit of usage of the customer; what is shown is at least as new."
    )
    subscriptions: list[SubscriptionUsage] = strawberry.field(description="One for each live subscription.")


@guarded_type(Permission.USAGE_READ, "What moved of one meter between two frames.")
class UsageChange:
    """A change."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    key: str = strawberry.field(description="The meter's key.")
    by: Decimal = strawberry.field(
        description="How much it moved, in the meter's unit, exact; below zero for a correction or a level that fell."
    )
    quantity: Decimal = strawberry.field(description="What it shows now, in the meter's unit, exact.")


# What meters show: by subscription, begin of the usage period, and key.
Quantities = Mapping[tuple[str, datetime, str], Decimal]


def quantities_of(usage: Usage) -> Quantities:
    """Return what the meters show: what the next frame is compared with."""
    return {
        (each.subscription_id, each.period.start, meter.key): meter.quantity
        for each in usage.subscriptions
        for meter in each.meters
    }


def changes_between(before: Quantities, after: Usage) -> list[UsageChange]:
    """Return what moved, meter by meter. A new period, and a new subscription, begin at 0."""
    found = []
    for each in after.subscriptions:
        for meter in each.meters:
            was = before.get((each.subscription_id, each.period.start, meter.key), Decimal(0))
            if meter.quantity != was:
                by = exact(EXACT.subtract(meter.quantity, was))
                found.append(
                    UsageChange(subscription_id=each.subscription_id, key=meter.key, by=by, quantity=meter.quantity)
                )
    return found


def _meter_usage_of(catalogue: Catalogue, value: readings.MeterUsage) -> MeterUsage:
    return MeterUsage(
        meter_id=value.meter_id,
        combinations=value.combinations,
        key=catalogue.meter(value.meter_id).key,
        quantity=exact(value.quantity),
        events=BigInt(value.events),
    )


def _cut(value: Fraction | None) -> Decimal | None:
    """Cut a projection after six digits."""
    return None if value is None else exact(Decimal(floor(value * 10**PROJECTED_DIGITS)).scaleb(-PROJECTED_DIGITS))


def limit_of(value: LimitStatus, heading: tuple[billing.Period, datetime] | None = None) -> Limit:
    """Wrap where usage stands against a limit; with the running period and the present, also where it is heading.

    A level carries over and is not projected.
    """
    used = Fraction(value.used)
    limit = None if value.limit is None else Fraction(value.limit)
    return Limit(
        key=value.key,
        description=value.description,
        policy=LimitPolicy(value.policy),
        limit=exact(value.limit) if value.limit is not None else None,
        used=exact(value.used),
        percent=exact(value.percent) if value.percent is not None else None,
        state=value.state,
        unit=value.unit,
        resets_at=value.resets_at,
        projected=_cut(projected(used, *heading)) if heading and value.resets_at else None,
        reaches_at=reaches_at(used, limit, *heading) if heading and value.resets_at else None,
    )


def _cost_of(catalogue: Catalogue, subscription: Subscription, usage: readings.Usage) -> Cost | None:
    meters = [meter for meter in catalogue.meters_of(subscription.product_id) if meter.aggregation == "cost"]
    if not meters:
        return None
    with localcontext(EXACT):
        amount = sum((usage.quantity(meter.id) for meter in meters), Decimal(0))
    return Cost(amount=exact(amount), currency=LIST_CURRENCY)


def _projected_cost_of(cost: Cost | None, period: billing.Period, now: datetime) -> Cost | None:
    amount = None if cost is None else _cut(projected(Fraction(cost.amount), period, now))
    return Cost(amount=amount, currency=LIST_CURRENCY) if amount is not None else None


def _subscription_usage_of(
    catalogue: Catalogue,
    subscription: Subscription,
    usage: readings.Usage,
    statuses: Sequence[LimitStatus],
    *,
    now: datetime,
) -> SubscriptionUsage:
    cost = _cost_of(catalogue, subscription, usage)
    return SubscriptionUsage(
        subscription_id=ids.id_of("subscription", subscription.id),
        product=catalogue.product_by_id(subscription.product_id).key,
        plan=catalogue.plan_of_version(subscription.plan_version_id).key,
        period=Period(start=usage.period.start, end=usage.period.end),
        cost=cost,
        projected_cost=_projected_cost_of(cost, usage.period, now),
        meters=[
            _meter_usage_of(catalogue, usage.meters[meter.id])
            for meter in catalogue.meters_of(subscription.product_id)
            if meter.id in usage.meters
        ],
        limits=[limit_of(status, (usage.period, now)) for status in statuses],
    )


class Shown(NamedTuple):
    """A customer's usage, and what of it does not change by itself as time passes: without projections."""

    usage: Usage
    standing: object


async def read_usage(context: Context, customer_id: CustomerId) -> Shown:
    """Read one customer's usage, cost and limits, together with others that are asked for. Raises CustomerNotFound."""
    found = await context.serving.usage.get(customer_id)
    if found is None or not customers.is_seen(context.call, customer_id, found.standing.environment):
        raise customers.CustomerNotFound
    return _shown(customer_id, found, found.standing.clock_now or context.call.at)


def _shown(customer_id: CustomerId, found: Reading, now: datetime) -> Shown:
    parts, standing = [], []
    for subscription, usage in found.standing.running:
        own = in_force(found.overrides, subscription.product_id, now) if found.overrides else {}
        statuses = limits.limits_of(found.catalogue, subscription, usage, own)
        parts.append(_subscription_usage_of(found.catalogue, subscription, usage, statuses, now=now))
        # What moves a combination moves the version; what passing time moves is seen in the quantity.
        quantities = tuple([(each.meter_id, each.quantity) for each in usage.meters.values()])
        standing.append((usage.subscription_id, usage.period, subscription.plan_version_id, quantities, statuses))
    version = found.standing.version
    shown = Usage(customer_id=ids.id_of("customer", customer_id), version=BigInt(version), subscriptions=parts)
    return Shown(shown, (version, standing))


@strawberry.type
class UsageQuery:
    """Queries about usage."""

    @reading(Permission.USAGE_READ, "A customer's usage, cost and limits as they stand, or null.")
    async def usage(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> Usage | None:
        """Read it."""
        try:
            return (await read_usage(info.context, ids.customer_id(customer_id))).usage
        except customers.CustomerNotFound:
            return None
