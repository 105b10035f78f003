"""Usage as it is shown, in live frames and to queries.

A watcher is shown anew only what has moved, and what time moves.
A reading gives the very same values for what has not moved, so identity tells; where it gives other ones that are
equal, they are shown anew, and that comes to the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime
from operator import is_
from typing import Annotated, NamedTuple

import strawberry
from strawberry.types import Info

from api.context import Reading
from api.gathering import Gatherer
from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.projecting import cost_at, limit_at
from api.graphql.scalars import BigInt
from api.graphql.subscriptions import Period
from api.graphql.usage import (
    Limit,
    MeterUsage,
    SubscriptionUsage,
    Usage,
    cost_shown,
    limit_of,
    meter_usage_of,
)
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.kernel.values import dataclass
from domain.limits.comparing import Compared, compare
from domain.limits.override import Override, in_force
from domain.limits.projection import Course, Pace, course_of, pace_of
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription
from domain.usage import reading as readings


class Shown(NamedTuple):
    """A customer's usage, and what of it does not change by itself as time passes: without projections."""

    usage: Usage
    standing: object


class _Limit:
    """What was shown of a limit, beside what it was made of."""

    __slots__ = ("_pace", "compared", "shown")

    def __init__(self, compared: Compared) -> None:
        status = compared.status
        self.compared, self.shown = compared, limit_of(status)
        self._pace = None if status.resets_at is None else pace_of(status.used, status.limit)

    def at(self, course: Course | None) -> Limit:
        """Show it as of an instant."""
        self.shown = limit_at(self.shown, self._pace, course)
        return self.shown


class _Told(NamedTuple):
    """What is told of a subscription whatever it used, and the meters of its product."""

    subscription_id: strawberry.ID
    product: str
    plan: str
    meters: tuple[Meter, ...]
    cost_meters: tuple[Meter, ...]


@dataclass(eq=False, slots=True)
class _Part:
    """What was shown of a subscription, beside what it was made of: what is the very same is not made again."""

    catalogue: Catalogue
    subscription: Subscription
    overrides: Mapping[str, Override]
    told: _Told
    used: Mapping[MeterId, readings.MeterUsage] | None = None
    meters: dict[MeterId, tuple[readings.MeterUsage, MeterUsage]] = field(default_factory=dict)
    compared: Mapping[str, Compared] = field(default_factory=dict)
    limits: list[_Limit] = field(default_factory=list)
    pace: Pace | None = None
    shown: SubscriptionUsage | None = None
    standing: object = None

    def is_of(self, catalogue: Catalogue, subscription: Subscription, overrides: Mapping[str, Override]) -> bool:
        """Whether it is made of these: where one of them is another, all is shown anew."""
        is_same = self.catalogue is catalogue and self.subscription is subscription
        return is_same and self.overrides == overrides

    def show(self, usage: readings.Usage, now: datetime) -> SubscriptionUsage:
        """Show what was used and where it is heading at an instant; the very same where neither is another."""
        shown = self.shown
        if shown is None or usage.meters is not self.used:
            shown = self._moved(usage)
        if self.limits or self.pace is not None:
            shown = self._projected(shown, course_of(self.subscription.period, now))
        self.shown = shown
        return shown

    def _moved(self, usage: readings.Usage) -> SubscriptionUsage:
        """Show what was used by now; where it was heading is no longer true."""
        subscription, before, self.used = self.subscription, self.shown, usage.meters
        self.compared = compare(self.catalogue, subscription, usage, self.overrides, self.compared)
        statuses = [each.status for each in self.compared.values()]
        # Which limits there are is the same for as long as the subscription is.
        known = self.limits if before is not None else [None] * len(statuses)
        self.limits = [
            old if old is not None and old.compared is new else _Limit(new)
            for old, new in zip(known, self.compared.values(), strict=True)
        ]
        cost = cost_shown(self.told.cost_meters, usage)
        self.pace = None if cost is None else pace_of(cost.amount)
        # What moves a combination moves the version; what passing time moves is seen in the quantity.
        quantities = [(each.meter_id, each.quantity) for each in usage.meters.values()]
        self.standing = (usage.subscription_id, usage.period, subscription.plan_version_id, quantities, statuses)
        return SubscriptionUsage(
            subscription_id=self.told.subscription_id,
            product=self.told.product,
            plan=self.told.plan,
            period=Period(start=usage.period.start, end=usage.period.end),
            cost=cost,
            projected_cost=None,
            meters=list(self._meters(usage)),
            limits=_same_or([each.shown for each in self.limits], before),
        )

    def _meters(self, usage: readings.Usage) -> Iterator[MeterUsage]:
        for meter in self.told.meters:
            value = usage.meters.get(meter.id)
            if value is None:
                continue
            known = self.meters.get(meter.id)
            if known is None or known[0] is not value:
                known = self.meters[meter.id] = (value, meter_usage_of(meter, value))
            yield known[1]

    def _projected(self, shown: SubscriptionUsage, course: Course | None) -> SubscriptionUsage:
        """Say where it is heading, or that this cannot be told yet."""
        limits = _same_or([each.at(course) for each in self.limits], shown)
        cost = cost_at(shown.projected_cost, self.pace, course)
        if cost is shown.projected_cost and limits is shown.limits:
            return shown
        return SubscriptionUsage(
            subscription_id=shown.subscription_id,
            product=shown.product,
            plan=shown.plan,
            period=shown.period,
            cost=shown.cost,
            projected_cost=cost,
            meters=shown.meters,
            limits=limits,
        )


