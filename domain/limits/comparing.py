"""Compare what a subscription has used with its limits, anew only where what a limit counts has moved."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from domain.kernel.ids import MeterId
from domain.limits.account import entitlements_of
from domain.limits.markup import markup_of
from domain.limits.override import Override
from domain.limits.status import LimitStatus, status_of
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue, Entitlement
from domain.subscriptions.subscription import AccessState, Subscription
from domain.usage.reading import MeterUsage, Usage


class Compared(NamedTuple):
    """Where usage stands against a limit, and what its meter showed; None: nothing was counted."""

    shown: MeterUsage | None
    status: LimitStatus


NOTHING: Mapping[str, Compared] = MappingProxyType({})


def compare(
    catalogue: Catalogue,
    subscription: Subscription,
    usage: Usage,
    overrides: Mapping[str, Override],
    before: Mapping[str, Compared] = NOTHING,
) -> dict[str, Compared]:
    """Return each limit that checks answer by beside what was used, by its key, in the order of the plan.

    `before` is what came of the same catalogue, subscription, usage period and overrides: a limit whose meter shows the
    very value that it showed then stands where it stood.
    """
    own = {} if subscription.access is AccessState.RESTRICTED else overrides
    found: dict[str, Compared] = {}
    for entitlement in entitlements_of(catalogue, subscription):
        meter_id = entitlement.meter_id
        if entitlement.kind != "limit" or meter_id is None:
            continue
        shown, known = usage.meters.get(meter_id), before.get(entitlement.key)
        if known is None or known.shown is not shown:
            granted = _granted(entitlement, own)
            known = Compared(shown, _status(catalogue, subscription, usage, granted, meter_id))
        found[entitlement.key] = known
    return found


def _granted(entitlement: Entitlement, overrides: Mapping[str, Override]) -> Entitlement:
    """Return a limit with the amount that an override grants instead."""
    override = overrides.get(entitlement.key)
    return entitlement if override is None else replace(entitlement, amount=override.amount)


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
