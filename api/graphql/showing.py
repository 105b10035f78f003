"""Usage as it is shown, in live frames and to queries.

A watcher is shown anew only what has moved, and what time moves.
A reading gives the very same values for what has not moved, so identity tells; where it gives other ones that are
equal, they are shown anew, and that comes to the same.
"""

from collections.abc import Mapping
from datetime import datetime
from operator import is_
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import Reading
from api.gathering import Gatherer
from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.projecting import cost_at, limit_at
from api.graphql.scalars import BigInt, Cost
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
from domain.kernel.ids import CustomerId, MeterId
from domain.limits.comparing import Terms, terms_of
from domain.limits.override import Override, in_force
from domain.limits.projection import Course, Pace, course_of, pace_of
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription
from domain.usage import reading as readings


class _Limit:
    """A limit as it was shown last, beside what its meter showed then."""

    __slots__ = ("_counted", "_pace", "_shown", "_terms")

    def __init__(self, terms: Terms, usage: readings.Usage) -> None:
        self._terms = terms
        self._take(usage, usage.meters.get(terms.meter_id))

    def moved(self, usage: readings.Usage) -> None:
        """Look at what was used by now."""
        counted = usage.meters.get(self._terms.meter_id)
        if counted is not self._counted:
            self._take(usage, counted)

    def _take(self, usage: readings.Usage, counted: readings.MeterUsage | None) -> None:
        status = self._terms.status(usage)
        self._counted, self._shown = counted, limit_of(status)
        self._pace = None if status.resets_at is None else pace_of(status.used, status.limit)

    def at(self, course: Course | None) -> Limit:
        """Show it as of an instant."""
        self._shown = limit_at(self._shown, self._pace, course)
        return self._shown


class _Meter:
    """A meter as it was shown last, beside what it showed then; None: nothing."""

    __slots__ = ("_counted", "_meter", "_shown")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._counted: readings.MeterUsage | None = None
        self._shown: MeterUsage | None = None

    def at(self, usage: readings.Usage) -> MeterUsage | None:
        """Show what it shows by now."""
        counted = usage.meters.get(self._meter.id)
        if counted is not self._counted:
            self._counted = counted
            self._shown = None if counted is None else meter_usage_of(self._meter, counted)
        return self._shown


class _Part:
    """A subscription as it was shown last, beside what it was made of: what is the very same is not made again."""

    __slots__ = (
        "_catalogue",
        "_cost",
        "_limits",
        "_meters",
        "_overrides",
        "_pace",
        "_period",
        "_priced",
        "_shown",
        "_subscription",
        "_used",
    )

    def __init__(
        self,
        catalogue: Catalogue,
        subscription: Subscription,
        overrides: Mapping[str, Override],
        usage: readings.Usage,
    ) -> None:
        self._catalogue, self._subscription, self._overrides = catalogue, subscription, overrides
        meters = catalogue.meters_of(subscription.product_id)
        self._meters = [_Meter(meter) for meter in meters]
        self._priced = [meter for meter in meters if meter.aggregation == "cost"]
        self._limits = [_Limit(terms, usage) for terms in terms_of(catalogue, subscription, overrides)]
        self._period = Period(start=usage.period.start, end=usage.period.end)
        self._used: Mapping[MeterId, readings.MeterUsage] | None = None
        self._cost: Cost | None = None
        self._pace: Pace | None = None
        self._shown: SubscriptionUsage | None = None

    def is_of(self, catalogue: Catalogue, subscription: Subscription, overrides: Mapping[str, Override]) -> bool:
        """Whether it is made of these: where one of them is another, all is shown anew."""
        is_same = self._catalogue is catalogue and self._subscription is subscription
        return is_same and self._overrides == overrides

    def show(self, usage: readings.Usage, now: datetime) -> SubscriptionUsage:
        """Show what was used and where it is heading at an instant; the very same where neither is another."""
        before, meters = self._shown, None
        if before is None or usage.meters is not self._used:
            meters = self._moved(usage)
        is_heading = self._limits or self._pace is not None
        course = course_of(self._subscription.period, now) if is_heading else None
        limits = self._limited(course, before)
        projected = cost_at(None if before is None else before.projected_cost, self._pace, course)
        if before is None:
            self._shown = self._first(meters or [], limits, projected)
        elif meters is not None or limits is not before.limits or projected is not before.projected_cost:
            self._shown = SubscriptionUsage(
                subscription_id=before.subscription_id,
                product=before.product,
                plan=before.plan,
                period=before.period,
                cost=self._cost,
                projected_cost=projected,
                meters=before.meters if meters is None else meters,
                limits=limits,
            )
        assert self._shown is not None, "it was just shown"
        return self._shown

    def _moved(self, usage: readings.Usage) -> list[MeterUsage]:
        """Look at what was used by now, and return what the meters show that have counted anything."""
        self._used = usage.meters
        for limit in self._limits:
            limit.moved(usage)
        self._cost = cost_shown(self._priced, usage)
        self._pace = None if self._cost is None else pace_of(self._cost.amount)
        return [shown for meter in self._meters if (shown := meter.at(usage)) is not None]

    def _limited(self, course: Course | None, before: SubscriptionUsage | None) -> list[Limit]:
        """Show the limits as of an instant: the very list that was shown before where it holds the same."""
        if before is not None and not self._limits:
            return before.limits
        limits = [each.at(course) for each in self._limits]
        return before.limits if before is not None and all(map(is_, limits, before.limits)) else limits

    def _first(self, meters: list[MeterUsage], limits: list[Limit], projected: Cost | None) -> SubscriptionUsage:
        subscription = self._subscription
        return SubscriptionUsage(
            subscription_id=ids.id_of("subscription", subscription.id),
            product=self._catalogue.product_by_id(subscription.product_id).key,
            plan=self._catalogue.plan_of_version(subscription.plan_version_id).key,
            period=self._period,
            cost=self._cost,
            projected_cost=projected,
            meters=meters,
            limits=limits,
        )


