"""What a process keeps of the usage that it has read, so that the next reading asks for no more than what changed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.subscription import Subscription
from domain.usage.totals.rows import NOTHING, Arranged, Row, Sets, moved

# All of it is read anew so often, whatever became of the database meanwhile: then ids of transactions count from
# elsewhere, and what changed cannot be told by them.
WHOLE_EVERY = timedelta(minutes=1)
# A row is about a kilobyte. Customers of whom nothing is kept are read whole each time.
ROWS_KEPT_MAX = 100_000


class Running(NamedTuple):
    """A live subscription, and what it has counted in its present usage period."""

    subscription: Subscription
    counted: Arranged


@dataclass(frozen=True, slots=True)
class Kept:
    """A customer's running usage as it was read, up to a mark (see store.py). `whole_at`: when all of it was read."""

    environment: Environment
    clock_now: datetime | None
    whole_at: datetime
    mark: int
    version: int
    running: tuple[Running, ...]

    @property
    def size(self) -> int:
        """How many rows it holds, and one for itself."""
        return 1 + sum(each.counted.size for each in self.running)

    def moved(
        self, mark: int, version: int, changed: Mapping[SubscriptionId, Mapping[UUID, Mapping[UUID, Row]]], sets: Sets
    ) -> "Kept":
        """Return it as it was read again, up to another mark: with the rows that changed."""
        running = self.running
        if any(each.subscription.id in changed for each in running):
            running = tuple([_moved(each, changed.get(each.subscription.id), sets) for each in running])
        return replace(self, mark=mark, version=version, running=running)


def _moved(before: Running, changed: Mapping[UUID, Mapping[UUID, Row]] | None, sets: Sets) -> Running:
    return before._replace(counted=moved(before.counted, changed, sets)) if changed else before


def begun(
    environment: Environment,
    clock_now: datetime | None,
    live: Iterable[Subscription],
    *,
    at: datetime,
) -> Kept:
    """Return what is kept of a customer of whom nothing was read yet but what runs."""
    return Kept(environment, clock_now, at, 0, 0, tuple([Running(each, NOTHING) for each in live]))


class Shelf:
    """What is kept of customers, those that were read last, with at most ROWS_KEPT_MAX rows in all."""

    def __init__(self, rows_max: int = ROWS_KEPT_MAX) -> None:
        self._kept: dict[CustomerId, Kept] = {}
        self._rows_max = rows_max
        self.rows = 0

    def find(self, customer_id: CustomerId, at: datetime) -> Kept | None:
        """Return what is kept of a customer, unless it is time to read all of it anew."""
        kept = self._kept.get(customer_id)
        return kept if kept is not None and timedelta(0) <= at - kept.whole_at < WHOLE_EVERY else None

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
