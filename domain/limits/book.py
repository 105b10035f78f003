"""What one process has leased and holds for one subscription, all of it in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from fractions import Fraction

from domain.kernel.values import dataclass
from domain.limits.account import ALWAYS, Account
from domain.limits.judging import Answer, permit, refusing
from domain.limits.lease import LeaseKey, Share, extra_of
from domain.limits.request import Question

# A read-only check may go by numbers of this age to say yes; no is said by fresh numbers only.
CHECK_AGE_MAX = timedelta(seconds=1)
_NOTHING = Fraction(0)
_Spot = tuple[str, datetime]


@dataclass(slots=True)
class Book:
    """An account, and a share of each limit that something was held of, by the limit's key and its stretch."""

    account: Account
    shares: dict[_Spot, Share] = field(default_factory=dict)

    def share(self, key: str) -> Share:
        """Return this process's share of a limit in the present stretch."""
        spot = self.spot(key)
        found = self.shares.get(spot)
        if found is None:
            found = self.shares[spot] = Share()
        return found

    def spot(self, key: str) -> _Spot:
        """Return where the share of a limit is kept."""
        return key, self.account.span_of(self.account.lines[key])

    def held(self, keys: Mapping[str, Fraction]) -> dict[str, Fraction]:
        """Return what is held of limits in the present stretch."""
        if not self.shares:
            return {}
        return {key: self.shares[spot].held for key in keys if (spot := self.spot(key)) in self.shares}

    def held_besides(self, asks: Mapping[str, Fraction], own: Mapping[str, Fraction]) -> dict[str, Fraction]:
        """Return what is held of limits without what one reservation holds, as for the request that it was made for.

        Where another process holds it, it is among what others have leased, so less than nothing may be held here.
        """
        held = self.held(asks)
        found = {key: held.get(key, _NOTHING) - own.get(key, _NOTHING) for key in asks}
        return {key: max(amount, -self.account.lines[key].leased) for key, amount in found.items()}

    def known(self, question: Question, at: datetime) -> Answer | None:
        """Say yes from memory where that is sure enough; None where the database is to be asked."""
        account, now = self.account, question.place.now
        if not account.is_fresh(question.place.epoch, at, now) or account.unpriceable(question.estimate) is not None:
            return None
        asks = account.asks_of(question.estimate)
        held = self.held(asks)
        is_young = at - account.counted_at < CHECK_AGE_MAX
        if self.can_hold(asks, at, now) or (is_young and refusing(account, asks, held, now) is None):
            return permit(account, asks, held, now)
        return None

    def can_hold(self, asks: Mapping[str, Fraction], at: datetime, now: datetime) -> bool:
        """Whether all that is asked fits into what is leased and free."""
        for key, asked in asks.items():
            line = self.account.lines[key]
            upto = line.bound_at(now)
            if upto is None:
                continue
            share = self.shares.get(self.spot(key))
            if asked and (share is None or not share.can_hold(asked, at)):
                return False
            if not asked and line.used > upto and not line.allowance.carries:
                return False
        return True

    def hold(self, asks: Mapping[str, Fraction], at: datetime) -> dict[str, Fraction]:
        """Hold what fits, and return it: limits without a bound hold nothing."""
        holds = {key: asked for key, asked in asks.items() if asked and self.account.lines[key].is_bounded}
        for key, asked in holds.items():
            self.share(key).hold(asked, at)
        return holds

    def wanted(self, asks: Mapping[str, Fraction], now: datetime) -> dict[str, Fraction]:
        """Return how much more to lease of each limit: what is asked for, and some more while there is room."""
        found: dict[str, Fraction] = {}
        for key, asked in asks.items():
            line = self.account.lines[key]
            upto = line.bound_at(now)
            if upto is None or not asked:
                continue
            # What a soft limit tolerates above its amount is asked for one by one: its hours may end.
            amount = line.allowance.limit.amount
            upto = upto if amount is None else min(upto, amount)
            room = upto - line.used - line.leased - self.share(key).held - asked
            found[key] = asked + extra_of(room, asked, upto)
        return found

    def holds_of(
        self, holds: Mapping[str, Fraction], period_start_at: datetime
    ) -> Iterator[tuple[Share, str, Fraction]]:
        """Yield the shares that a reservation of a period is held on."""
        for key, amount in holds.items():
            share = self.shares.get((key, ALWAYS)) or self.shares.get((key, period_start_at))
            if share is not None:
                yield share, key, amount

    def give_back(self, holds: Mapping[str, Fraction], period_start_at: datetime) -> None:
        """Let go of what a reservation held."""
        for share, _, amount in self.holds_of(holds, period_start_at):
            share.give_back(amount)

    def drop(self, holds: Mapping[str, Fraction], period_start_at: datetime) -> None:
        """Let go of what a reservation held, and of that much of the lease.

        It may be settled at this very moment, here or elsewhere: what is given back through the database is granted
        again only by someone who sees what was counted.
        """
        for share, _, amount in self.holds_of(holds, period_start_at):
            share.settle(amount, amount)

    def settle(self, holds: Mapping[str, Fraction], used: Mapping[str, Fraction], period_start_at: datetime) -> None:
        """Turn what a reservation held into usage that was counted."""
        for share, key, amount in self.holds_of(holds, period_start_at):
            share.settle(amount, used.get(key, _NOTHING))
        lines = self.account.lines
        more = {key: replace(lines[key], used=lines[key].used + amount) for key, amount in used.items() if key in lines}
        self.account = replace(self.account, lines={**lines, **more})

    def backed(self, holds: Mapping[str, Fraction], period_start_at: datetime, at: datetime) -> dict[str, Fraction]:
        """Return what of a reservation's holds still stands: a lease that has ended holds nothing."""
        found = self.holds_of(holds, period_start_at)
        return {key: amount for share, key, amount in found if not share.is_lost(at)}

    def lease_key(self, spot: _Spot) -> LeaseKey:
        """Return the key of the lease of a share."""
        return LeaseKey(self.account.customer_id, self.account.subscription_id, *spot)

    def due(self, at: datetime) -> dict[LeaseKey, Share]:
        """Let go of what is idle, and return the shares of which the database is to be told."""
        for share in self.shares.values():
            if share.free and share.is_idle(at):
                share.drop_free()
        return {self.lease_key(spot): share for spot, share in self.shares.items() if share.is_due(at)}

    def forget_empty(self) -> bool:
        """Forget shares that hold nothing and are told to be empty; whether there is nothing left at all."""
        for spot in [spot for spot, each in self.shares.items() if not each.amount and not each.told]:
            del self.shares[spot]
        return not self.shares
