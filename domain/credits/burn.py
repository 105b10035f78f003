"""Burn usage down from grants: who gives what, in which order, and what is left when.

A replay from the first grant on, over usage and boundaries in order of time. At an instant come, in this order: expiry
and voiding, the reset of a usage period, refills, grants that become effective, the absorption of open overage, usage.
So usage at a boundary belongs to the new period, and a grant effective at a reset is not cut by it. Nothing is rounded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from fractions import Fraction

from domain.kernel.values import dataclass

_NEVER = datetime.max.replace(tzinfo=UTC)
# Refills of one grant in one replay: ten years of days.
REFILLS_MAX = 3_660


@dataclass(frozen=True, slots=True)
class Grant:
    """Units that usage is taken from. A smaller `priority` burns first.

    `following` returns the first refill after an instant, which sets the balance to the amount; None: there are none.
    At a reset the balance becomes min(max rollover, max(min rollover, balance)); without a maximum nothing is cut.
    """

    id: str
    amount: Fraction
    priority: int
    effective_at: datetime
    created_at: datetime
    expires_at: datetime | None = None
    voided_at: datetime | None = None
    rollover_max: Fraction | None = None
    rollover_min: Fraction = Fraction(0)
    following: Callable[[datetime], datetime] | None = None

    @property
    def ends_at(self) -> datetime | None:
        """The first instant at which nothing is left of it: its expiry or its voiding; None for never."""
        return min((each for each in (self.expires_at, self.voided_at) if each is not None), default=None)

    @property
    def burn_key(self) -> tuple[int, datetime, datetime, str]:
        """The place in the order: priority, earliest expiry (never last), created, id."""
        return self.priority, self.expires_at or _NEVER, self.created_at, self.id


@dataclass(frozen=True, slots=True)
class Used:
    """Usage at an instant; `key` says whose it is, such as the segment that counted it."""

    at: datetime
    amount: Fraction
    key: str = ""


class Moved(StrEnum):
    """Why a balance moved."""

    GRANTED = "granted"
    REFILLED = "refilled"
    USED = "used"
    ROLLED_OVER = "rolled_over"  # what a reset cut, or added up to the minimum
    EXPIRED = "expired"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a grant's balance: above zero adds. `key` is that of the usage."""

    at: datetime
    grant_id: str
    kind: Moved
    amount: Fraction
    key: str = ""


@dataclass(slots=True)
class Book:
    """What a replay has come to: balances, open overage by usage in order of time, and every move."""

    balances: dict[str, Fraction] = field(default_factory=dict)
    overage: list[Used] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    used_since_reset: Fraction = Fraction(0)

    @property
    def open_overage(self) -> Fraction:
        """Usage of this usage period that no grant has taken."""
        return sum((each.amount for each in self.overage), Fraction(0))

    def taken(self, key: str) -> dict[str, Fraction]:
        """Return what each grant gave to the usage of a key."""
        found: dict[str, Fraction] = {}
        for move in self.moves:
            if move.kind is Moved.USED and move.key == key:
                found[move.grant_id] = found.get(move.grant_id, Fraction(0)) - move.amount
        return found


class _Step(IntEnum):
    """The order at one instant."""

    END = 0
    RESET = 1
    REFILL = 2
    EFFECTIVE = 3
    ABSORPTION = 4
    USAGE = 5


# What may leave something for open overage: it is absorbed once all that comes at the instant has come.
_GIVING = frozenset((_Step.RESET, _Step.REFILL, _Step.EFFECTIVE))
_Event = tuple[datetime, _Step, Callable[[], None]]


def replay(
    grants: Sequence[Grant],
    usage: Iterable[Used],
    *,
    start: datetime,
    until: datetime,
    resets: Sequence[datetime] = (),
    opening: Mapping[str, Fraction] | None = None,
    keep_overage: bool = False,
) -> Book:
    """Burn usage in [start, until) down; boundaries at `until` are applied.

    `opening` are balances at the start of grants that became effective before it; without one, such a grant is whole.
    `keep_overage`: a reset leaves open overage for the grants of the new period.
    """
    run = _Run({grant.id: grant for grant in grants}, Book({grant.id: Fraction(0) for grant in grants}))
    events: list[_Event] = []
    for grant in grants:
        events += run.events_of(grant, start, until, (opening or {}).get(grant.id))
    events += [(at, _Step.RESET, run.reset_at(at, keep_overage=keep_overage)) for at in resets if start <= at <= until]
    giving = {at for at, step, _ in events if step in _GIVING}
    events += [(at, _Step.ABSORPTION, run.absorption_at(at)) for at in giving]
    events += [(each.at, _Step.USAGE, run.usage_of(each)) for each in usage if start <= each.at < until]
    for _, _, act in sorted(events, key=lambda event: event[:2]):
        act()
    return run.book


