"""What a customer has used, what it costs by the price list, and where the limits are."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.catalogue import LimitPolicy, Meter, meter_of
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt, Cost, Json, exact
from api.graphql.subscriptions import Period
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.kernel.ids import CustomerId, MeterId
from domain.limits import service as limits
from domain.limits.status import LimitState, LimitStatus
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue
from domain.plans.provider_price import LIST_CURRENCY
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage import reading as readings
from domain.usage import service

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
    key: str = strawberry.field(description="The meter's key, such as input_tokens.")
    quantity: Decimal = strawberry.field(description="In the meter's unit, exact, over all dimensions.")
    events: BigInt = strawberry.field(description="How many events it counted; 0 for a level.")
    dimensions: list[DimensionUsage] = strawberry.field(
        description="The same by dimension, largest first; at most as many as the meter may have, 1,000 unless told."
    )

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


@guarded_type(Permission.USAGE_READ, "Usage of one subscription in its present usage period.")
class SubscriptionUsage:
    """One subscription."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    product: str = strawberry.field(description="The product's key.")
    plan: str = strawberry.field(description="The plan's key.")
    period: Period = strawberry.field(description="The usage period.")
    cost: Cost | None = strawberry.field(description="What it costs by the provider price list; null without one.")
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


def _meter_usage_of(catalogue: Catalogue, value: readings.MeterUsage) -> MeterUsage:
    combinations = sorted(value.combinations, key=lambda one: (-one.quantity, sorted(one.dimensions.items())))
    return MeterUsage(
        meter_id=value.meter_id,
        key=catalogue.meter(value.meter_id).key,
        quantity=exact(value.quantity),
        events=BigInt(value.events),
        dimensions=[
            DimensionUsage(dimensions=Json(one.dimensions), quantity=exact(one.quantity)) for one in combinations
        ],
    )


def limit_of(value: LimitStatus) -> Limit:
    """Wrap where usage stands against a limit."""
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
    )


def _cost_of(catalogue: Catalogue, subscription: Subscription, usage: readings.Usage) -> Cost | None:
    meters = [meter for meter in catalogue.meters_of(subscription.product_id) if meter.aggregation == "cost"]
    if not meters:
        return None
    with localcontext(EXACT):
        amount = sum((usage.quantity(meter.id) for meter in meters), Decimal(0))
    return Cost(amount=exact(amount), currency=LIST_CURRENCY)


def _subscription_usage_of(
    catalogue: Catalogue, subscription: Subscription, usage: readings.Usage, statuses: Sequence[LimitStatus]
) -> SubscriptionUsage:
    return SubscriptionUsage(
        subscription_id=ids.id_of("subscription", subscription.id),
        product=catalogue.product_by_id(subscription.product_id).key,
        plan=catalogue.plan_of_version(subscription.plan_version_id).key,
        period=Period(start=usage.period.start, end=usage.period.end),
        cost=_cost_of(catalogue, subscription, usage),
        meters=[
            _meter_usage_of(catalogue, usage.meters[meter.id])
            for meter in catalogue.meters_of(subscription.product_id)
            if meter.id in usage.meters
        ],
        limits=[limit_of(status) for status in statuses],
    )


async def read_usage(context: Context, customer_id: CustomerId) -> Usage:
    """Read one customer's usage, cost and limits in one transaction. Raises CustomerNotFound."""
    catalogue = await context.runtime.catalogue()
    async with context.runtime.db.transaction() as tx:
        await customers.load_customer(tx, context.call, customer_id)
        version = await service.usage_version(tx, customer_id)
        parts = []
        for subscription in await subscriptions.list_subscriptions(tx, customer_id):
            if subscription.is_live:
                usage = await service.current_usage(tx, customer_id, subscription)
                now = await customers.business_now(tx, context.call, customer_id)
                own = await limits.overrides_in_force(tx, customer_id, subscription.product_id, now)
                statuses = limits.limits_of(catalogue, subscription, usage, own)
                parts.append(_subscription_usage_of(catalogue, subscription, usage, statuses))
    return Usage(customer_id=ids.id_of("customer", customer_id), version=BigInt(version), subscriptions=parts)


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
            return await read_usage(info.context, ids.customer_id(customer_id))
        except customers.CustomerNotFound:
            return None
