"""Read the running usage of many customers, as `current_usage` reads that of one subscription."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from domain.db import Tx
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage.gathering import store
from domain.usage.gathering.store import Mark, Runner
from domain.usage.measuring import service as measuring
from domain.usage.reading import Usage
from domain.usage.totals.store import Totals

# Of one reading: a batch of more would keep the first of them waiting.
CUSTOMERS_MAX = 250
# As many as the watched customers of one process run, and more.
KNOWN_MAX = 20_000


class Standing(NamedTuple):
    """A customer's running usage: what its test clock shows (None without one), and of each live subscription."""

    environment: Environment
    clock_now: datetime | None
    version: int
    running: list[tuple[Subscription, Usage]]


class Known:
    """Subscriptions that a process has read, at most KNOWN_MAX: each is used for as long as its row has not changed."""

    def __init__(self) -> None:
        self._known: dict[SubscriptionId, Subscription] = {}

    async def load(self, tx: Tx, marks: Collection[Mark]) -> dict[SubscriptionId, Subscription]:
        """Return subscriptions in the states that are marked, or later ones."""
        missing = [mark.id for mark in marks if not self._is_known(mark)]
        for start in range(0, len(missing), subscriptions.LOOKUP_MAX):
            part = missing[start : start + subscriptions.LOOKUP_MAX]
            for subscription_id, found in (await subscriptions.subscriptions_by_id(tx, part, scope=None)).items():
                self._known.pop(subscription_id, None)
                self._known[subscription_id] = found
        loaded = {mark.id: self._known[mark.id] for mark in marks if mark.id in self._known}
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return loaded

    def _is_known(self, mark: Mark) -> bool:
        known = self._known.get(mark.id)
        return known is not None and (known.version, known.epoch) == (mark.version, mark.epoch)


async def usage_of_customers(
    tx: Tx, catalogue: Catalogue, customer_ids: Collection[CustomerId], known: Known
) -> dict[CustomerId, Standing]:
    """Return the running usage of at most CUSTOMERS_MAX customers, those that exist, in a bounded number of statements.

    What meters that are no counters show takes further ones for each subscription that has any. The version is read
    with the totals, so what is shown is at least as new. The caller has checked rights and scopes.
    """
    assert len(customer_ids) <= CUSTOMERS_MAX, "a reading is bounded"
    runners = await store.list_running(tx, customer_ids)
    loaded = await known.load(tx, [mark for each in runners.values() for mark in each.marks])
    live = [each for each in loaded.values() if each.is_live]
    versions, totals = await store.list_totals(tx, list(runners), live)
    measured = await _measured(tx, catalogue, live, totals)
    return {
        customer_id: _standing(customer_id, runner, versions.get(customer_id, 0), loaded, totals | measured)
        for customer_id, runner in runners.items()
    }


def _standing(
    customer_id: CustomerId,
    runner: Runner,
    version: int,
    loaded: dict[SubscriptionId, Subscription],
    totals: dict[SubscriptionId, Totals],
) -> Standing:
    running = []
    for mark in runner.marks:
        own = loaded.get(mark.id)
        if own is not None and own.is_live:
            meters = totals[own.id].meters if own.id in totals else {}
            running.append((own, Usage(customer_id, own.id, own.period, version, meters)))
    return Standing(runner.environment, runner.clock_now, version, running)


async def _measured(
    tx: Tx, catalogue: Catalogue, live: Sequence[Subscription], totals: dict[SubscriptionId, Totals]
) -> dict[SubscriptionId, Totals]:
    """Return the totals of subscriptions whose products have meters that are no counters, with what these show."""
    of = [each for each in live if any(not one.is_counter for one in catalogue.meters_of(each.product_id))]
    if not of:
        return {}
    since = min(each.period.start for each in of)
    segments = await subscriptions.segments_of(tx, [each.id for each in of], ending_after=since)
    found = {}
    for each in of:
        own = [one for one in segments[each.id] if one.period == each.period]
        counted = totals.get(each.id, Totals(0, {}, is_measured=True))
        shown = await measuring.usage_of_period(tx, each, own, counted.meters)
        found[each.id] = counted._replace(meters=shown)
    return found
