"""What usage counts for against a cost cap, in parts of its list price (SEMANTICS 5.5)."""

from decimal import Decimal

from domain.kernel.ids import MeterId
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription

_ONE = Decimal(1)


def markup_of(catalogue: Catalogue, subscription: Subscription, meter_id: MeterId) -> Decimal:
    """Return the factor on the list price that a cost meter counts with under the plan version now in force.

    In a plan that includes its usage (a markup of 0) the list price counts.
    """
    for price in catalogue.usage_prices(subscription.plan_version_id, subscription.currency):
        if price.meter_id == meter_id and price.model == "dynamic":
            return Decimal(price.definition["multiplier"]) or _ONE
    return _ONE
