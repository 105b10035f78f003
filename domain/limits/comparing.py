"""Compare what a subscription has used with its limits."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from domain.kernel.ids import MeterId
from domain.limits.account import entitlements_of
from domain.limits.markup import markup_of
from domain.limits.override import Override
from domain.limits.status import LimitStatus, status_of
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue, Entitlement
from domain.subscriptions.subscription import AccessState, Subscription
from domain.usage.reading import Usage


class Terms(NamedTuple):
    """A limit that checks answer by, whatever was used: with the amount that holds, in `unit`.

    `markup` is what usage counts for, None where it counts as it is. A level is not `renewed` with the usage period.
    """

    entitlement: Entitlement
    meter_id: MeterId
    unit: str
    markup: Decimal | None
    renewed: bool

    def status(self, usage: Usage) -> LimitStatus:
        """Return where usage stands against it."""
        used = usage.quantity(self.meter_id, self.entitlement.dimension_filter)
        if self.markup is not None:
            used = EXACT.multiply(used, self.markup)
        return status_of(self.entitlement, used, unit=self.unit, resets_at=usage.period.end if self.renewed else None)


def terms_of(catalogue: Catalogue, subscription: Subscription, overrides: Mapping[str, Override]) -> tuple[Terms, ...]:
    """Return the limits that checks answer by, with what overrides grant instead, in the order of the plan."""
    own = {} if subscription.access is AccessState.RESTRICTED else overrides
    return tuple(
        [
            _terms(catalogue, subscription, _granted(entitlement, own), entitlement.meter_id)
            for entitlement in entitlements_of(catalogue, subscription)
            if entitlement.kind == "limit" and entitlement.meter_id is not None
        ]
    )


def _granted(entitlement: Entitlement, overrides: Mapping[str, Override]) -> Entitlement:
    """Return a limit with the amount that an override grants instead."""
    override = overrides.get(entitlement.key)
    return entitlement if override is None else replace(entitlement, amount=override.amount)


def _terms(catalogue: Catalogue, subscription: Subscription, entitlement: Entitlement, meter_id: MeterId) -> Terms:
    meter = catalogue.meter(meter_id)
    return Terms(
        entitlement,
        meter_id,
        entitlement.currency if entitlement.money and entitlement.currency else meter.unit,
        markup_of(catalogue, subscription, meter_id) if entitlement.money else None,
        meter.aggregation != "level",
    )
