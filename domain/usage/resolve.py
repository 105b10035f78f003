"""From an envelope to the row that will be written: which segment, which meters, how much, at what cost."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from domain.access.roles import Permission
from domain.kernel.call import Call
from domain.kernel.ids import NOBODY, ClockId, CustomerId, IdMalformed, ProviderPriceId, decode
from domain.plans.exact import Quantity
from domain.plans.meter import Contribution, Meter, Operation, WrongValue, contribution
from domain.plans.meter_definition import VOID
from domain.plans.provider_price import POOL_OF_PROPERTY, PricedCost, without_parts
from domain.usage.combination import Combination, combination_of
from domain.usage.counters.counter import MeterSet, Pack, packs_of, set_of
from domain.usage.event import Envelope, Scalar, canonical_json, event_digest, identity_of, in_window
from domain.usage.facts import CustomerFacts, Rules, SegmentFacts, Sender, SubscriptionFacts, TypeRules
from domain.usage.verdict import COUNTED, Reason, Status, Verdict, quarantined, rejected

NO_KEY = bytes(16)
# Rejected for good: not even looked up.
_ALONE = frozenset((Reason.CORRECTS_NOT_ALLOWED, Reason.WRONG_PRODUCT))
_QUARTER = timedelta(minutes=15)
_QUARTERS_MAX = 16_384
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Ways to name properties that are remembered; they come from outside.
_NAMES_MAX = 256
# What a void counts.
_NOTHING = MeterSet(bytes(16), ())


class Place(NamedTuple):
    """Where a row is counted. `hour_at` is a full hour of the customer's zone, cut at the segment's start."""

    subscription: SubscriptionFacts
    segment: SegmentFacts
    hour_at: datetime


class Count(NamedTuple):
    """What a row adds to one meter; `key` is the digest of what a unique count counts."""

    meter: Meter
    combination: Combination
    quantity: Decimal
    key: bytes = NO_KEY
    operation: Operation = "add"


class Request(msgspec.Struct, frozen=True, gc=False):
    """What all rows of one request share. `call` is theirs too; without one nothing can be corrected."""

    sender: Sender
    rules: Rules
    received_at: datetime
    received_text: str
    call: Call | None = None

    @property
    def may_correct(self) -> bool:
        """Whether earlier events may be voided and replaced."""
        return self.call is not None and self.call.principal.may(Permission.USAGE_CORRECT)


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event with everything that will be written about it, and the verdict if its identity is new.

    A row whose verdict is `rejected` writes nothing and is only looked up, in case it was counted before. `kept` is the
    JSON of the properties that are stored. `packs` are for counters, `counts` for other meters whose totals are kept by
    addition alone, `slow` for all others; `meters` are all of them. `unpriced`: counted, and in quarantine for its
    cost. A void gets its place from what it voids.
    """

    request: Request
    envelope: Envelope
    customer_id: CustomerId
    identity: bytes
    verdict: Verdict
    occurred_at: datetime
    now: datetime
    kept: bytes = b""
    place: Place | None = None
    packs: tuple[Pack, ...] = ()
    counts: tuple[Count, ...] = ()
    cost: Decimal | None = None
    price_ids: tuple[ProviderPriceId, ...] = ()
    digest: int = 0
    unpriced: bool = False
    slow: tuple[Count, ...] = ()
    meters: MeterSet = _NOTHING
    clock_id: ClockId | None = None

    @property
    def is_void(self) -> bool:
        """Whether it counts nothing itself and only voids another event."""
        return self.envelope.event.type == VOID


class Counted(msgspec.Struct, frozen=True, gc=False):
    """What an event adds to meters, and what it costs; the fields are those of a row."""

    packs: tuple[Pack, ...]
    counts: tuple[Count, ...]
    slow: tuple[Count, ...]
    cost: Decimal | None
    price_ids: tuple[ProviderPriceId, ...]
    unpriced: bool


class Foreseen(msgspec.Struct, frozen=True, gc=False):
    """What an event would add to which meters, and in which subscription."""

    subscription: SubscriptionFacts
    counted: Counted


