"""What a start that lies ahead is, and how it moves from state to state. Pure rules."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, StartId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Interval

# A start further ahead is more likely a slip of the pen than a contract.
AHEAD_MAX = timedelta(days=2 * 366)


class StartState(StrEnum):
    """Where a scheduled start stands."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    CANCELED = "canceled"
    REFUSED = "refused"


@dataclass(eq=False)
class StartAlreadyScheduled(DomainError):
    """A start of this product is scheduled for {starts_at} already. Change that one, or cancel it first."""

    code = "start_already_scheduled"
    kind = Kind.CONFLICT
    starts_at: str


@dataclass(eq=False)
class ScheduledStartNotFound(DomainError):
    """There is no such scheduled start. See the list of the customer's scheduled starts."""

    code = "scheduled_start_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class StartOver(DomainError):
    """The start does not wait any more: it is {state}."""

    code = "start_over"
    kind = Kind.CONFLICT
    state: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What will be subscribed to, and how it is to start; the fields mean what they mean for a start today.

    `plan_version_id` is the version that was shown when it was asked for.
    """

    plan_version_id: PlanVersionId
    interval: Interval
    currency: str
    starts_at: datetime
    trial_days: int | None = None
    bill_day: int | None = None
    calendar: bool = False
    promotion_code: str | None = None
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class ScheduledStart:
    """A start that lies ahead of when it was asked for, in business time.

    `subscription_id` is what came of it once it is STARTED, `refusal` the code of why nothing did once it is REFUSED.
    """

    customer_id: CustomerId
    id: StartId
    product_id: ProductId
    environment: Environment
    state: StartState
    terms: Terms
    asked_at: datetime
    subscription_id: SubscriptionId | None = None
    refusal: str | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether its instant has come and nothing has become of it yet."""
        return self.state is StartState.SCHEDULED and self.terms.starts_at <= now


def check_waiting(before: ScheduledStart, now: datetime) -> None:
    """Refuse a start of which something has become, and one whose instant has come: it is being carried out.

    Raises StartOver.
    """
    if before.state is not StartState.SCHEDULED or before.is_due(now):
        raise StartOver("under way" if before.is_due(now) else before.state)


def called_off(before: ScheduledStart, now: datetime) -> ScheduledStart:
    """Return a start that will not come. One that is canceled stays as it is. Raises StartOver."""
    if before.state is StartState.CANCELED:
        return before
    check_waiting(before, now)
    return replace(before, state=StartState.CANCELED)


def begun(before: ScheduledStart, subscription_id: SubscriptionId) -> ScheduledStart:
    """Return a start of which a subscription came."""
    return replace(before, state=StartState.STARTED, subscription_id=subscription_id)


def refused(before: ScheduledStart, code: str) -> ScheduledStart:
    """Return a start of which nothing came, with the code of why."""
    return replace(before, state=StartState.REFUSED, refusal=code)
