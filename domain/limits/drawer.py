"""What one process remembers of subscriptions' limits, and what a request finds there: all of it in memory."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from domain.kernel.ids import SubscriptionId
from domain.kernel.values import dataclass
from domain.limits.account import Account, Line
from domain.limits.book import Book
from domain.limits.judging import Code, refusing
from domain.limits.lease import Share
from domain.limits.request import Asking

# Books of subscriptions that a process remembers; beyond it those go that hold nothing.
BOOKS_MAX = 20_000
# What was recorded here is looked up for a check at once, but for one customer no more often.
CATCH_UP_EVERY = timedelta(seconds=1)


class Judged(NamedTuple):
    """What an account says to a request: what is asked of it, what is held, and which limit refuses, why."""

    book: Book
    asks: Mapping[str, Fraction]
    held: Mapping[str, Fraction]
    by: Line | None
    code: Code | None


def judge(account: Account, shares: dict[tuple[str, datetime], Share], asking: Asking) -> Judged:
    """Compare what is asked with what an account leaves beside what this process holds."""
    book, asks = Book(account, shares), asking.asks_of(account)
    held = book.held(asks)
    unpriced = account.unpriceable(asking.estimate)
    if unpriced is not None:
        return Judged(book, asks, held, unpriced, Code.USAGE_UNPRICED)
    by = refusing(account, asks, held, asking.place.now)
    return Judged(book, asks, held, by, Code.LIMIT_REACHED if by is not None else None)


@dataclass(eq=False, slots=True)
class Drawer:
    """A book with the lock under which it is granted more.

    `looks` counts the looks at the database. `look` is the newest that read plan and overrides too, and `recalled` are
    the limits of which others had been asked before it for what they leave idle. `counted` is the last commit
    of this process that had moved the customer's usage when it was read for the book, by its number; `caught_up_at` is
    when a look last began that was to count a later one.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    book: Book | None = None
    looks: int = 0
    look: int = 0
    recalled: frozenset[str] = frozenset()
    counted: int = 0
    caught_up_at: datetime | None = None

    def is_behind(self, commit: int, at: datetime) -> bool:
        """Whether the book lacks what this process has recorded since, and it is time to look again."""
        if commit == self.counted:
            return False
        return self.caught_up_at is None or at - self.caught_up_at >= CATCH_UP_EVERY

    def catch_up(self, commit: int, at: datetime) -> None:
        """Note that a look begins: whatever comes of it, the others go by the book meanwhile."""
        if commit != self.counted:
            self.caught_up_at = at

    def begin_look(self) -> int:
        """Begin a look at the database, and return its number."""
        self.looks += 1
        return self.looks

    def note_look(self, number: int, recalled: Collection[str]) -> None:
        """Note that the book is by a look that read plan and overrides too."""
        self.look, self.recalled = number, frozenset(recalled)

    def refused(self, asking: Asking, at: datetime, *, since: int) -> Judged | None:
        """Refuse a request by what another one was told; None where the database is to be asked.

        That look must have begun after the request came, when `since` had begun: then its numbers are fresh for both,
        and of many that wait for one another only the first asks.
        """
        book, place = self.book, asking.place
        if book is None or self.look <= since or not book.account.is_fresh(place.epoch, at, place.now):
            return None
        judged = judge(book.account, book.shares, asking)
        if judged.by is None:
            return None
        if judged.code is Code.USAGE_UNPRICED or judged.by.key in self.recalled:
            return judged
        alone = refusing(book.account, judged.asks, judged.held, place.now, alone=True)
        return judged if alone is not None else None


class Drawers:
    """The drawers of one process, the one used last at the end. Bounded: above `books_max` those go that are empty."""

    def __init__(self, books_max: int = BOOKS_MAX) -> None:
        self._max = books_max
        self._drawers: OrderedDict[SubscriptionId, Drawer] = OrderedDict()

    def __iter__(self) -> Iterator[Drawer]:
        return iter(self._drawers.values())

    def take(self, subscription_id: SubscriptionId) -> Drawer:
        """Return the drawer of a subscription, a new one where there is none."""
        found = self._drawers.get(subscription_id)
        if found is None:
            found = self._drawers[subscription_id] = Drawer()
            if len(self._drawers) > self._max:
                self._make_room(subscription_id)
        else:
            self._drawers.move_to_end(subscription_id)
        return found

    def find(self, subscription_id: SubscriptionId) -> Drawer | None:
        """Return the drawer of a subscription, or None."""
        return self._drawers.get(subscription_id)

    @property
    def busy(self) -> list[Drawer]:
        """The drawers from which something was leased."""
        return [drawer for drawer in self._drawers.values() if drawer.book and drawer.book.shares]

    def _make_room(self, besides: SubscriptionId) -> None:
        for each in list(self._drawers)[: len(self._drawers) // 2]:
            drawer = self._drawers[each]
            if each != besides and not drawer.lock.locked() and not (drawer.book and drawer.book.shares):
                del self._drawers[each]
