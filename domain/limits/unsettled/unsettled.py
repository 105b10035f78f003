"""What is known of a call whose usage nobody told, and what such calls of a customer come to at most."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.limits.reservation import Name


class Reached(NamedTuple):
    """The expired reservation up to which all were looked at, in the order of these fields."""

    expires_at: datetime
    customer_id: CustomerId
    reservation_id: UUID


class Expired(NamedTuple):
    """A reservation that has expired. `is_unsettled`: a meter made it, and it was neither settled nor released."""

    reached: Reached
    is_unsettled: bool


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A call whose usage nobody told. `cost` is what it may have come to at list prices; None where it has no price."""

    id: UUID
    name: Name
    subscription_id: SubscriptionId
    event_type: str
    created_at: datetime
    expired_at: datetime
    found_at: datetime
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Sum:
    """Calls of one customer whose usage nobody told: how many, what those with a price may cost, how many have none."""

    customer_id: CustomerId
    environment: Environment
    count: int
    cost: Decimal
    unpriced: int
