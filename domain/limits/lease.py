"""Leases: how much of a limit a process may divide among reservations by itself (SEMANTICS 5.3)."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.limits.sum import sum_of

# A lease that nobody renews returns by itself after this time, and what was held on it.
LEASE_FOR = timedelta(seconds=60)
# Before its end by this much a process stops dividing it: clocks of processes may differ.
LEASE_MARGIN = timedelta(seconds=10)
# What was not used for so long returns.
IDLE_FOR = timedelta(seconds=5)
# A process takes beside what was asked for at most this many times as much, and this part of what is left.
TIMES_MAX = 200
PART = Fraction(1, 8)
# With less than this part of the bound left, every reservation asks the database.
FLOOR = Fraction(1, 20)
DIGITS = 6


class LeaseKey(NamedTuple):
    """Which limit of which subscription in which stretch of time a lease is for."""

    customer_id: CustomerId
    subscription_id: SubscriptionId
    key: str
    span_start_at: datetime


@dataclass(slots=True)
class Share:
    """One process's lease on one limit in one period.

    `held` of the `amount` stands for reservations. The database never knows of less than `amount`: what is taken off
    here is taken off there later, and `told` is what it was told last.
    """

    amount: Fraction = Fraction(0)
    held: Fraction = Fraction(0)
    expires_at: datetime | None = None
    touched_at: datetime | None = None
    told: Fraction = Fraction(0)

    @property
    def free(self) -> Fraction:
        """What can be held without asking anyone."""
        return self.amount - self.held

    def can_hold(self, asked: Fraction, at: datetime) -> bool:
        """Whether a hold fits at a real instant."""
        return self.is_live(at) and sum_of(self.held, asked).is_within(self.amount)

    def is_live(self, at: datetime) -> bool:
        """Whether the lease can be divided at a real instant."""
        return self.expires_at is not None and at < self.expires_at - LEASE_MARGIN

    def is_lost(self, at: datetime) -> bool:
        """Whether others may have what was held here."""
        return self.expires_at is None or at >= self.expires_at

    def hold(self, asked: Fraction, at: datetime) -> None:
        """Hold some of what is free."""
        self.held = sum_of(self.held, asked).exact
        self.touched_at = at

    def give_back(self, amount: Fraction) -> None:
        """Let a hold go: it is free again."""
        self.held -= amount

    def settle(self, held: Fraction, used: Fraction) -> None:
        """Let a hold go that became usage, which now counts by itself; what it used above the hold is taken off too."""
        self.held -= held
        self.amount -= min(used, self.free)

    def is_due(self, at: datetime) -> bool:
        """Whether the database is to be told: of a smaller amount, or that the lease goes on."""
        if self.expires_at is None:
            return False
        return self.told != self.amount or (self.amount > 0 and at >= self.expires_at - LEASE_FOR / 2)

    def is_idle(self, at: datetime) -> bool:
        """Whether nothing was held for so long that what is free is better left to others."""
        return self.touched_at is None or at >= self.touched_at + IDLE_FOR

    def grant(self, more: Fraction, told: Fraction, expires_at: datetime, at: datetime) -> None:
        """Take what the database granted; it was told of `told` in all."""
        self.amount += more
        self.told = told
        self.expires_at = expires_at
        self.touched_at = at

    def lose(self) -> None:
        """Note that the lease has ended: what is held is backed by nothing."""
        self.amount, self.expires_at = self.held, None

    def drop_free(self) -> Fraction:
        """Let go of what is free, and return it; the database is told afterwards."""
        free = self.free
        self.amount = self.held
        return free


def extra_of(room: Fraction, asked: Fraction, bound: Fraction) -> Fraction:
    """Return how much to lease beside what was asked for, with `room` left under the bound after it.

    Large while there is much room, small when there is little, and nothing below the floor. Cut to whole numbers where
    whole ones are asked for, else after DIGITS digits.
    """
    if room <= 0 or room < bound * FLOOR or not asked:
        return Fraction(0)
    extra = min(asked * TIMES_MAX, room * PART)
    parts = 1 if asked.denominator == 1 else 10**DIGITS
    cut = Fraction(extra * parts // 1, parts)
    return cut if cut >= asked else Fraction(0)