def rolled_over(balance: Fraction, maximum: Fraction | None, minimum: Fraction) -> Fraction:
    """Return what a reset leaves of a balance: min(maximum, max(minimum, balance))."""
    kept = max(minimum, balance)
    return kept if maximum is None else min(maximum, kept)


@dataclass(slots=True)
class _Run:
    grants: Mapping[str, Grant]
    book: Book

    def events_of(self, grant: Grant, start: datetime, until: datetime, opening: Fraction | None) -> list[_Event]:
        """Return the boundaries of a grant."""
        begins_at, ends_at = max(grant.effective_at, start), grant.ends_at
        if begins_at > until or (ends_at is not None and ends_at <= begins_at):
            return []
        whole = grant.amount if opening is None or grant.effective_at >= start else opening
        found = [(begins_at, _Step.EFFECTIVE, lambda: self._move(begins_at, grant, Moved.GRANTED, whole))]
        if ends_at is not None and ends_at <= until:
            found.append((ends_at, _Step.END, lambda: self._end(ends_at, grant)))
        last = min(ends_at or _NEVER, until)
        found += [
            (at, _Step.REFILL, lambda at=at: self._refill(at, grant))  # type: ignore[misc]
            for at in _refills(grant, begins_at, last)
            if ends_at is None or at < ends_at
        ]
        return found

    def reset_at(self, at: datetime, *, keep_overage: bool) -> Callable[[], None]:
        """Return what a reset does to the grants that were effective before it."""

        def act() -> None:
            for grant_id, balance in self.book.balances.items():
                grant = self.grants[grant_id]
                if grant.effective_at < at and (grant.ends_at is None or at < grant.ends_at):
                    kept = rolled_over(balance, grant.rollover_max, grant.rollover_min)
                    self._move(at, grant, Moved.ROLLED_OVER, kept - balance)
            self.book.used_since_reset = Fraction(0)
            if not keep_overage:
                self.book.overage.clear()

        return act

    def usage_of(self, used: Used) -> Callable[[], None]:
        """Return what usage takes."""

        def act() -> None:
            self.book.used_since_reset += used.amount
            left = self._burn(used.at, used)
            if left:
                self.book.overage.append(Used(used.at, left, used.key))

        return act

    def absorption_at(self, at: datetime) -> Callable[[], None]:
        """Return what gives open overage what there is, the oldest first."""

        def act() -> None:
            waiting, self.book.overage = self.book.overage, []
            for each in waiting:
                left = self._burn(at, each)
                if left:
                    self.book.overage.append(Used(each.at, left, each.key))

        return act

    def _refill(self, at: datetime, grant: Grant) -> None:
        missing = grant.amount - self.book.balances[grant.id]
        self._move(at, grant, Moved.REFILLED, max(missing, Fraction(0)))

    def _end(self, at: datetime, grant: Grant) -> None:
        kind = Moved.VOIDED if grant.voided_at == at else Moved.EXPIRED
        self._move(at, grant, kind, -self.book.balances[grant.id])

    def _burn(self, at: datetime, used: Used) -> Fraction:
        """Take usage from the balances in their order, and return what none had. A correction below zero takes none."""
        left = used.amount
        for grant in sorted(self.grants.values(), key=lambda each: each.burn_key):
            taken = min(left, self.book.balances[grant.id])
            if taken > 0:
                self._move(at, grant, Moved.USED, -taken, used.key)
                left -= taken
        return left

    def _move(self, at: datetime, grant: Grant, kind: Moved, amount: Fraction, key: str = "") -> None:
        if amount:
            self.book.balances[grant.id] += amount
            self.book.moves.append(Move(at, grant.id, kind, amount, key))


def _refills(grant: Grant, begins_at: datetime, last: datetime) -> list[datetime]:
    found: list[datetime] = []
    at = begins_at
    while grant.following is not None and len(found) < REFILLS_MAX:
        at = grant.following(at)
        if at > last:
            break
        found.append(at)
    return found
