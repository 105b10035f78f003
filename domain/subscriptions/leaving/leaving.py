"""What is known of a subscription whose end was asked for."""

from datetime import datetime

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, PlanVersionId, SubscriptionId
from domain.kernel.period import OPEN_RANGE, Range
from domain.kernel.values import dataclass


@dataclass(eq=False)
class LeavingRefused(DomainError):
    """The list cannot be given: its start is to lie before its end."""

    code = "leaving_refused"
    kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Leaving:
    """The end of a subscription, asked for at `asked_at` and final at `ends_at`; no reason: none was said.

    Who ends for non-payment has said none. `feedback` is the customer's own text.
    """

    customer_id: CustomerId
    subscription_id: SubscriptionId
    plan_version_id: PlanVersionId
    asked_at: datetime
    ends_at: datetime
    reason: str | None
    feedback: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Ends that were asked for in a range of business time; without an environment of both."""

    environment: Environment | None = None
    asked: Range = OPEN_RANGE
