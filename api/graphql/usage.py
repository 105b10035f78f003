"""What a customer has used, what it costs by the price list, and where the limits are."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce

import strawberry
from strawberry.types import Info

from api.graphql.catalogue import LimitPolicy, Meter, meter_of
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import computed, reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt, Cost, Json, exact
from api.graphql.subscriptions import Period
from domain.access.roles import Permission
from domain.kernel.ids import MeterId
from domain.limits.status import LimitState, LimitStatus
from domain.plans import meter as definitions
from domain.plans.exact import EXACT
from domain.plans.provider_price import LIST_CURRENCY
from domain.usage import reading as readings

_NOTHING = Decimal(0)

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


def changes_between(before: Usage, after: Usage) -> list[UsageChange]:
    """Return what moved, meter by meter. A new period, and a new subscription, begin at 0."""
    found: list[UsageChange] = []
    known = {each.subscription_id: each for each in before.subscriptions}
    for each in after.subscriptions:
        old = known.get(each.subscription_id)
        if old is None or old.period.start != each.period.start:
            found += _changes((), each)
        elif old.meters is not each.meters:
            found += _changes(old.meters, each)
    return found


def _changes(before: Sequence[MeterUsage], after: SubscriptionUsage) -> Iterator[UsageChange]:
    was = {meter.key: meter.quantity for meter in before}
    for meter in after.meters:
        quantity = was.get(meter.key, _NOTHING)
        if meter.quantity is not quantity and meter.quantity != quantity:
            by = exact(EXACT.subtract(meter.quantity, quantity))
            yield UsageChange(subscription_id=after.subscription_id, key=meter.key, by=by, quantity=meter.quantity)


def meter_usage_of(meter: definitions.Meter, value: readings.MeterUsage) -> MeterUsage:
    """Wrap what a meter shows."""
    return MeterUsage(
        meter_id=value.meter_id,
        combinations=value.combinations,
        key=meter.key,
        quantity=exact(value.quantity),
        events=BigInt(value.events),
    )


def limit_of(value: LimitStatus) -> Limit:
    """Wrap where usage stands against a limit, without where it is heading."""
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
        projected=None,
        reaches_at=None,
    )


def cost_shown(meters: Sequence[definitions.Meter], usage: readings.Usage) -> Cost | None:
    """Return what these meters of cost have counted by the price list; None without any."""
    costs = [usage.quantity(meter.id) for meter in meters]
    return Cost(amount=exact(reduce(EXACT.add, costs)), currency=LIST_CURRENCY) if costs else None
