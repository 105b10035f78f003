"""Load a usage period, one customer's or those of a page of customers, and compare it with another plan version."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from domain.access.roles import Permission
from domain.contracts.what_if.replay import Counted, Replay, Values, WhatIf, as_one_segment, compare, totals_of
from domain.credits.grants import service as unit_grants
from domain.customers import service as customers
from domain.db import Tx
from domain.invoices import rating
from domain.invoices.granted import granted_in
from domain.invoices.invoice import FEE_KINDS, Line
from domain.invoices.standing import store as standing_store
from domain.kernel.call import Call, Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, MeterId, PlanVersionId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue, PlanVersion, PriceNotFound
from domain.plans.provider_price import PriceBook
from domain.subscriptions import service as subscriptions
from domain.subscriptions.segments import keeping_their_price
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Segment, Source, Subscription
from domain.subscriptions.term import Term, billable
from domain.subscriptions.terms import service as subscription_terms
from domain.usage import service as usage
from domain.usage.facts import Rules, rules_of
from domain.usage.reading import MeterUsage
from domain.usage.recounting import service as recounting

PAGE = 100


@dataclass(eq=False)
class PlanVersionNotFound(DomainError):
    """The plan {plan} has no version {version}. See the versions of the plan."""

    code = "plan_version_not_found"
    kind = Kind.NOT_FOUND
    plan: str
    version: int


@dataclass(eq=False)
class UsagePeriodNotFound(DomainError):
    """The subscription has no usage period at {at}. Choose an instant between its start and its end."""

    code = "usage_period_not_found"
    kind = Kind.NOT_FOUND
    at: str


@dataclass(eq=False)
class NotRatedHere(DomainError):
    """Stripe bills this subscription, so it is not rated here. Choose one that Tollgate bills."""

    code = "not_rated_here"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Against:
    """What periods are replayed against: a plan version of one product, beside the catalogue and the price list."""

    product_key: str
    version: PlanVersion
    catalogue: Catalogue
    book: PriceBook

    @property
    def rules(self) -> Rules:
        """How events are counted, for the prices that look at each event."""
        return rules_of(self.catalogue, self.book, self.catalogue.fingerprint)


@dataclass(frozen=True, slots=True)
class Page:
    """The subscriptions of a page of customers. `unsold` counts those to which the plan is not sold as they pay.

    That is by their interval and in their currency. `last` is the page's last customer, None after the last page.
    """

    compared: tuple[WhatIf, ...]
    customers: int
    unsold: int
    last: CustomerId | None


async def against(tx: Tx, call: Call, *, product_key: str, plan_key: str, number: int | None = None) -> Against:
    """Choose a version of a plan: the newest, or the one with a number.

    Raises Forbidden, ProductNotFound, PlanNotFound, PlanVersionNotFound.
    """
    call.need(Permission.INVOICE_READ)
    catalogue = await plans.load_catalogue(tx)
    version = catalogue.current_version(product_key, plan_key)
    if number is not None:
        found = [
            each
            for each in catalogue.versions.values()
            if (each.plan_id, each.number, each.customer_id) == (version.plan_id, number, None)
        ]
        if not found:
            raise PlanVersionNotFound(plan_key, number)
        [version] = found
    return Against(product_key, version, catalogue, await plans.load_price_book(tx))


async def what_if(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    plan_key: str,
    number: int | None = None,
    at: datetime | None = None,
) -> WhatIf:
    """Replay the usage period that contains an instant, or the present one, against another plan of the same product.

    Writes nothing. Raises Forbidden, SubscriptionNotFound, PlanNotFound, PlanVersionNotFound, UsagePeriodNotFound,
    NotRatedHere, and PriceNotFound where the plan is not sold by the subscription's interval in its currency.
    """
    call.need(Permission.INVOICE_READ)
    own = call.principal.environment
    found = await subscriptions.find_subscription(tx, subscription_id, scope=call.scope, environment=own)
    if found is None or found.customer_id != customer_id:
        raise SubscriptionNotFound
    if found.source is Source.STRIPE:
        raise NotRatedHere
    product_key = (await plans.load_catalogue(tx)).product_by_id(found.product_id).key
    other = await against(tx, call, product_key=product_key, plan_key=plan_key, number=number)
    segments = (await subscriptions.segments_of(tx, [found.id]))[found.id]
    terms = (await subscription_terms.terms_of(tx, [found.id]))[found.id]
    period = _period(found, billable(terms, segments), at)
    if period is None:
        raise UsagePeriodNotFound((at or found.period.start).isoformat())
    now = await customers.business_now(tx, call, found.customer_id)
    return await _replay(tx, other, found, segments, period, terms=terms, is_over=period.end <= now)


async def what_if_page(
    tx: Tx,
    call: Call,
    other: Against,
    *,
    environment: Environment | None = None,
    at: datetime | None = None,
    after: CustomerId | None = None,
    only: CustomerId | None = None,
) -> Page:
    """Replay the subscriptions of up to PAGE customers, or of one; `after` is the last customer of the page before.

    Those that have no usage period at the instant, or that Stripe bills, are left out. Raises Forbidden.
    """
    call.need(Permission.INVOICE_READ)
    found = (
        [await customers.get_customer(tx, call, only)]
        if only is not None
        else await customers.list_customers(tx, call, environment=environment, after=after, limit=PAGE)
    )
    clocks = await customers.clocks_by_id(tx, {each.clock_id for each in found if each.clock_id is not None})
    nows = {each.id: clocks[each.clock_id].now_at if each.clock_id else call.at for each in found}
    own = await _rated(tx, other, [each.id for each in found])
    segments = await subscriptions.segments_of(tx, [each.id for each in own])
    terms = await subscription_terms.terms_of(tx, [each.id for each in own])
    compared, unsold = [], 0
    for subscription in own:
        its_segments, its_terms = segments[subscription.id], terms[subscription.id]
        period = _period(subscription, billable(its_terms, its_segments), at)
        if period is not None:
            is_over = period.end <= nows[subscription.customer_id]
            try:
                found_out = _replay(tx, other, subscription, its_segments, period, terms=its_terms, is_over=is_over)
                compared.append(await found_out)
            except PriceNotFound:
                unsold += 1
    last = found[-1].id if only is None and len(found) == PAGE else None
    return Page(tuple(compared), len(found), unsold, last)


async def _rated(tx: Tx, other: Against, ids: Sequence[CustomerId]) -> list[Subscription]:
    """Return the subscriptions of the plan's product that Tollgate bills."""
    product_id = other.catalogue.product(other.product_key).id
    found = await subscriptions.subscriptions_of_customers(tx, ids, scope=None) if ids else {}
    return [
        each
        for customer_id in ids
        for each in found.get(customer_id, ())
        if each.product_id == product_id and each.source is not Source.STRIPE
    ]


