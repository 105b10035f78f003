"""Load facts when they are missing, keep a bounded number, and load them anew when they turn out to be old."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from domain.db import Database, Tx
from domain.kernel.call import Call
from domain.kernel.ids import ClockId, CustomerId, IdMalformed, SubscriptionId, decode, encode
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.plans.provider_price import PriceBook
from domain.subscriptions import service as subscriptions
from domain.subscriptions.buckets.store import share_buckets
from domain.usage.event import Envelope
from domain.usage.facts import CustomerFacts, Rules, rules_of
from domain.usage.resolve import Request, Row, resolve
from domain.usage.snapshots import store
from domain.usage.verdict import Reason, Verdict

CUSTOMERS_MAX = 20_000
_HOMELESS = frozenset((Reason.OUTSIDE_SUBSCRIPTION, Reason.UNKNOWN_SUBSCRIPTION))
RULES_AGE_MAX = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Loaders:
    """Where the catalogue comes from. The fingerprint changes whenever the catalogue or the price list does."""

    fingerprint: Callable[[Tx], Awaitable[str]] = plans.catalogue_fingerprint
    catalogue: Callable[[Tx], Awaitable[Catalogue]] = plans.load_catalogue
    price_book: Callable[[Tx], Awaitable[PriceBook]] = plans.load_price_book


class Snapshots:
    """One process's facts, by the customer's id as senders write it. Customers that do not exist are not remembered."""

    def __init__(self, db: Database, loaders: Loaders | None = None) -> None:
        self._db = db
        self._loaders = loaders or Loaders()
        self._customers: OrderedDict[str, CustomerFacts] = OrderedDict()
        self._rules: Rules | None = None
        self._checked_at = datetime.min.replace(tzinfo=UTC)
        self._checking = asyncio.Lock()

    async def rules(self, at: datetime) -> Rules:
        """Return the catalogue, checked once every RULES_AGE_MAX; meanwhile others go on with theirs."""
        known = self._rules
        if known is not None and (at - self._checked_at < RULES_AGE_MAX or self._checking.locked()):
            return known
        async with self._checking:
            if self._rules is None or at - self._checked_at >= RULES_AGE_MAX:
                self._rules = await self._check(self._rules)
                self._checked_at = at
            return self._rules

    def remembered(self, name: str, at: datetime) -> tuple[Rules, CustomerFacts] | None:
        """Return the catalogue and the facts of a customer where nothing need be asked for them.

        None for a customer on a test clock too, because what that shows is never remembered.
        """
        rules, facts = self._rules, self._customers.get(name)
        if rules is None or facts is None or facts.clock_id is not None or not at - self._checked_at < RULES_AGE_MAX:
            return None
        self._customers.move_to_end(name)
        return rules, facts

    async def _check(self, known: Rules | None) -> Rules:
        async with self._db.transaction() as tx:
            fingerprint = await self._loaders.fingerprint(tx)
            if known is not None and known.fingerprint == fingerprint:
                return known
            return rules_of(await self._loaders.catalogue(tx), await self._loaders.price_book(tx), fingerprint)

    async def resolve(
        self, call: Call, wanted: Sequence[tuple[Envelope, Request]], *, now: datetime | None = None
    ) -> list[Row | Verdict]:
        """Resolve events from facts that may be old, and open the segments they need; only a flush knows better.

        Windows are told by `now`, or else by the business time of each customer.
        """
        facts = await self.customers({each.event.customer for each, _ in wanted})
        clocks = await self.clocks(facts.values())

        def one(envelope: Envelope, request: Request) -> Row | Verdict:
            customer = facts.get(envelope.event.customer)
            clock_id = customer.clock_id if customer else None
            return resolve(envelope, request, customer, now or (clocks[clock_id] if clock_id else call.at))

        resolved = [one(*each) for each in wanted]
        homeless = [each for each in resolved if isinstance(each, Row) and each.verdict.reason in _HOMELESS]
        if homeless:
            await self.extend(call, _ends(homeless, facts))
            facts |= await self.reload({row.customer_id for row in homeless})
            resolved = [
                one(row.envelope, row.request) if isinstance(row, Row) and row.verdict.reason in _HOMELESS else row
                for row in resolved
            ]
        return resolved

    async def customers(self, names: Collection[str]) -> dict[str, CustomerFacts]:
        """Return the facts of those customers that exist, by the ids as they were written."""
        found: dict[str, CustomerFacts] = {}
        missing = []
        for name in names:
            facts = self._customers.get(name)
            if facts is None:
                missing.append(name)
            else:
                self._customers.move_to_end(name)
                found[name] = facts
        ids = _ids_of(missing)
        if ids:
            found |= await self._load(ids)
        return found

    async def reload(self, ids: Collection[CustomerId]) -> dict[str, CustomerFacts]:
        """Return facts read anew, because those remembered are old."""
        return await self._load(ids) if ids else {}

    async def extend(self, call: Call, ends: Iterable[tuple[CustomerId, SubscriptionId, datetime]]) -> None:
        """Open the segments that subscriptions need to hold instants that they cover, and forget the customers' facts.

        In a transaction of its own, in a fixed order, with the buckets shared: no border moves meanwhile.
        """
        wanted = sorted(ends)
        if not wanted:
            return
        async with self._db.transaction() as tx:
            await share_buckets(tx, [subscription_id for _, subscription_id, _ in wanted])
            for customer_id, subscription_id, at in wanted:
                found = await subscriptions.find_subscription(tx, subscription_id, scope=customer_id)
                if found is not None:
                    await subscriptions.ensure_segment(tx, call, found, at)
        for customer_id, _, _ in wanted:
            self._customers.pop(encode("customer", customer_id), None)

    async def clocks(self, customers: Iterable[CustomerFacts]) -> dict[ClockId, datetime]:
        """Return what the test clocks of these customers show now; they are never remembered."""
        ids = {each.clock_id for each in customers if each.clock_id is not None}
        if not ids:
            return {}
        async with self._db.transaction() as tx:
            return await store.load_clocks(await tx.raw(), ids)

    async def _load(self, ids: Collection[CustomerId]) -> dict[str, CustomerFacts]:
        async with self._db.transaction() as tx:
            loaded = await store.load_facts(await tx.raw(), ids)
        named = {encode("customer", customer_id): facts for customer_id, facts in loaded.items()}
        self._customers.update(named)
        while len(self._customers) > CUSTOMERS_MAX:
            self._customers.popitem(last=False)
        return named


def _ends(rows: Iterable[Row], facts: Mapping[str, CustomerFacts]) -> set[tuple[CustomerId, SubscriptionId, datetime]]:
    """Return how far the segments of each subscription of the sender's product would have to reach."""
    wanted: dict[tuple[CustomerId, SubscriptionId], datetime] = {}
    for row in rows:
        for subscription in facts[row.envelope.event.customer].subscriptions:
            key = (row.customer_id, subscription.id)
            if subscription.product_id == row.request.sender.product_id:
                wanted[key] = max(row.occurred_at, wanted.get(key, row.occurred_at))
    return {(*key, at) for key, at in wanted.items()}


def _ids_of(names: Iterable[str]) -> list[CustomerId]:
    """Read ids; a name that is none is of no customer, and is rejected when it is resolved."""
    ids = []
    for name in names:
        try:
            ids.append(CustomerId(decode("customer", name)))
        except IdMalformed:
            continue
    return ids
