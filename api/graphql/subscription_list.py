"""Subscriptions of all customers: found by what is known of them, and counted."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.ranges import InstantRange, range_of
from api.graphql.subscriptions import Subscription, subscription_of
from domain.access.roles import Permission
from domain.kernel.call import Environment
from domain.kernel.ids import SubscriptionId
from domain.subscriptions import schedule
from domain.subscriptions import subscription as subscriptions
from domain.subscriptions.listing import filter as filters
from domain.subscriptions.listing import service


@strawberry.input(
    description="Subscriptions for which all of this holds; what is null, or an empty list, excludes nothing."
)
class SubscriptionFilter:
    """A filter of subscriptions."""

    environment: Environment | None = strawberry.field(description="Of one environment only.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(description="`cus_…`", default=None)
    statuses: list[subscriptions.Status] | None = strawberry.field(description="That stand so.", default=None)
    product: str | None = strawberry.field(description="A product's key.", default=None)
    plan: str | None = strawberry.field(
        description="A plan's key, together with its product's: in any version of it.", default=None
    )
    version_id: strawberry.ID | None = strawberry.field(description="`plv_…`, which they pin.", default=None)
    interval: schedule.Interval | None = strawberry.field(description="How often their fee is due.", default=None)
    currency: str | None = strawberry.field(description="ISO 4217, such as USD.", default=None)
    started: InstantRange | None = strawberry.field(description="When they started.", default=None)
    ends: InstantRange | None = strawberry.field(description="When they ended, or are known to end.", default=None)
    trial_ends: InstantRange | None = strawberry.field(description="When their trial ends or ended.", default=None)
    renews: InstantRange | None = strawberry.field(
        description="When their next fee is due; without those that are ended or paused by then.", default=None
    )


@guarded_type(
    Permission.SUBSCRIPTION_READ,
    "How many subscriptions of one environment, plan, interval and currency stand alike, all versions of the plan "
    "together.",
)
class SubscriptionTotals:
    """Counted subscriptions."""

    environment: Environment = strawberry.field(description="Live and test are never added.")
    product: str = strawberry.field(description="The product's key.")
    plan: str = strawberry.field(description="The plan's key.")
    interval: schedule.Interval = strawberry.field(description="How often their fee is due.")
    currency: str = strawberry.field(description="ISO 4217.")
    status: subscriptions.Status = strawberry.field(description="Where they stand.")
    count: int = strawberry.field(description="How many there are.")
    quantity: int = strawberry.field(description="How many units of the fee they are of, such as seats, added up.")


def _filter_of(given: SubscriptionFilter | None) -> filters.SubscriptionFilter:
    if given is None:
        return filters.SubscriptionFilter()
    return filters.SubscriptionFilter(
        environment=given.environment,
        customer_id=ids.customer_id(given.customer_id) if given.customer_id is not None else None,
        statuses=frozenset(given.statuses or ()),
        product=given.product,
        plan=given.plan,
        version_id=ids.plan_version_id(given.version_id) if given.version_id is not None else None,
        interval=given.interval,
        currency=given.currency,
        started=range_of(given.started),
        ends=range_of(given.ends),
        trial_ends=range_of(given.trial_ends),
        renews=range_of(given.renews),
    )


def _totals_of(value: filters.SubscriptionCount) -> SubscriptionTotals:
    return SubscriptionTotals(
        environment=value.environment,
        product=value.product,
        plan=value.plan,
        interval=value.interval,
        currency=value.currency,
        status=value.status,
        count=value.count,
        quantity=value.quantity,
    )


Subscriptions = Annotated[
    SubscriptionFilter | None, strawberry.argument(description="Which of them; null: all, ended ones too.")
]


@strawberry.type
class SubscriptionListQuery:
    """Queries over the subscriptions of all customers that the caller may see."""

    @reading(
        Permission.SUBSCRIPTION_READ,
        "Subscriptions of all customers that the caller may see, those made last first.",
    )
    async def subscriptions(
        self, info: Info[Context, None], filter: Subscriptions = None, first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[Subscription]:
        """List a page."""
        wanted = _filter_of(filter)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Subscription]]:
            async with info.context.runtime.db.transaction() as tx:
                before = SubscriptionId(last) if last else None
                found = await service.list_subscriptions(tx, info.context.call, wanted, before=before, limit=limit)
            return [(each.id, subscription_of(each)) for each in found]

        return await page(info.context, first, after, load)

    @reading(
        Permission.SUBSCRIPTION_READ,
        "How many of these subscriptions there are, by environment, plan, interval, currency and status. Reads each "
        "of them.",
    )
    async def subscription_totals(
        self, info: Info[Context, None], filter: Subscriptions = None
    ) -> list[SubscriptionTotals]:
        """Count them."""
        wanted = _filter_of(filter)
        async with info.context.runtime.db.transaction() as tx:
            found = await service.count_subscriptions(tx, info.context.call, wanted)
        return [_totals_of(each) for each in found]
