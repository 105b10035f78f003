"""Prove for any subscription and period that what was counted equals what became of it. Nothing here writes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from domain.access.roles import Permission
from domain.credits.grants import service as unit_grants
from domain.customers import service as customers
from domain.db import Tx
from domain.invoices import assembly, rating, verification
from domain.invoices import service as invoices
from domain.invoices.conservation import store
from domain.invoices.conservation.balance import Accepted, Account, Billing, account_of
from domain.invoices.derivation import WantedLine
from domain.invoices.granted import with_grants
from domain.invoices.invoice import Line, LineKind, State
from domain.invoices.rating import SegmentUsage
from domain.invoices.recount import Recount, charged_by
from domain.invoices.standing import store as standing_store
from domain.invoices.verification import TotalCheck
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, MeterId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.segments import is_complete, keeping_their_price
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Segment, Subscription
from domain.subscriptions.term import Term, billable, is_unbilled
from domain.subscriptions.terms import service as subscription_terms
from domain.usage import service as usage
from domain.usage.facts import Rules, rules_of
from domain.usage.reading import SegmentTotal, whole_of
from domain.usage.recounting import service as recounting

# What is counted while it is being proved makes the proof start anew; beyond this the last answer stands.
STARTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Conservation:
    """The proof for one subscription and usage period. `totals` holds stored totals that are not their events' sums."""

    customer_id: CustomerId
    subscription_id: SubscriptionId
    period: Period
    accounts: tuple[Account, ...]
    totals: tuple[TotalCheck, ...]
    accepted: Accepted
    events: int

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing charged that was not counted."""
        return self.accepted.holds and not self.totals and not any(each.missing for each in self.accounts)


@dataclass(frozen=True, slots=True)
class _Books:
    subscription: Subscription
    segments: Sequence[Segment]
    terms: Sequence[Term]
    catalogue: Catalogue
    rules: Rules
    events_since: datetime | None
    now: datetime


async def conserve(
    tx: Tx, call: Call, *, customer_id: CustomerId, subscription_id: SubscriptionId, period_start: datetime
) -> Conservation:
    """Prove the usage period of a subscription that contains an instant; a period without usage holds.

    All events of the period are read, and lines are derived anew, so this takes its time. Raises Forbidden,
    SubscriptionNotFound.
    """
    call.need(Permission.LEDGER_READ)
    subscription = await subscriptions.find_subscription(
        tx, subscription_id, scope=customer_id, environment=call.principal.environment
    )
    if subscription is None or call.scope not in {None, customer_id}:
        raise SubscriptionNotFound
    for _ in range(STARTS_MAX):
        version = await usage.usage_version(tx, customer_id)
        found = await _prove(tx, await _open_books(tx, call, subscription), period_start)
        if version == await usage.usage_version(tx, customer_id):
            break
    return found


async def list_periods(tx: Tx, call: Call, subscription_id: SubscriptionId) -> list[Period]:
    """Return the usage periods of which a subscription has segments, oldest first. Raises Forbidden."""
    call.need(Permission.LEDGER_READ)
    found = (await subscriptions.segments_of(tx, [subscription_id]))[subscription_id]
    return list(dict.fromkeys(segment.period for segment in found if call.scope in {None, segment.customer_id}))


async def _open_books(tx: Tx, call: Call, subscription: Subscription) -> _Books:
    catalogue = await plans.load_catalogue(tx)
    return _Books(
        subscription,
        (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id],
        (await subscription_terms.terms_of(tx, [subscription.id]))[subscription.id],
        catalogue,
        rules_of(catalogue, await plans.load_price_book(tx), catalogue.fingerprint),
        await recounting.oldest_events_at(tx, subscription.customer_id),
        await customers.business_now(tx, call, subscription.customer_id),
    )


async def _prove(tx: Tx, books: _Books, at: datetime) -> Conservation:
    subscription = books.subscription
    own = [segment for segment in books.segments if at in segment.period]
    ids = [segment.id for segment in own]
    totals = await usage.usage_of_segments(tx, subscription.customer_id, ids) if ids else {}
    accounts: list[Account] = []
    checks: list[TotalCheck] = []
    events = 0
    for group, bills in await _bills(tx, books, own, totals):
        accounts += _accounts(books, group, bills)
    for segment in own:
        recount, differing = await _recount(tx, books, segment, totals[segment.id])
        checks += differing
        events += recount.events
    row = await store.count_accepted(await tx.raw(), subscription.customer_id)
    archived = any(verification.may_be_archived(segment.id, books.events_since) for segment in books.segments)
    period = own[0].period if own else Period(at, subscription.period.end) if at < subscription.period.end else None
    return Conservation(
        subscription.customer_id,
        subscription.id,
        period or subscription.period,
        tuple(accounts),
        tuple(checks),
        Accepted(**dict(row.items()), archived=archived),
        events,
    )


def _accounts(books: _Books, used: SegmentUsage, bills: Mapping[MeterId, Billing]) -> list[Account]:
    plan = (books.subscription, books.catalogue.version(used.segment.plan_version_id))
    found = []
    for meter_id, billing in bills.items():
        counted = [total for total in used.totals if total.meter_id == meter_id]
        if counted or billing.issued or billing.drafted:
            meter = books.catalogue.meter(meter_id)
            unbilled = is_unbilled(books.terms, used.segment.during.start)
            found.append(account_of(meter, whole_of(counted), used.segments, billing, plan=plan, unbilled=unbilled))
    return found


async def _bills(
    tx: Tx, books: _Books, own: Sequence[Segment], totals: Mapping[SegmentId, Sequence[SegmentTotal]]
) -> list[tuple[SegmentUsage, dict[MeterId, Billing]]]:
    """Load what is on opened invoices, and derive what should be, of every meter of the product.

    Segments that keep the same price are proved together: so they are billed.
    """
    subscription, ids = books.subscription, [segment.id for segment in own]
    lines = await standing_store.list_standing_lines(
        tx, customer_id=subscription.customer_id, segment_ids=ids, subscription_ids=[], fees_since=None
    )
    states = await invoices.invoices_by_id(tx, {line.invoice_id for line in lines}, scope=subscription.customer_id)
    billed = await standing_store.list_billed_segment_ids(
        tx, customer_id=subscription.customer_id, segment_ids=[segment.id for segment in books.segments]
    )
    due = assembly.obligation_of(subscription, books.segments, billed, books.now, books.terms)
    derived = {segment.id for segment in due.segments}
    last = max((segment.during.end for segment in own), default=books.now)
    taken = await unit_grants.taken_by_segment(tx, subscription.customer_id, [subscription.id], last)
    found = []
    charged = billable(books.terms, own)
    tried = [segment for segment in own if segment not in charged]
    for group in (*keeping_their_price(charged), *keeping_their_price(tried)):
        of_group = [segment.id for segment in group]
        together = await usage.usage_together(tx, subscription.customer_id, of_group) if len(group) > 1 else ()
        used = with_grants(assembly.usage_of(subscription, group, totals, together), taken)
        wanted = await _wanted(tx, books, used) if of_group[0] in derived else None
        mine = [line for line in lines if line.identity.segment_id in of_group]
        opened = [line for line in mine if states[line.invoice_id].state is not State.DRAFT]
        drafted = [line for line in mine if states[line.invoice_id].state is State.DRAFT]
        found.append((used, _by_meter(books, used, (opened, drafted), wanted)))
    return found


def _by_meter(
    books: _Books,
    used: SegmentUsage,
    lines: tuple[Sequence[Line], Sequence[Line]],
    wanted: Sequence[WantedLine] | None,
) -> dict[MeterId, Billing]:
    catalogue, (issued, drafted) = books.catalogue, lines
    prices = catalogue.usage_prices(used.segment.plan_version_id, books.subscription.currency)
    is_running = not all(is_complete(books.subscription, segment, books.now) for segment in used.segments)
    priced = {price.meter_id for price in prices}
    caps = [line for line in issued if line.identity.kind is LineKind.CAP]

    def is_of(meter_id: MeterId, line: Line | WantedLine) -> bool:
        charged = charged_by(line.identity, catalogue)
        return charged is not None and charged[0] == meter_id

    return {
        meter.id: Billing(
            meter.id in priced,
            [line for line in issued if is_of(meter.id, line)],
            [line for line in drafted if is_of(meter.id, line)],
            caps,
            None if wanted is None else [line for line in wanted if is_of(meter.id, line)],
            is_running=is_running,
        )
        for meter in catalogue.meters_of(books.subscription.product_id)
    }


async def _wanted(tx: Tx, books: _Books, used: SegmentUsage) -> list[WantedLine]:
    events: dict[MeterId, Sequence[Decimal]] = {}
    customer_id, currency = books.subscription.customer_id, books.subscription.currency
    ids = [segment.id for segment in used.segments]
    for meter in rating.meters_by_event(used.segment.plan_version_id, currency, books.catalogue):
        events[meter.id] = await recounting.values_of_events(tx, customer_id, ids, meter.id, books.rules)
    return rating.usage_lines(replace(used, events=events), books.catalogue)


async def _recount(
    tx: Tx, books: _Books, segment: Segment, totals: Sequence[SegmentTotal]
) -> tuple[Recount, list[TotalCheck]]:
    """Count a segment's events anew, and compare every stored total with them."""
    running = await recounting.totals_of(tx, segment.customer_id, [segment.id])
    recount = Recount(segment.customer_id, books.rules, (), {}, (), totals)
    async for counting in recounting.stream_events(tx, segment.customer_id, [segment.id]):
        recount.add(counting)
    droppable = verification.may_be_archived(segment.id, books.events_since)
    return recount, verification.check_totals(segment.id, recount, running, droppable=droppable)