def _period(subscription: Subscription, segments: Sequence[Segment], at: datetime | None) -> Period | None:
    """Return the usage period that contains an instant, or the present one of what has not ended."""
    if at is None and not subscription.is_live:
        return None
    wanted = subscription.period.start if at is None else at
    return next((each.period for each in segments if wanted in each.period), None)


async def _replay(
    tx: Tx,
    other: Against,
    subscription: Subscription,
    segments: Sequence[Segment],
    period: Period,
    *,
    terms: Sequence[Term],
    is_over: bool,
) -> WhatIf:
    """Load what a period counted outside of a trial and what stands on invoices for it, and compare."""
    customer_id, version_id = subscription.customer_id, other.version.id
    own = [each for each in billable(terms, segments) if each.period == period]
    ids = [each.id for each in own]
    meters = await recounting.totals_of(tx, customer_id, ids)
    counted = []
    for group in keeping_their_price(own):
        its_meters = meters
        if len(group) < len(own):
            its_meters = await recounting.totals_of(tx, customer_id, [each.id for each in group])
        counted.append(await _counted(tx, other, subscription, group, its_meters))
    billed = await _billed(tx, subscription, ids, period)
    levels = await _levels(tx, other.catalogue, subscription, segments, period)
    replay = Replay(subscription, period, is_over, tuple(counted), meters, levels, billed)
    as_one = await _counted(tx, other, subscription, own, meters, under=version_id)
    return compare(replay, as_one, other.catalogue)


async def _counted(
    tx: Tx,
    other: Against,
    subscription: Subscription,
    group: Sequence[Segment],
    meters: Mapping[MeterId, MeterUsage],
    *,
    under: PlanVersionId | None = None,
) -> Counted:
    """Load what the prices of segments that are rated together take, or as one segment those of another version.

    Running totals are read already; what a meter measured otherwise is read only where it has a price.
    """
    ids, catalogue = [each.id for each in group], other.catalogue
    version_id = under or group[0].plan_version_id
    prices = catalogue.usage_prices(version_id, subscription.currency)
    priced = {price.meter_id for price in prices if price.meter_id is not None}
    measured = {each for each in priced if not catalogue.meter(each).is_counter}
    totals = totals_of({each: meters[each] for each in meters if each in priced - measured})
    if measured:
        found = await usage.usage_together(tx, subscription.customer_id, ids)
        totals += [total for total in found if total.meter_id in measured]
    values = await _values(tx, other, subscription, version_id, ids)
    segments = tuple(group) if under is None else (as_one_segment(group, under),)
    until = max(segment.during.end for segment in group)
    taken = await unit_grants.taken_by_segment(tx, subscription.customer_id, [subscription.id], until)
    return Counted(segments, totals, values, granted_in(ids, taken))


async def _billed(tx: Tx, subscription: Subscription, ids: Sequence[SegmentId], period: Period) -> list[Line]:
    """Return the lines that stand for segments and for the period's own fee; a yearly fee is none of a period's."""
    found = await standing_store.list_standing_lines(
        tx,
        customer_id=subscription.customer_id,
        segment_ids=ids,
        subscription_ids=[subscription.id],
        fees_since=period.start,
    )
    return [
        line
        for line in found
        if line.identity.kind not in FEE_KINDS or (line.period.end == period.end and period.start <= line.period.start)
    ]


async def _levels(
    tx: Tx, catalogue: Catalogue, subscription: Subscription, segments: Sequence[Segment], period: Period
) -> Mapping[MeterId, MeterUsage]:
    """Return where levels stood at the end of what was counted of a period: they carry over from all before it."""
    wanted = {each.id for each in catalogue.meters_of(subscription.product_id) if each.aggregation == "level"}
    if not wanted:
        return {}
    before = [each.id for each in segments if each.during.start < period.end]
    found = await recounting.totals_of(tx, subscription.customer_id, before)
    return {meter_id: each for meter_id, each in found.items() if meter_id in wanted}


async def _values(
    tx: Tx, other: Against, subscription: Subscription, version_id: PlanVersionId, ids: Collection[SegmentId]
) -> Values:
    """Load what each event added, for the prices of a version that look at each event."""
    meters = rating.meters_by_event(version_id, subscription.currency, other.catalogue)
    customer_id = subscription.customer_id
    return {each.id: await recounting.values_of_events(tx, customer_id, ids, each.id, other.rules) for each in meters}
