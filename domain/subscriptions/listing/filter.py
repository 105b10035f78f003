"""What is looked for among the subscriptions of all customers, and what they come to."""

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, PlanVersionId
from domain.kernel.period import OPEN_RANGE, Range
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status


@dataclass(eq=False)
class SubscriptionFilterRefused(DomainError):
    """These subscriptions cannot be looked for: {fault}."""

    code = "subscription_filter_refused"
    kind = Kind.INVALID
    fault: str


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Subscriptions for which all of this holds; what is None, or empty, excludes nothing.

    `plan` is the key of a plan of `product`, the key of a product. `started`, `ends`, `trial_ends` and `renews` are
    ranges of business time: of the start, of the end that is known or was, of a trial's end, and of where the next fee
    is due of one that is neither ended nor paused by then.
    """

    environment: Environment | None = None
    customer_id: CustomerId | None = None
    statuses: frozenset[Status] = frozenset()
    product: str | None = None
    plan: str | None = None
    version_id: PlanVersionId | None = None
    interval: Interval | None = None
    currency: str | None = None
    started: Range = OPEN_RANGE
    ends: Range = OPEN_RANGE
    trial_ends: Range = OPEN_RANGE
    renews: Range = OPEN_RANGE


@dataclass(frozen=True, slots=True)
class SubscriptionCount:
    """The subscriptions of one environment, plan, interval and currency that stand alike.

    `product` and `plan` are keys; `quantity` is how many units of the fee they are of together.
    """

    environment: Environment
    product: str
    plan: str
    interval: Interval
    currency: str
    status: Status
    count: int
    quantity: int


def check(wanted: SubscriptionFilter) -> None:
    """Refuse what no subscription can be. Raises SubscriptionFilterRefused."""
    if wanted.plan is not None and wanted.product is None:
        fault = "a plan's key says which one only together with its product's"
        raise SubscriptionFilterRefused(fault)
    for name in ("started", "ends", "trial_ends", "renews"):
        if getattr(wanted, name).is_backwards:
            fault = f"{name} ends before it begins"
            raise SubscriptionFilterRefused(fault)
