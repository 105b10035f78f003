"""The limits of one subscription at one instant, with everything that decides whether more may be used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits.asking import Addition, Estimate, asked_of, is_among
from domain.limits.markup import markup_of
from domain.limits.override import Override
from domain.limits.policy import Limit, bound, is_in_grace, limit_of
from domain.plans.exact import EXACT
from domain.plans.plan import Catalogue, Entitlement, OnFailure
from domain.plans.price import free_version, rate
from domain.subscriptions.subscription import AccessState, Segment, Subscription
from domain.usage.reading import Usage

# What carries over from one period to the next is leased for all of them.
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
# One that was read so long ago is read again before anything is decided by it: plans and overrides change.
ACCOUNT_AGE_MAX = timedelta(seconds=5)
# Forms of estimates that an account remembers; what is full starts anew, since they come from outside.
FORMS_MAX = 256
# The limits that estimates of one form feed, each with the places of the additions that do.
Fed = tuple[tuple[str, tuple[int, ...]], ...]
_ONE = Decimal(1)
_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit of a subscription, as its plan or an override states it. `markup` is what a list price is times."""

    key: str
    name: str
    unit: str
    limit: Limit
    meter_id: MeterId
    wanted: Mapping[str, str] | None
    money: bool
    markup: Decimal
    carries: bool
    on_failure: OnFailure
    override: Override | None = None

    def used_in(self, usage: Usage) -> Fraction:
        """Return what counts against it."""
        used = usage.quantity(self.meter_id, self.wanted)
        return Fraction(EXACT.multiply(used, self.markup) if self.money else used)

    def fed_by(self, additions: Sequence[Addition]) -> tuple[int, ...]:
        """Return the places of those additions that feed it."""
        return tuple(
            place
            for place, each in enumerate(additions)
            if each.meter_id == self.meter_id and is_among(self.wanted, each.combination)
        )

    def asked_by(self, additions: Iterable[Addition], used: Fraction) -> Fraction:
        """Return what additions that feed it ask for beside what was used."""
        asked = asked_of(additions, used=_NOTHING if self.money else used)
        return asked if self.markup == _ONE else asked * Fraction(self.markup)


@dataclass(frozen=True, slots=True)
class Line:
    """A limit beside what was used, what other processes have leased, and when a soft limit was first passed."""

    allowance: Allowance
    used: Fraction
    leased: Fraction
    passed_at: datetime | None

    @property
    def key(self) -> str:
        """The key of the limit."""
        return self.allowance.key

    @property
    def is_bounded(self) -> bool:
        """Whether anything is ever refused by it."""
        limit = self.allowance.limit
        return limit.amount is not None and limit.policy != "observe"

    def bound_at(self, now: datetime) -> Fraction | None:
        """Return where usage must end at an instant of business time; None: nothing is ever refused."""
        limit = self.allowance.limit
        if limit.policy != "soft":
            return bound(limit, in_grace=False)
        return bound(limit, in_grace=is_in_grace(limit, self.passed_at, now))


@dataclass(frozen=True, slots=True)
class Basis:
    """What an account was read from: the subscription with the usage period that it is of, and its segments."""

    running: Subscription
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """A subscription's limits as they were read at `read_at`, in real time; `period` is the usage period.

    What was used and leased was read at `counted_at`, from the segments of the `basis`. When that is read anew, the
    allowances of the lines stay the same: which of them an estimate of a form feeds is remembered.
    """

    customer_id: CustomerId
    subscription_id: SubscriptionId
    epoch: int
    plan: str
    currency: str
    is_paid: bool
    product: str
    period: Period
    read_at: datetime
    counted_at: datetime
    lines: Mapping[str, Line]
    basis: Basis
    access: AccessState = AccessState.FULL
    _fed: dict[tuple[bytes, ...], Fed] = field(default_factory=dict, compare=False, repr=False)

    def is_fresh(self, epoch: int, at: datetime, now: datetime) -> bool:
        """Whether it may still decide: young, of the period that business time is in, and no border moved since."""
        return self.epoch == epoch and at - self.read_at < ACCOUNT_AGE_MAX and now in self.period

    def with_lines(
        self,
        lines: Iterable[Line],
        leased: Mapping[tuple[str, datetime], Fraction],
    ) -> "Account":
        """Return it with its lines, given what others have leased."""
        found = [replace(line, leased=leased.get((line.key, self.span_of(line)), _NOTHING)) for line in lines]
        return replace(self, lines={line.key: line for line in found})

    def span_of(self, line: Line) -> datetime:
        """Return the start of the stretch that a lease on a limit is for."""
        return ALWAYS if line.allowance.carries else self.period.start

    def resets_at(self, line: Line) -> datetime | None:
        """Return when a limit starts anew; None for what carries over."""
        return None if line.allowance.carries else self.period.end

    def still_held(self, holds: Mapping[str, Fraction], period_start_at: datetime) -> Mapping[str, Fraction]:
        """Return what of the holds of a usage period counts in this one: of another period what carries over."""
        if period_start_at == self.period.start:
            return holds
        return {key: held for key, held in holds.items() if key in self.lines and self.lines[key].allowance.carries}

    def asks_of(self, estimate: Estimate) -> dict[str, Fraction]:
        """Return what an event asks of each limit that it feeds, in the order of the plan."""
        additions, lines = estimate.additions, self.lines
        fed = self._fed.get(estimate.form)
        found = {}
        for key, places in self._feed(estimate) if fed is None else fed:
            line = lines[key]
            found[key] = line.allowance.asked_by([additions[place] for place in places], line.used)
        return found

    def _feed(self, estimate: Estimate) -> Fed:
        """Find out which limits an estimate feeds, and remember it for those of its form."""
        places = ((key, line.allowance.fed_by(estimate.additions)) for key, line in self.lines.items())
        found = tuple(each for each in places if each[1])
        if len(self._fed) >= FORMS_MAX:
            self._fed.clear()
        self._fed[estimate.form] = found
        return found

    def unpriceable(self, estimate: Estimate) -> Line | None:
        """Return the limit of money that refuses what has no price or no bound, or None: on a paid plan only."""
        if not estimate.priceless or not self.is_paid:
            return None
        for line in self.lines.values():
            limit = line.allowance.limit
            if line.allowance.money and limit.amount is not None and limit.policy == "hard":
                return line
        return None