def _told(catalogue: Catalogue, subscription: Subscription) -> _Told:
    meters = catalogue.meters_of(subscription.product_id)
    return _Told(
        ids.id_of("subscription", subscription.id),
        catalogue.product_by_id(subscription.product_id).key,
        catalogue.plan_of_version(subscription.plan_version_id).key,
        meters,
        tuple([meter for meter in meters if meter.aggregation == "cost"]),
    )


def _same_or(limits: list[Limit], before: SubscriptionUsage | None) -> list[Limit]:
    """Return the very list that was shown before where it holds these."""
    is_same = before is not None and len(limits) == len(before.limits) and all(map(is_, limits, before.limits))
    return before.limits if before is not None and is_same else limits


class Showing:
    """What one watcher, or one query, was shown of a customer."""

    __slots__ = ("_name", "_parts", "customer_id")

    def __init__(self, customer_id: CustomerId) -> None:
        self.customer_id, self._name = customer_id, ids.id_of("customer", customer_id)
        self._parts: dict[SubscriptionId, _Part] = {}

    def show(self, found: Reading, now: datetime) -> Shown:
        """Show a reading as of an instant of the customer's business time."""
        parts, shown = {}, []
        for subscription, usage in found.standing.running:
            own = in_force(found.overrides, subscription.product_id, now) if found.overrides else {}
            part = self._parts.get(subscription.id)
            if part is None or not part.is_of(found.catalogue, subscription, own):
                part = _Part(found.catalogue, subscription, own, _told(found.catalogue, subscription))
            parts[subscription.id] = part
            shown.append(part.show(usage, now))
        self._parts = parts
        version = found.standing.version
        whole = Usage(customer_id=self._name, version=BigInt(version), subscriptions=shown)
        return Shown(whole, (version, [part.standing for part in parts.values()]))


async def read_usage(context: Context, showing: Showing, gathered: Gatherer[CustomerId, Reading]) -> Shown:
    """Read one customer's usage, cost and limits, together with others that are asked for. Raises CustomerNotFound."""
    return shown_to(context, showing, await gathered.get(showing.customer_id))


def shown_to(context: Context, showing: Showing, found: Reading | None) -> Shown:
    """Show a reading to whoever asked for it. Raises CustomerNotFound where there is none, or none that it may see."""
    principal = context.principal
    assert principal is not None, "whoever asks is known"
    if found is None or not customers.is_seen(principal, showing.customer_id, found.standing.environment):
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
