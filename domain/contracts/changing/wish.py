"""What is asked for when a subscription is to be changed, and what is decided about it."""

from datetime import datetime

from domain.kernel.values import dataclass
from domain.limits.status import LimitStatus
from domain.plans.plan import Catalogue
from domain.subscriptions.change import Change, ChangeAt, Direction, Target
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be different; None keeps it. `prorate_at` is the instant that a preview has shown.

    `newest_version` takes the newest version of the plan, also of the present one, which else keeps its own.

    `pays_at_once` says that the customer has a method that answers at once, so that an upgrade can wait for it.
    """

    plan_key: str | None = None
    interval: Interval | None = None
    quantity: int | None = None
    at: ChangeAt | None = None
    prorate_at: datetime | None = None
    pays_at_once: bool = False
    newest_version: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a wish. `charged_from` is where the new fee begins: the proration date, or the period's end.

    `violations` are limits on levels that the new plan would be above of; a change at the period's end is checked for
    them again. `replaces` is what was scheduled before and is not to be.
    """

    target: Target
    direction: Direction
    at: ChangeAt
    charged_from: datetime
    violations: tuple[LimitStatus, ...]
    replaces: Change | None = None


def target_of(catalogue: Catalogue, before: Subscription, wish: Wish) -> Target:
    """Return what a subscription is to become. Another plan takes its newest version, the same one if wished.

    Raises PlanNotFound, PlanArchived for another plan that is not sold any more, and PriceNotFound where it is not sold
    by the interval in the subscription's currency.
    """
    version_id = before.plan_version_id
    product = catalogue.product_by_id(before.product_id)
    present = catalogue.plan_of_version(version_id).key
    plan_key = wish.plan_key or present
    if plan_key != present:
        version_id = catalogue.sold_version(product.key, plan_key, before.customer_id).id
    elif wish.newest_version:
        version_id = catalogue.current_version(product.key, plan_key, before.customer_id).id
    interval = wish.interval or before.interval
    catalogue.fee_price(version_id, interval, before.currency)
    return Target(version_id, interval, before.quantity if wish.quantity is None else wish.quantity)
