"""What a process keeps of the usage that it has read, so that the next reading asks for no more than what changed."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.subscriptions.subscription import Subscription
from domain.usage.totals.rows import NOTHING, Arranged, Rows, Sets, moved

# All of it is read anew within that, whatever became of the database meanwhile: then ids of transactions count from
# elsewhere, and what changed cannot be told by them. Customers' turns come at different times in the second half, or
# those who were first read together would be read whole together ever after, and everybody would wait for that.
WHOLE_WITHIN = timedelta(minutes=2)
_TURNS = 256
# A row is about a kilobyte. Customers of whom nothing is kept are read whole each time.
ROWS_KEPT_MAX = 100_000


class Running(msgspec.Struct, frozen=True, gc=False):
    """A live subscription, and what it has counted in its present usage period."""

    subscription: Subscription
    counted: Arranged

    def moved(self, changed: Rows | None, sets: Sets) -> "Running":
        """Return it with the rows that changed, if any did."""
        return self if changed is None else Running(self.subscription, moved(self.counted, changed, sets))


class Whole(msgspec.Struct, frozen=True, eq=False):
    """A reading of all of a customer: what is another one than itself where more than usage has changed.

    `at` is when it was read, in real time, and `until` how long what was read with it is good for.
    """

    environment: Environment
    clock_now: datetime | None
    at: datetime
    until: datetime


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A customer's running usage as it was read, up to a mark (see store.py); `size`: its rows, and one for itself."""

    whole: Whole
    mark: int
    version: int
    running: tuple[Running, ...]
    size: int

    def moved(self, mark: int, version: int | None, changed: Mapping[SubscriptionId, Rows], sets: Sets) -> "Kept":
        """Return it as it was read again, up to another mark: the version and the rows that changed, if they did."""
        running, size = self.running, self.size
        if changed:
            running = tuple([each.moved(changed.get(each.subscription.id), sets) for each in running])
            size = _size(running)
        return Kept(self.whole, mark, self.version if version is None else version, running, size)


def _size(running: Iterable[Running]) -> int:
    return 1 + sum([each.counted.size for each in running])


def begun(
    customer_id: CustomerId,
    environment: Environment,
    clock_now: datetime | None,
    live: Iterable[Subscription],
    *,
    at: datetime,
) -> Kept:
    """Return what is kept of a customer of whom nothing was read yet but what runs."""
    running = tuple([Running(each, NOTHING) for each in live])
    # The last bits of an id are random.
    until = at + WHOLE_WITHIN * (_TURNS + customer_id.int % _TURNS) // (2 * _TURNS)
    return Kept(Whole(environment, clock_now, at, until), 0, 0, running, _size(running))


class Shelf:
    """What is kept of customers, those that were read last, with at most ROWS_KEPT_MAX rows in all."""

    def __init__(self, rows_max: int = ROWS_KEPT_MAX) -> None:
        self._kept: dict[CustomerId, Kept] = {}
        self._rows_max = rows_max
        self.rows = 0

    def find(self, customer_id: CustomerId, at: datetime) -> Kept | None:
        """Return what is kept of a customer, unless it is time to read all of it anew."""
        kept = self._kept.get(customer_id)
        return kept if kept is not None and kept.whole.at <= at < kept.whole.until else None

    def put(self, found: Mapping[CustomerId, Kept]) -> None:
        """Keep what was read in the place of what was kept before."""
        for customer_id, kept in found.items():
            self._take(customer_id)
            self._kept[customer_id] = kept
            self.rows += kept.size
        while self.rows > self._rows_max:
            self._take(next(iter(self._kept)))

    def _take(self, customer_id: CustomerId) -> None:
        before = self._kept.pop(customer_id, None)
        if before is not None:
            self.rows -= before.size
