"""What a process remembers of customers and of the catalogue, to resolve events without a look-up each.

Facts may be stale; a count never is: a flush compares the epoch of each subscription before it writes.
"""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from domain.kernel.call import Environment, Principal
from domain.kernel.ids import ClockId, CustomerId, MeterId, ProductId, SegmentId, SubscriptionId
from domain.kernel.values import dataclass
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue
from domain.plans.provider_price import POOL_OF_PROPERTY, PriceBook
from domain.usage.counters.counter import Group, groups_of
from domain.usage.verdict import KeyRecordsNothing


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """A stretch [start_at, end_at) of the usage period that ends at `period_end_at`, with the hours of `zone`.

    `key` starts its totals' keys.
    """

    id: SegmentId
    start_at: datetime
    end_at: datetime
    period_end_at: datetime
    key: bytes
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """A subscription with its newest segments, latest first. `name` is its id as senders write it, `hex` in plain."""

    id: SubscriptionId
    name: str
    hex: str
    product_id: ProductId
    epoch: int
    segments: tuple[SegmentFacts, ...]


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer with its subscriptions, newest first. Nothing is recorded of one that is erased."""

    id: CustomerId
    environment: Environment
    clock_id: ClockId | None
    subscriptions: tuple[SubscriptionFacts, ...]
    is_erased: bool = False


@dataclass(frozen=True, slots=True)
class TypeRules:
    """How events of one type are counted. `kept` names the properties that are stored, all others are dropped.

    `others` are the meters that are no counters, each with the properties of which an event must have one to be of
    interest to it; empty: none.
    """

    product_id: ProductId
    counters: tuple[Group, ...]
    others: tuple[tuple[Meter, frozenset[str]], ...]
    kept: frozenset[str]
    is_priced: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """The catalogue and the price list as events need them, until the fingerprint changes."""

    fingerprint: str
    products: Mapping[str, ProductId]
    types: Mapping[str, TypeRules]
    meters: Mapping[MeterId, Meter]
    book: PriceBook


class Sender(msgspec.Struct, frozen=True, gc=False):
    """The key that sent events: the source of their identity, and what it may report on."""

    source: str
    product_id: ProductId
    product_key: str
    environment: Environment
    customer_id: CustomerId | None

    def sees(self, customer: CustomerFacts) -> bool:
        """Whether the customer exists for this key."""
        own = self.customer_id is None or self.customer_id == customer.id
        return own and customer.environment is self.environment


def sender_of(principal: Principal, products: Mapping[str, ProductId]) -> Sender:
    """Return what a key may report as. Raises KeyRecordsNothing for people, and for keys without a product."""
    if principal.source is None or principal.environment is None or principal.product is None:
        raise KeyRecordsNothing
    product_id = products.get(principal.product)
    if product_id is None:
        raise KeyRecordsNothing
    return Sender(principal.source, product_id, principal.product, principal.environment, principal.customer_id)


def rules_of(catalogue: Catalogue, book: PriceBook, fingerprint: str) -> Rules:
    """Arrange the catalogue by type of event."""
    types = {meter.event_type for meter in catalogue.meters.values()}
    return Rules(
        fingerprint,
        {product.key: product.id for product in catalogue.products},
        {name: _type_rules(catalogue.meters_for(name)) for name in types},
        catalogue.meters,
        book,
    )


def _type_rules(meters: tuple[Meter, ...]) -> TypeRules:
    is_priced = any(meter.aggregation == "cost" for meter in meters)
    kept = frozenset[str]().union(*(meter.properties for meter in meters))
    if is_priced:
        kept |= {"provider", "model", *POOL_OF_PROPERTY}
    others = tuple(
        (each, frozenset(each.value_properties if each.when_missing == "skip" else ()))
        for each in meters
        if not each.is_counter
    )
    return TypeRules(meters[0].product_id, groups_of(meters), others, kept, is_priced)
