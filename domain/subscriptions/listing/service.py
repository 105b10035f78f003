"""List subscriptions of all customers that the caller may see, and count them."""

from collections.abc import Collection, Sequence

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.ids import PlanVersionId, SubscriptionId
from domain.kernel.money import exponent
from domain.plans import service as plans
from domain.subscriptions.listing import store
from domain.subscriptions.listing.filter import SubscriptionCount, SubscriptionFilter, check
from domain.subscriptions.listing.store import Place
from domain.subscriptions.subscription import Subscription

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


async def list_subscriptions(
    tx: Tx, call: Call, wanted: SubscriptionFilter, *, before: SubscriptionId | None = None, limit: int = PAGE_MAX
) -> Sequence[Subscription]:
    """Return subscriptions, ended ones too, those made last first, at most PAGE_MAX; `before` is the last one seen.

    Raises Forbidden, SubscriptionFilterRefused, CurrencyUnknown, CustomerNotFound, ProductNotFound, PlanNotFound.
    """
    place = await _check(tx, call, wanted)
    return await store.list_subscriptions(tx, wanted, place, before=before, limit=min(limit, PAGE_MAX))


async def count_subscriptions(tx: Tx, call: Call, wanted: SubscriptionFilter) -> Sequence[SubscriptionCount]:
    """Count subscriptions by environment, plan, interval, currency and status: reads all of them.

    Raises what `list_subscriptions` does.
    """
    return await store.count_subscriptions(tx, wanted, await _check(tx, call, wanted))


async def count_pinned(
    tx: Tx, call: Call, versions: Collection[tuple[PlanVersionId, Environment]]
) -> dict[tuple[PlanVersionId, Environment], int]:
    """Count the live subscriptions that pin plan versions, by environment; of none there is nothing. Raises Forbidden.

    One statement, for loaders.
    """
    call.need(Permission.SUBSCRIPTION_READ)
    sight = Sight(call.scope, call.principal.environment)
    return await store.count_pinned(tx, {version_id for version_id, _ in versions}, sight=sight)


async def _check(tx: Tx, call: Call, wanted: SubscriptionFilter) -> Place:
    """Return where the caller may look; what is named has to be there."""
    call.need(Permission.SUBSCRIPTION_READ)
    check(wanted)
    if wanted.currency is not None:
        exponent(wanted.currency)
    if wanted.customer_id is not None:
        await customers.load_customer(tx, call, wanted.customer_id)
    sight = Sight(call.scope, call.principal.environment)
    if wanted.product is None:
        return Place(sight)
    catalogue = await plans.load_catalogue(tx)
    plan_id = catalogue.plan(wanted.product, wanted.plan).id if wanted.plan is not None else None
    return Place(sight, catalogue.product(wanted.product).id, plan_id)
