"""What is asked of limits, what comes of it, and what cannot be asked."""

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.limits.account import Account
from domain.limits.asking import Estimate
from domain.limits.judging import Answer
from domain.limits.reservation import Reservation
from domain.usage.verdict import Verdict

_NOTHING = Fraction(0)


class MovedError(Exception):
    """A border of the subscription moved since the event was resolved."""


@dataclass(eq=False)
class EstimateRefused(DomainError):
    """The usage cannot be counted like this, and nothing was changed: {what}."""

    code = "estimate_refused"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class NothingSubscribed(DomainError):
    """The customer has no subscription of this product that grants anything now. Subscribe or resume it first."""

    code = "nothing_subscribed"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class AccessSuspended(DomainError):
    """An invoice was not paid, so access is suspended. Pay the open invoice to go on."""

    code = "access_suspended"
    kind = Kind.PAYMENT_FAILED


class LimitsBusy(DomainError):
    """More reservations are open than can be held at once. Settle or release some, or try again in a moment."""

    code = "limits_busy"
    kind = Kind.BUSY


class LimitsUnavailable(DomainError):
    """Whether this may be used cannot be said now, and without an answer it may not. Ask again in a moment."""

    code = "limits_unavailable"
    kind = Kind.UNAVAILABLE


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """The usage event that a call would become, with upper bounds for what is not known yet."""

    customer: str
    type: str
    properties: Mapping[str, Any]


class Place(msgspec.Struct, frozen=True, gc=False):
    """Whose limits are asked, and what business time it is there."""

    customer_id: CustomerId
    subscription_id: SubscriptionId
    epoch: int
    now: datetime


class Question(msgspec.Struct, frozen=True, gc=False):
    """A request that was understood; `source` is that of the key that asks, `canonical` its properties as JSON."""

    place: Place
    estimate: Estimate
    source: str
    canonical: bytes


@dataclass(frozen=True, slots=True)
class Asking:
    """One request. `takes`: it asks to hold, not only to know.

    `held` is the reservation that it asks to make larger.
    """

    place: Place
    estimate: Estimate
    asked_by: str
    takes: bool
    held: Reservation | None = None
    reservation_id: UUID | None = None

    def asks_of(self, account: Account) -> dict[str, Fraction]:
        """Return what is asked for beside what is held for it already."""
        asks = account.asks_of(self.estimate)
        if self.held is None:
            return asks
        holds = account.still_held(self.held.holds, self.held.period_start_at)
        return {key: max(asked - holds.get(key, _NOTHING), _NOTHING) for key, asked in asks.items()}


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """What became of a reservation: held, or refused by `answer`, or held before (not `is_new`)."""

    answer: Answer
    reservation: Reservation | None = None
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the event, and what of it lies above the hold, by the keys of limits."""

    verdict: Verdict
    overrun: Mapping[str, Fraction]
