"""What is read back of usage: totals, events and quarantine, as values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar, overload

import msgspec

from domain.kernel.ids import CustomerId, EventId, MeterId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.usage.event import DIGEST_MODULUS
from domain.usage.verdict import Reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SegmentTotal:
    """What one meter counted in a segment for one combination of its dimensions.

    `digest` is the sum of its events' digests modulo 2^256. A dimension that events left out has the empty text.
    `quantity` is the sum of its hours. For some kinds of meter that is not what was measured: then `measured` is, and
    `whole` is what the meter measured over all its combinations, where these do not add up.
    """

    meter_id: MeterId
    dimensions: dict[str, str]
    quantity: Decimal
    events: int
    digest: int
    measured: Fraction | None = None
    whole: Fraction | None = None

    @property
    def amount(self) -> Fraction:
        """What was measured, exactly: what is rated."""
        return Fraction(self.quantity) if self.measured is None else self.measured


@dataclass(frozen=True, slots=True)
class Hour:
    """What one meter counted in one hour of the customer's zone; the hour begins at `at`."""

    at: datetime
    meter_id: MeterId
    dimensions: dict[str, str]
    quantity: Decimal
    events: int


class Combination(NamedTuple):
    """What one meter shows for one combination of its dimensions' values; `measured` as in MeterUsage."""

    dimensions: dict[str, str]
    quantity: Decimal
    events: int
    measured: Fraction | None = None


class Split(Sequence[Combination], Generic[T]):
    """The combinations of a meter, made when somebody looks at them: most readers want the sum alone."""

    __slots__ = ("_made", "_make", "_of")

    def __init__(self, make: Callable[[T], Iterable[Combination]], of: T) -> None:
        """Make none yet, and then all of them of what is given."""
        self._make, self._of = make, of
        self._made: tuple[Combination, ...] | None = None

    @property
    def _all(self) -> tuple[Combination, ...]:
        if self._made is None:
            self._made = tuple(self._make(self._of))
        return self._made

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    @overload
    def __getitem__(self, index: int) -> Combination: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Combination]: ...
    def __getitem__(self, index: int | slice) -> Combination | Sequence[Combination]:
        """Return one of them, or some."""
        return self._all[index]

    def __eq__(self, other: object) -> bool:
        """Compare with any sequence of combinations."""
        return isinstance(other, Sequence) and self._all == tuple(other)

    __hash__ = None  # type: ignore[assignment]


class MeterUsage(msgspec.Struct, frozen=True, gc=False):
    """What one meter shows in a usage period: a counter's sum, or a level as it stands now (then without events).

    `combinations` splits the quantity; it is empty for a meter without dimensions. A mean or a weighted level may have
    no end as a decimal: the quantity is then rounded to 18 digits, and `measured` is exact.
    """

    meter_id: MeterId
    quantity: Decimal
    events: int
    combinations: Sequence[Combination]
    measured: Fraction | None = None

    @property
    def amount(self) -> Fraction:
        """What the meter shows, exactly."""
        return Fraction(self.quantity) if self.measured is None else self.measured

    def quantity_where(self, wanted: Mapping[str, str] | None) -> Decimal:
        """Return the quantity of the combinations that have these values; all of it without a wish."""
        if not wanted:
            return self.quantity
        with localcontext(EXACT):
            return sum(
                (each.quantity for each in self.combinations if wanted.items() <= each.dimensions.items()), Decimal(0)
            )


class Usage(msgspec.Struct, frozen=True, gc=False):
    """A customer's usage of one subscription in one usage period, as of a usage version.

    Meters that counted nothing are not among `meters`. A cost meter's quantity is the exact cost in USD.
    """

    customer_id: CustomerId
    subscription_id: SubscriptionId
    period: Period
    version: int
    meters: Mapping[MeterId, MeterUsage]

    def quantity(self, meter_id: MeterId, wanted: Mapping[str, str] | None = None) -> Decimal:
        """Return what a meter shows, for all or for some values of its dimensions; nothing counted is 0."""
        found = self.meters.get(meter_id)
        return found.quantity_where(wanted) if found else Decimal(0)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A counted event. `cost` is exact, in USD; None where the type has no cost or no price was in force.

    `corrects` is the id of the event that it voids or replaces.
    """

    customer_id: CustomerId
    id: EventId
    received_at: datetime
    source: str
    event_id: str
    type: str
    subscription_id: SubscriptionId
    segment_id: SegmentId
    occurred_at: datetime
    properties: dict[str, Any]
    cost: Decimal | None
    corrects: str | None = None


def whole_of(totals: Sequence[SegmentTotal]) -> Fraction:
    """Return what a meter measured over all its combinations, from its totals in one segment: what a line charges."""
    if totals and totals[0].whole is not None:
        return totals[0].whole
    return sum((total.amount for total in totals), Fraction(0))


def added_up(totals: Iterable[SegmentTotal]) -> list[SegmentTotal]:
    """Add what several segments counted up, by meter and combination, in the order in which these first appear.

    What was measured is left out: it need not add up.
    """
    found: dict[tuple[object, ...], SegmentTotal] = {}
    for total in totals:
        key = (total.meter_id, *sorted(total.dimensions.items()))
        before = found.get(key, SegmentTotal(total.meter_id, total.dimensions, Decimal(0), 0, 0))
        found[key] = replace(
            before,
            quantity=EXACT.add(before.quantity, total.quantity),
            events=before.events + total.events,
            digest=(before.digest + total.digest) % DIGEST_MODULUS,
        )
    return list(found.values())


@dataclass(frozen=True, slots=True)
class QuarantinedEvent:
    """An event that could not be counted, or not priced, as it was sent. Unknown customers' belong to nobody."""

    customer_id: CustomerId
    id: EventId
    received_at: datetime
    source: str
    event_id: str
    type: str
    customer: str
    subscription: str | None
    occurred_at: datetime
    properties: dict[str, Any]
    reason: Reason
    detail: str | None
    resolved_at: datetime | None