def allowances_of(
    catalogue: Catalogue, subscription: Subscription, overrides: Mapping[str, Override]
) -> list[Allowance]:
    """Return the limits that checks answer by, each with the override that replaces its amount.

    They are those of the plan version in force, in its order; while access is restricted those of the free plan,
    without overrides.
    """
    own = {} if subscription.access is AccessState.RESTRICTED else overrides
    return [
        _allowance(catalogue, subscription, entitlement, entitlement.meter_id, own.get(entitlement.key))
        for entitlement in entitlements_of(catalogue, subscription)
        if entitlement.kind == "limit" and entitlement.meter_id is not None
    ]


def entitlements_of(catalogue: Catalogue, subscription: Subscription) -> tuple[Entitlement, ...]:
    """Return what a subscription grants: its plan version's, or under restricted access what the free plan would.

    To what carries over nothing may be added then, whatever is there. Without a free plan nothing at all is granted.
    """
    own = catalogue.version(subscription.plan_version_id).entitlements
    if subscription.access is not AccessState.RESTRICTED:
        return tuple(own)
    free = free_version(catalogue, subscription.product_id, subscription.currency)
    found = own if free is None else free.entitlements
    return tuple(_restricted(catalogue, each, grants=free is not None) for each in found)


def _restricted(catalogue: Catalogue, entitlement: Entitlement, *, grants: bool) -> Entitlement:
    if entitlement.kind != "limit" or entitlement.meter_id is None:
        return entitlement
    if grants and not catalogue.meter(entitlement.meter_id).carries:
        return entitlement
    return replace(entitlement, amount=Decimal(0), policy="hard", soft_percent=None, grace_hours=None)


def _allowance(
    catalogue: Catalogue,
    subscription: Subscription,
    entitlement: Entitlement,
    meter_id: MeterId,
    override: Override | None,
) -> Allowance:
    meter, limit = catalogue.meter(meter_id), limit_of(entitlement)
    if override is not None:
        limit = replace(limit, amount=None if override.amount is None else Fraction(override.amount))
    return Allowance(
        key=entitlement.key,
        name=entitlement.description,
        unit=entitlement.currency if entitlement.money and entitlement.currency else meter.unit,
        limit=limit,
        meter_id=meter_id,
        wanted=entitlement.dimension_filter,
        money=entitlement.money,
        markup=markup_of(catalogue, subscription, meter_id) if entitlement.money else _ONE,
        carries=meter.carries,
        on_failure=entitlement.on_failure,
        override=override,
    )


def is_paid(catalogue: Catalogue, subscription: Subscription) -> bool:
    """Whether a plan costs anything: a fee in the currency of the subscription, or usage that is charged."""
    version = catalogue.version(subscription.plan_version_id)
    fees = (price for price in version.prices if price.kind == "fee" and price.currency == subscription.currency)
    if any(rate(price, Fraction(1)).amount for price in fees):
        return True
    usage = catalogue.usage_prices(subscription.plan_version_id, subscription.currency)
    return any(price.model == "dynamic" and Decimal(price.definition["multiplier"]) for price in usage)


def passed_now(lines: Iterable[Line]) -> list[str]:
    """Return the soft limits that are found passed for the first time: their hours of grace have begun."""
    return [
        line.key
        for line in lines
        if line.allowance.limit.policy == "soft"
        and line.allowance.limit.amount is not None
        and line.passed_at is None
        and line.used > line.allowance.limit.amount
    ]
