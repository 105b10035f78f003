"""Usage as it is shown, in live frames and to queries.

A watcher is shown anew only what has moved, and what time moves.
A reading gives the very same values for what has not moved, so identity tells; where it gives other ones that are
equal, they are shown anew, and that comes to the same.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Annotated, NamedTuple

import strawberry
from strawberry.types import Info

from api.context import Reading
from api.gathering import Gatherer
from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.scalars import BigInt
from api.graphql.subscriptions import Period
from api.graphql.usage import (
    Limit,
    MeterUsage,
    SubscriptionUsage,
    Usage,
    cost_shown,
    heading,
    limit_of,
    meter_usage_of,
    projected_cost_of,
)
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.kernel.values import dataclass
from domain.limits.comparing import Compared, compare
from domain.limits.override import Override, in_force
from domain.limits.projection import course_of
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription
from domain.usage import reading as readings


class Shown(NamedTuple):
    """A customer's usage, and what of it does not change by itself as time passes: without projections."""

    usage: Usage
    standing: object


class _Basis(NamedTuple):
    """What everything of a subscription is shown by: where one of them is another, all is shown anew."""

    catalogue: Catalogue
    subscription: Subscription
    overrides: Mapping[str, Override]

    def is_same(self, other: "_Basis") -> bool:
        same = self.catalogue is other.catalogue and self.subscription is other.subscription
        return same and self.overrides == other.overrides


@dataclass(frozen=True, slots=True)
class _Part:
    """What was shown of a subscription: each of its meters and limits beside what it was made of."""

    basis: _Basis
    used: Mapping[MeterId, readings.MeterUsage]
    meters: Mapping[MeterId, tuple[readings.MeterUsage, MeterUsage]] = field(default_factory=dict)
    compared: Mapping[str, Compared] = field(default_factory=dict)
    limits: Mapping[str, tuple[Compared, Limit]] = field(default_factory=dict)
    usage: SubscriptionUsage | None = None
    standing: object = None


class Showing:
    """What one watcher, or one query, was shown of a customer."""

    __slots__ = ("_name", "_parts", "customer_id")

    def __init__(self, customer_id: CustomerId) -> None:
        self.customer_id, self._name = customer_id, ids.id_of("customer", customer_id)
        self._parts: dict[SubscriptionId, _Part] = {}

    def show(self, found: Reading, now: datetime) -> Shown:
        """Show a reading as of an instant of the customer's business time."""
        parts = {}
        for subscription, usage in found.standing.running:
            own = in_force(found.overrides, subscription.product_id, now) if found.overrides else {}
            parts[subscription.id] = self._part(_Basis(found.catalogue, subscription, own), usage)
        self._parts = parts
        version = found.standing.version
        shown = [_projected(part, now) for part in parts.values()]
        whole = Usage(customer_id=self._name, version=BigInt(version), subscriptions=shown)
        return Shown(whole, (version, [part.standing for part in parts.values()]))

    def _part(self, basis: _Basis, usage: readings.Usage) -> _Part:
        before = self._parts.get(basis.subscription.id)
        if before is None or not before.basis.is_same(basis):
            return _moved(_Part(basis, {}), usage)
        return before if before.used is usage.meters else _moved(before, usage)


def _moved(before: _Part, usage: readings.Usage) -> _Part:
    """Show what a subscription has used by now."""
    catalogue, subscription, overrides = before.basis
    own = catalogue.meters_of(subscription.product_id)
    meters = {meter.id: _meter(before, meter, usage.meters[meter.id]) for meter in own if meter.id in usage.meters}
    compared = compare(catalogue, subscription, usage, overrides, before.compared)
    limits = {key: _limit(before, key, each) for key, each in compared.items()}
    # What moves a combination moves the version; what passing time moves is seen in the quantity.
    quantities = tuple([(each.meter_id, each.quantity) for each in usage.meters.values()])
    statuses = [each.status for each in compared.values()]
    standing = (usage.subscription_id, usage.period, subscription.plan_version_id, quantities, statuses)
    shown = SubscriptionUsage(
        subscription_id=ids.id_of("subscription", subscription.id),
        product=catalogue.product_by_id(subscription.product_id).key,
        plan=catalogue.plan_of_version(subscription.plan_version_id).key,
        period=Period(start=usage.period.start, end=usage.period.end),
        cost=cost_shown(own, usage),
        projected_cost=None,
        meters=[each for _, each in meters.values()],
        limits=[each for _, each in limits.values()],
    )
    return _Part(before.basis, usage.meters, meters, compared, limits, shown, standing)


def _meter(before: _Part, meter: Meter, value: readings.MeterUsage) -> tuple[readings.MeterUsage, MeterUsage]:
    known = before.meters.get(meter.id)
    return known if known is not None and known[0] is value else (value, meter_usage_of(meter, value))


def _limit(before: _Part, key: str, compared: Compared) -> tuple[Compared, Limit]:
    known = before.limits.get(key)
    return known if known is not None and known[0] is compared else (compared, limit_of(compared.status))


def _projected(part: _Part, now: datetime) -> SubscriptionUsage:
    """Say where what is shown of a subscription is heading at an instant."""
    assert part.usage is not None, "it has been shown"
    course = course_of(part.basis.subscription.period, now)
    return replace(
        part.usage,
        projected_cost=projected_cost_of(part.usage.cost, course),
        limits=[heading(limit, compared.status, course) for compared, limit in part.limits.values()],
    )


async def read_usage(context: Context, showing: Showing, gathered: Gatherer[CustomerId, Reading]) -> Shown:
    """Read one customer's usage, cost and limits, together with others that are asked for. Raises CustomerNotFound."""
    customer_id = showing.customer_id
    found = await gathered.get(customer_id)
    principal = context.principal
    assert principal is not None, "whoever asks is known"
    if found is None or not customers.is_seen(principal, customer_id, found.standing.environment):
        raise customers.CustomerNotFound
    return showing.show(found, found.standing.clock_now or context.at)


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
            showing = Showing(ids.customer_id(customer_id))
            return (await read_usage(info.context, showing, info.context.serving.usage)).usage
        except customers.CustomerNotFound:
            return None