class _Priced(msgspec.Struct, frozen=True, gc=False):
    properties: Mapping[str, Scalar]
    cost: Decimal | None = None
    price_ids: tuple[ProviderPriceId, ...] = ()


def resolve(envelope: Envelope, request: Request, customer: CustomerFacts | None, now: datetime) -> Row | Verdict:
    """Decide what an event counts for, at business time `now`; a Verdict alone where it is rejected for good.

    A customer whom the sender may not see is unknown, and the event is kept apart from that customer's own.
    """
    if customer is None or customer.is_erased or not request.sender.sees(customer):
        return _of_nobody(envelope, request, customer, now)
    occurred_at = envelope.occurred_at or now
    identity = identity_of(envelope.event.customer, request.sender.source, envelope.event.id)

    def row(verdict: Verdict) -> Row:
        parts = (request, envelope, customer.id, identity, verdict, occurred_at, now)
        return Row(*parts, kept=envelope.canonical, clock_id=customer.clock_id)

    def refused(verdict: Verdict) -> Row | Verdict:
        return row(verdict) if verdict.status is Status.QUARANTINED else verdict

    verdict = _known_before(envelope, request, occurred_at, now)
    if verdict is not None:
        return verdict if verdict.reason in _ALONE else row(verdict)
    rules = request.rules.types[envelope.event.type]
    # A fault of its numbers is told before one of its place.
    counted = _count(rules, request.rules, envelope.properties, occurred_at)
    if isinstance(counted, Verdict):
        return refused(counted)
    place = place_of(customer, request.sender, envelope.event.subscription, occurred_at)
    if isinstance(place, Verdict):
        return refused(place)
    kept = _kept(rules, envelope)
    return Row(
        request,
        envelope,
        customer.id,
        identity,
        COUNTED,
        occurred_at,
        now,
        kept,
        place,
        counted.packs,
        counted.counts,
        counted.cost,
        counted.price_ids,
        event_digest(identity, occurred_at, kept, counted.cost),
        counted.unpriced,
        counted.slow,
        _all_of(counted),
        customer.clock_id,
    )


def foresee(
    event_type: str, properties: Mapping[str, Scalar], request: Request, customer: CustomerFacts
) -> Foreseen | None:
    """Say where and what an event of well-formed properties would count if it occurred when it came in.

    It is what `resolve` says, without what is only for writing a row. None where the event would not be counted, or is
    to be looked at more closely: `resolve` then says why. Nothing here knows of test clocks.
    """
    rules = request.rules.types.get(event_type)
    if rules is None or rules.product_id != request.sender.product_id or not request.sender.sees(customer):
        return None
    if customer.is_erased:
        return None
    counted = _count(rules, request.rules, properties, request.received_at)
    found = _segment_of(customer, request.sender, None, request.received_at)
    return None if found is None or isinstance(counted, Verdict) else Foreseen(found[0], counted)


def _known_before(envelope: Envelope, request: Request, occurred_at: datetime, now: datetime) -> Verdict | None:
    """Return the verdict on what is not counted by any meter, or need not be: None where meters decide."""
    if not in_window(occurred_at, now):
        return rejected(Reason.OUTSIDE_WINDOW)
    if envelope.event.corrects is not None and not request.may_correct:
        return rejected(Reason.CORRECTS_NOT_ALLOWED)
    if envelope.event.type == VOID:
        return COUNTED
    rules = request.rules.types.get(envelope.event.type)
    if rules is None:
        return quarantined(Reason.UNKNOWN_METER)
    return rejected(Reason.WRONG_PRODUCT) if rules.product_id != request.sender.product_id else None


def place_of(customer: CustomerFacts, sender: Sender, name: str | None, at: datetime) -> Place | Verdict:
    """Find where an event of an instant is counted, in the named subscription or any of the sender's product."""
    found = _segment_of(customer, sender, name, at)
    if found is not None:
        subscription, segment = found
        return Place(subscription, segment, hour_of(at, segment.zone, segment.start_at))
    if name is None or any(each.name == name for each in _subscriptions_of(customer, sender)):
        return quarantined(Reason.OUTSIDE_SUBSCRIPTION)
    return _unknown_subscription(name)


