"""Show where a subscription stands against the limits of its plan. Checks before a call are not part of it."""

from datetime import datetime

from domain.kernel.ids import MeterId
from domain.limits.markup import markup_of
from domain.limits.status import LimitStatus, status_of
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue, Entitlement
from domain.subscriptions.subscription import Subscription
from domain.usage.reading import Usage


def limits_of(catalogue: Catalogue, subscription: Subscription, usage: Usage) -> list[LimitStatus]:
    """Compare a usage period with every limit of the plan version now in force, in the order of the plan.

    The whole period counts, also what was used under another version. A cost cap counts list price times markup; in a
    plan that includes its usage (a markup of 0) it counts the list price.
    """
    version = catalogue.version(subscription.plan_version_id)
    return [
        _status(catalogue, subscription, usage, entitlement, entitlement.meter_id)
        for entitlement in version.entitlements
        if entitlement.kind == "limit" and entitlement.meter_id is not None
    ]


def _status(
    catalogue: Catalogue, subscription: Subscription, usage: Usage, entitlement: Entitlement, meter_id: MeterId
) -> LimitStatus:
    meter = catalogue.meter(meter_id)
    used = usage.quantity(meter_id, entitlement.dimension_filter)
    if entitlement.money:
        used = EXACT.multiply(used, markup_of(catalogue, subscription, meter_id))
    resets_at: datetime | None = None if meter.aggregation == "level" else usage.period.end
    unit = entitlement.currency if entitlement.money and entitlement.currency else meter.unit
    return status_of(entitlement, used, unit=unit, resets_at=resets_at)
