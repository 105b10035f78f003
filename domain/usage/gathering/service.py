"""Read the running usage of many customers, as `current_usage` reads that of one subscription."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from domain.db import Tx
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage.gathering import store
from domain.usage.gathering.kept import Kept, Shelf, begun
from domain.usage.gathering.store import State
from domain.usage.measuring import service as measuring
from domain.usage.reading import MeterUsage, Usage

# Of one reading: a batch of more would keep the first of them waiting.
CUSTOMERS_MAX = 250
# As many as the watched customers of one process run, and more.
KNOWN_MAX = 20_000
Meters = Mapping[MeterId, MeterUsage]


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A customer's running usage: what its test clock shows (None without one), and of each live subscription.

    `epoch` is the very same object as the last time where nothing of the customer has changed but its usage.
    """

    epoch: object
    environment: Environment
    clock_now: datetime | None
    version: int
    running: list[tuple[Subscription, Usage]]


class Known:
    """What a process has read, and reads again only where it has changed.

    Subscriptions, at most KNOWN_MAX: each is used for as long as its row has not changed. And the usage of customers.
    """

    def __init__(self) -> None:
        self._known: dict[SubscriptionId, Subscription] = {}
        self.shelf = Shelf()

    async def load(self, tx: Tx, states: Collection[State]) -> dict[SubscriptionId, Subscription]:
        """Return subscriptions in these states, or later ones."""
        missing = [state.id for state in states if not self._is_known(state)]
        for start in range(0, len(missing), subscriptions.LOOKUP_MAX):
            part = missing[start : start + subscriptions.LOOKUP_MAX]
            for subscription_id, found in (await subscriptions.subscriptions_by_id(tx, part, scope=None)).items():
                self._known.pop(subscription_id, None)
                self._known[subscription_id] = found
        loaded = {state.id: self._known[state.id] for state in states if state.id in self._known}
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return loaded

    def _is_known(self, state: State) -> bool:
        known = self._known.get(state.id)
        return known is not None and (known.version, known.epoch) == (state.version, state.epoch)


async def usage_of_customers(
    tx: Tx, catalogue: Catalogue, customer_ids: Collection[CustomerId], known: Known, *, at: datetime
) -> dict[CustomerId, Standing]:
    """Return the running usage of at most CUSTOMERS_MAX customers, those that exist, in a bounded number of statements.

    Of a customer who is known, only rows that changed are read; all of them after its subscriptions or its clock
    changed, and within WHOLE_WITHIN of real time, which `at` is. What meters that are no counters show takes further
    statements for each subscription that has any. The version is read with the totals, so what is shown is at least as
    new. The caller has checked rights and scopes.
    """
    assert len(customer_ids) <= CUSTOMERS_MAX, "a reading is bounded"
    found = await _read(tx, customer_ids, known, at)
    measured = await _measured(tx, catalogue, found.values())
    return {customer_id: _standing(customer_id, kept, measured) for customer_id, kept in found.items()}


async def _read(tx: Tx, customer_ids: Collection[CustomerId], known: Known, at: datetime) -> dict[CustomerId, Kept]:
    """Read what moved of customers, and all of those that are not known or run something else than before."""
    before = [(each, kept) for each in customer_ids if (kept := known.shelf.find(each, at)) is not None]
    mark, read = await store.list_moved(tx, [each for each, _ in before], [kept.mark for _, kept in before])
    found = {
        customer_id: kept.moved(mark, moved.version, moved.rows, read.sets)
        for (customer_id, kept), moved in zip(before, read.of, strict=True)
        if not moved.is_anew
    }
    if len(found) < len(customer_ids):
        found |= await _read_whole(tx, [each for each in customer_ids if each not in found], known, mark=mark, at=at)
    known.shelf.put(found)
    return found


async def _read_whole(
    tx: Tx, customer_ids: Collection[CustomerId], known: Known, *, mark: int, at: datetime
) -> dict[CustomerId, Kept]:
    """Read all of customers that exist. `mark` is from before: what changed since will be read again."""
    runners = await store.list_running(tx, customer_ids)
    loaded = await known.load(tx, [state for each in runners.values() for state in each.states])
    begun_of = {}
    for customer_id, runner in runners.items():
        live = [loaded[state.id] for state in runner.states if state.id in loaded and loaded[state.id].is_live]
        begun_of[customer_id] = begun(customer_id, runner.environment, runner.clock_now, live, at=at)
    running = [[each.subscription for each in kept.running] for kept in begun_of.values()]
    read = await store.list_totals(tx, list(begun_of), running)
    return {
        customer_id: kept.moved(mark, moved.version, moved.rows, read.sets)
        for (customer_id, kept), moved in zip(begun_of.items(), read.of, strict=True)
    }


def _standing(customer_id: CustomerId, kept: Kept, measured: Mapping[SubscriptionId, Meters]) -> Standing:
    running = []
    for each in kept.running:
        own = each.subscription
        meters = measured.get(own.id, each.counted.meters) if measured else each.counted.meters
        running.append((own, Usage(customer_id, own.id, own.period, kept.version, meters)))
    return Standing(kept.whole, kept.whole.environment, kept.whole.clock_now, kept.version, running)


async def _measured(tx: Tx, catalogue: Catalogue, found: Collection[Kept]) -> dict[SubscriptionId, Meters]:
    """Return what all meters show of subscriptions whose products have meters that are no counters."""
    measured = {meter.product_id for meter in catalogue.meters.values() if not meter.is_counter}
    of = [each for kept in found for each in kept.running if each.subscription.product_id in measured]
    if not of:
        return {}
    since = min(each.subscription.period.start for each in of)
    segments = await subscriptions.segments_of(tx, [each.subscription.id for each in of], ending_after=since)
    shown: dict[SubscriptionId, Meters] = {}
    for each in of:
        subscription = each.subscription
        own = [one for one in segments[subscription.id] if one.period == subscription.period]
        shown[subscription.id] = await measuring.usage_of_period(tx, subscription, own, each.counted.meters)
    return shown