class Showing:
    """What one watcher, or one query, was shown of a customer."""

    __slots__ = ("_name", "_parts", "customer_id")

    def __init__(self, customer_id: CustomerId) -> None:
        self.customer_id, self._name = customer_id, ids.id_of("customer", customer_id)
        # In the order in which subscriptions were shown: another one among them shows all anew.
        self._parts: list[_Part] = []

    def show(self, found: Reading, now: datetime) -> Usage:
        """Show a reading as of an instant of the customer's business time."""
        catalogue, standing, overrides = found.catalogue, found.standing, found.overrides
        known, parts, shown = self._parts, [], []
        for place, (subscription, usage) in enumerate(standing.running):
            own = in_force(overrides, subscription.product_id, now) if overrides else {}
            part = known[place] if place < len(known) else None
            if part is None or not part.is_of(catalogue, subscription, own):
                part = _Part(catalogue, subscription, own, usage)
            parts.append(part)
            shown.append(part.show(usage, now))
        self._parts = parts
        return Usage(customer_id=self._name, version=BigInt(standing.version), subscriptions=shown)


def standing_of(usage: Usage) -> object:
    """Return what is shown but for what changes by itself as time passes: the version, and projections.

    What moves a combination moves the version; what passing time moves of a meter is seen in its quantity.
    """
    return [
        (
            each.subscription_id,
            each.plan,
            each.period,
            [(meter.key, meter.quantity) for meter in each.meters],
            [(limit.key, limit.policy, limit.limit, limit.used, limit.state) for limit in each.limits],
        )
        for each in usage.subscriptions
    ]


async def read_usage(context: Context, showing: Showing, gathered: Gatherer[CustomerId, Reading]) -> Usage:
    """Read one customer's usage, cost and limits, together with others that are asked for. Raises CustomerNotFound."""
    return shown_to(context, showing, await gathered.get(showing.customer_id))


def shown_to(context: Context, showing: Showing, found: Reading | None) -> Usage:
    """Show a reading to whoever asked for it. Raises CustomerNotFound where there is none, or none that it may see."""
    principal = context.principal
    assert principal is not None, "whoever asks is known"
    if found is None or not customers.is_seen(principal, showing.customer_id, found.standing.environment):
        raise customers.CustomerNotFound
    return showing.show(found, found.now)


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
            return await read_usage(info.context, showing, info.context.serving.usage)
        except customers.CustomerNotFound:
            return None