def _segment_of(
    customer: CustomerFacts, sender: Sender, name: str | None, at: datetime
) -> tuple[SubscriptionFacts, SegmentFacts] | None:
    """Find the segment that contains an instant."""
    for subscription in _subscriptions_of(customer, sender):
        if name is None or name == subscription.name:
            for segment in subscription.segments:
                if segment.start_at <= at < segment.end_at:
                    return subscription, segment
    return None


def _subscriptions_of(customer: CustomerFacts, sender: Sender) -> list[SubscriptionFacts]:
    return [each for each in customer.subscriptions if each.product_id == sender.product_id]


def hour_of(at: datetime, zone: ZoneInfo, segment_start_at: datetime) -> datetime:
    """Return the start of the full hour in the customer's zone, or of the segment where that is later."""
    return max(_hour_of_quarter((at - _EPOCH) // _QUARTER, zone), segment_start_at)


@lru_cache(maxsize=_QUARTERS_MAX)
def _hour_of_quarter(quarter: int, zone: ZoneInfo) -> datetime:
    """Return the full hour of the zone that a quarter of an hour belongs to: offsets are whole quarters since 1972.

    Quarters are counted from 1970 on.
    """
    at = _EPOCH + quarter * _QUARTER
    local = at.astimezone(zone)
    return at - timedelta(minutes=local.minute, seconds=local.second)


def _of_nobody(envelope: Envelope, request: Request, customer: CustomerFacts | None, now: datetime) -> Row | Verdict:
    """Keep an event of an unknown customer among nobody's rows, where it holds no identity of anybody's.

    Nothing is kept of one that the sender may see and that is erased.
    """
    if customer is not None and request.sender.sees(customer):
        return rejected(Reason.CUSTOMER_ERASED)
    event = envelope.event
    try:
        decode("customer", event.customer)
    except IdMalformed:
        return rejected(Reason.CUSTOMER_MALFORMED)
    identity = identity_of(f"{request.sender.environment}:{event.customer}", request.sender.source, event.id)
    occurred_at = envelope.occurred_at or now
    verdict = quarantined(Reason.UNKNOWN_CUSTOMER)
    if not in_window(occurred_at, now):
        verdict = rejected(Reason.OUTSIDE_WINDOW)
    return Row(request, envelope, NOBODY, identity, verdict, occurred_at, now, kept=envelope.canonical)


def _unknown_subscription(name: str) -> Verdict:
    try:
        decode("subscription", name)
    except IdMalformed:
        return rejected(Reason.SUBSCRIPTION_MALFORMED)
    return quarantined(Reason.UNKNOWN_SUBSCRIPTION)


def _count(rules: TypeRules, all_rules: Rules, properties: Mapping[str, Scalar], at: datetime) -> Counted | Verdict:
    """Price an event and ask each meter what it adds."""
    priced = _Priced(properties)
    if rules.is_priced:
        found = _price(all_rules, properties, at)
        if isinstance(found, Verdict):
            return found
        priced = found
    packs = _pack(rules, priced)
    if isinstance(packs, Verdict):
        return packs
    counts: list[Count] = []
    slow: list[Count] = []
    for meter, needs in rules.others:
        if needs and needs.isdisjoint(priced.properties):
            continue
        added = contribution(meter, priced.properties, priced.cost)
        if isinstance(added, WrongValue):
            signed = meter.is_level and meter.operation_property is None
            return _wrong_value(added, priced.properties, signed=signed)
        if added is not None:
            (counts if meter.is_plain else slow).append(count_of(meter, added))
    unpriced = rules.is_priced and priced.cost is None
    return Counted(packs, tuple(counts), tuple(slow), priced.cost, priced.price_ids, unpriced)


def _pack(rules: TypeRules, priced: _Priced) -> tuple[Pack, ...] | Verdict:
    """Ask the counters what an event adds to them."""
    found: tuple[Pack, ...] = ()
    for group in rules.counters:
        own = packs_of(group, priced.properties, priced.cost)
        if isinstance(own, WrongValue):
            return _wrong_value(own, priced.properties, signed=False)
        found += own
    return found


def _all_of(counted: Counted) -> MeterSet:
    """Name all meters that count an event; those of one pack are a set already."""
    if len(counted.packs) == 1 and not (counted.counts or counted.slow):
        return counted.packs[0].counters
    counters = [meter for pack in counted.packs for meter in pack.counters.meters]
    return set_of([*counters, *(count.meter for count in (*counted.counts, *counted.slow))])


def _price(rules: Rules, sent: Mapping[str, Scalar], at: datetime) -> _Priced | Verdict:
    """Say what an event costs by the row of its instant, and under which names its model is listed."""
    quantities = _quantities(sent)
    if isinstance(quantities, Verdict):
        return quantities
    provider, model = rules.book.names_of(_text(sent.get("provider")), _text(sent.get("model")))
    properties = sent
    if sent.get("provider") != provider or sent.get("model") != model:
        properties = {**sent, "provider": provider, "model": model}
    priced = rules.book.tariff_of(provider, model, at).cost_of(quantities)
    if isinstance(priced, PricedCost):
        return _Priced(properties, priced.cost, priced.row_ids)
    return _Priced(properties)


def count_of(meter: Meter, added: Contribution) -> Count:
    """Arrange what an event adds to a meter, plain or not."""
    combination = combination_of(meter.id.bytes, meter.dimensions, added.dimensions)
    key = blake2b(added.key.encode(), digest_size=16).digest() if added.key else NO_KEY
    return Count(meter, combination, added.quantity, key, added.operation)


def _quantities(properties: Mapping[str, Scalar]) -> Mapping[str, Quantity] | Verdict:
    """Read the quantities by pool. Pools are mutually exclusive, and each is a number of at least 0."""
    quantities: dict[str, Quantity] = {}
    for name, pool in _pools_of(tuple(properties)):
        value = properties[name]
        if type(value) is not int and (isinstance(value, bool) or not isinstance(value, (int, Decimal))):
            return quarantined(Reason.WRONG_TYPE, name)
        if value < 0:
            return rejected(Reason.NEGATIVE_VALUE, name)
        quantities[pool] = value
    exclusive = without_parts(quantities)
    return quarantined(Reason.WRONG_TYPE, "a part is more than its whole") if exclusive is None else exclusive


@lru_cache(maxsize=_NAMES_MAX)
def _pools_of(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return those properties that carry quantities, each with its pool."""
    return tuple((name, POOL_OF_PROPERTY[name]) for name in names if name in POOL_OF_PROPERTY)


def listed_names(row: Row) -> tuple[str, str]:
    """Return provider and model of a call under the names of the price list."""
    sent = row.envelope.properties
    return row.request.rules.book.names_of(_text(sent.get("provider")), _text(sent.get("model")))


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else ""


def _wrong_value(fault: WrongValue, properties: Mapping[str, Scalar], *, signed: bool) -> Verdict:
    value = properties.get(fault.property)
    if not signed and isinstance(value, (int, Decimal)) and not isinstance(value, bool) and value < 0:
        return rejected(Reason.NEGATIVE_VALUE, fault.property)
    return quarantined(Reason.WRONG_TYPE, f"{fault.property} {fault.reason}")


def _kept(rules: TypeRules, envelope: Envelope) -> bytes:
    """Return the JSON of the properties that some meter reads; nothing else is stored."""
    properties = envelope.properties
    kept = _kept_of(tuple(properties), rules.kept)
    if len(kept) == len(properties):
        return envelope.canonical
    return canonical_json({name: properties[name] for name in kept})


@lru_cache(maxsize=_NAMES_MAX)
def _kept_of(names: tuple[str, ...], kept: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in kept)
