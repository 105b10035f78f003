"""Count stored events once more: from what was kept of an event to what it adds to each meter, and to its digest.

An event is counted as it was when it came in: by the cost that was kept on it and under the names of the price list
rows that priced it, so that a later row or alias changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from domain.kernel.ids import CustomerId, MeterId, encode
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.plans.meter import Contribution, Meter, contribution
from domain.plans.provider_price import ANY_MODEL, PriceBook, normalise_model
from domain.usage.event import DIGEST_MODULUS, canonical_json, event_digest, identity_of, read_number
from domain.usage.facts import Rules


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """A stored event. `priced_as` is provider and model of the first list row that priced it; None: no row did.

    `meters` are those that counted it, in their order: one that was published since counts it no more.
    """

    source: str
    event_id: str
    type: str
    occurred_at: datetime
    properties: dict[str, Any]
    cost: Decimal | None
    priced_as: tuple[str, str] | None
    meters: tuple[MeterId, ...]


class Counting(NamedTuple):
    """An event that is counted, or counted again, (sign 1) or taken back by a correction (-1)."""

    sign: int
    event: CountedEvent


class Added(NamedTuple):
    """What an event adds to one meter, under the values of the meter's dimensions in their order."""

    meter: Meter
    values: tuple[str, ...]
    quantity: Decimal


@dataclass(slots=True)
class Sum:
    """A total that grows; `digest` is modulo 2^256."""

    quantity: Decimal = Decimal(0)
    events: int = 0
    digest: int = 0

    def add(self, quantity: Decimal, digest: int, sign: int) -> None:
        """Count one event more (sign 1), or take one back (-1)."""
        self.quantity = EXACT.add(self.quantity, quantity if sign > 0 else -quantity)
        self.events += sign
        self.digest = (self.digest + sign * digest) % DIGEST_MODULUS


def digest_of(customer_id: CustomerId, event: CountedEvent) -> int:
    """Return the digest of an event as it is stored: any change of what was counted changes it."""
    identity = identity_of(encode("customer", customer_id), event.source, event.event_id)
    return event_digest(identity, event.occurred_at, canonical_json(_plain(event.properties)), event.cost)


def added_by(event: CountedEvent, rules: Rules) -> Iterator[Added]:
    """Yield what an event adds to the meters of its type. What a meter cannot read adds nothing to it."""
    for meter, found in contributions_of(event, rules):
        yield Added(meter, found.dimensions, found.quantity)


def contributions_of(event: CountedEvent, rules: Rules) -> Iterator[tuple[Meter, Contribution]]:
    """Yield what an event says to the meters that counted it, with keys and operations."""
    own = rules.types.get(event.type)
    if own is None:
        return
    properties = _named(event, rules.book) if own.is_priced else event.properties
    for meter_id in event.meters:
        meter = rules.meters[meter_id]
        found = contribution(meter, properties, event.cost)
        if isinstance(found, Contribution):
            yield meter, found


def move_value(values: list[tuple[datetime, Decimal]], value: tuple[datetime, Decimal], sign: int) -> None:
    """Put the value of an event that is counted among others, or take it away again."""
    if sign > 0:
        values.append(value)
    elif value in values:
        values.remove(value)


def values_of(events: Iterable[tuple[datetime, Decimal]]) -> Sequence[Decimal]:
    """Put values into the order of time; those of one instant stay as they came in."""
    return [value for _, value in sorted(events, key=lambda each: each[0])]


def _named(event: CountedEvent, book: PriceBook) -> Mapping[str, Any]:
    """Return the properties with the names of provider and model under which the event was counted.

    A row for any model prices only models that were unknown then: their names were stripped and no more.
    """
    provider, model = _text(event.properties.get("provider")), _text(event.properties.get("model"))
    if event.priced_as is None:
        provider = book.provider_of(provider)
        model = book.model_of(provider, model)
    else:
        provider, priced_model = event.priced_as
        model = normalise_model(provider, model, {}) if priced_model == ANY_MODEL else priced_model
    return {**event.properties, "provider": provider, "model": model}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Write numbers as they were digested; the database may have given them other digits of the same value."""
    return {
        name: read_number(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
        for name, value in properties.items()
    }
