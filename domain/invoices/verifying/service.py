"""Verify an invoice against the stored events, and show the hours of a line. Nothing here writes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from domain.access.roles import Permission
from domain.credits.top_up import TopUp
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import rating, verification
from domain.invoices import service as invoices
from domain.invoices.assembly import usage_of
from domain.invoices.credit_note import Correction
from domain.invoices.crediting import store as credit_notes
from domain.invoices.derivation import WantedLine, digest_text
from domain.invoices.fees import fee_lines, fee_periods_begun
from domain.invoices.funding import store as funding
from domain.invoices.granted import granted_by
from domain.invoices.invoice import FEE_KINDS, Identity, Invoice, InvoiceNotFound, Line, LineKind, State
from domain.invoices.one_off import service as one_off
from domain.invoices.one_off_charge import OneOffCharge
from domain.invoices.one_off_charge import wanted_line as charge_line
from domain.invoices.rating import SegmentUsage
from domain.invoices.recount import (
    Charged,
    Recount,
    Recounted,
    bounds_of,
    charged_by,
    is_recounted,
    segment_ids_of,
)
from domain.invoices.standing import store as standing_store
from domain.invoices.taxing import service as taxing
from domain.invoices.topping.line import PREPAID, wanted_line
from domain.invoices.verification import LineCheck, Outcome, TotalCheck, Verification
from domain.invoices.verifying import store
from domain.kernel.call import Call
from domain.kernel.ids import InvoiceId, MeterId, SegmentId, SubscriptionId
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.plan import Catalogue, PriceNotFound
from domain.subscriptions import service as subscriptions
from domain.subscriptions.change import terms_with
from domain.subscriptions.changes import service as changes
from domain.subscriptions.segments import keeping_their_price
from domain.subscriptions.subscription import Segment, Subscription
from domain.subscriptions.term import Term, billable
from domain.subscriptions.terms import service as subscription_terms
from domain.usage import service as usage
from domain.usage.combination import combination_of
from domain.usage.facts import Rules, rules_of
from domain.usage.reading import SegmentTotal
from domain.usage.recounting import service as recounting

# Usage that is counted while a segment is recounted makes its totals newer than its events: it is recounted then.
RECOUNTS_MAX = 3
_ANY_ZONE = "UTC"
# Segments that are rated together, in order of time.
_Group = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class LineHour:
    """What a line's meter counted in one hour of the customer's zone; the hour begins at `at`."""

    at: datetime
    quantity: Decimal
    events: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Books:
    """What one verification looks things up in. `lines` are all that stand for what the invoice charges."""

    invoice: Invoice
    lines: Sequence[Line]
    corrections: Sequence[Correction]
    segments: Mapping[SubscriptionId, Sequence[Segment]]
    subscriptions: Mapping[SubscriptionId, Subscription]
    terms: Mapping[SubscriptionId, Sequence[Term]]
    catalogue: Catalogue
    rules: Rules
    events_since: datetime | None
    top_up: TopUp | None
    charges: Mapping[str, OneOffCharge]


async def verify_invoice(tx: Tx, call: Call, invoice_id: InvoiceId) -> Verification:
    """Recompute every line of an invoice from its stored events, and compare totals, lines and sums with that.

    Events are read a few thousand at a time. Late events that came in after a line was derived are not part of it.
    Raises Forbidden, InvoiceNotFound.
    """
    invoice = await invoices.find_invoice(tx, call, invoice_id)
    if invoice is None:
        raise InvoiceNotFound
    lines = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=invoice.customer_id))[invoice.id]
    books = await _open_books(tx, invoice, lines)
    checks: dict[UUID, LineCheck] = {}
    totals: list[TotalCheck] = []
    events = 0
    for group in _charged_groups(books, lines):
        recounted, differing, archived = await _recount(tx, books, group)
        ids = {segment.id for segment in group}
        own = [line for line in lines if line.identity.segment_id in ids]
        checks |= {check.line.id: check for check in _check_usage(books, group, own, recounted, archived)}
        totals += differing
        events += sum(recount.events for recount in recounted.recounts.values())
    for line in lines:
        if line.id not in checks:
            checks[line.id] = _CHECKS.get(line.identity.kind, _check_fee)(books, line)
    in_order = tuple(checks[line.id] for line in lines)
    stated = (await taxing.statements_by_invoice_ids(tx, [invoice.id], scope=invoice.customer_id))[invoice.id]
    return Verification(invoice, in_order, tuple(totals), verification.sums_of(invoice, lines, stated), events)


async def find_by_number(tx: Tx, call: Call, number: str) -> InvoiceId | None:
    """Return the id of the invoice with a number, or None where the caller may see none. Raises Forbidden."""
    call.need(Permission.INVOICE_READ)
    return await store.find_invoice_id(tx, number, sight=Sight(call.scope, call.principal.environment))


async def hours_of_line(tx: Tx, line: Line, catalogue: Catalogue) -> list[LineHour]:
    """Return what a usage line's meter counted hour by hour, as it now stands; none for a fee or a cap.

    Of the combination that the line charges, or summed where the line sums them up. Late events are in their hours:
    with those that came after the line was derived, the sum is that of the line and its later adjustments.
    """
    charged = charged_by(line.identity, catalogue)
    if charged is None:
        return []
    meter = catalogue.meter(charged[0])
    combination = None
    if line.identity.dimension_key:
        dimensions = line.derivation["dimensions"]
        values = tuple(dimensions.get(name, "") for name in meter.dimensions)
        combination = UUID(bytes=combination_of(meter.id.bytes, meter.dimensions, values).id)
    found = [
        hour
        for segment_id in segment_ids_of(line)
        for hour in await recounting.hours_of_combination(
            tx, line.customer_id, segment_id, meter.id, dimensions=combination
        )
    ]
    return [LineHour(at, quantity, events, digest_text(digest)) for at, quantity, events, digest in found]


async def _open_books(tx: Tx, invoice: Invoice, lines: Sequence[Line]) -> _Books:
    ids = {each for line in lines if (each := line.identity.subscription_id) is not None}
    fees = [line.period.start for line in lines if line.identity.kind in FEE_KINDS]
    standing = await standing_store.list_standing_lines(
        tx,
        customer_id=invoice.customer_id,
        segment_ids=[line.identity.segment_id for line in lines if line.identity.segment_id is not None],
        subscription_ids=list(ids),
        fees_since=min(fees, default=None),
    )
    own = {line.id for line in lines}
    known = [*lines, *(line for line in standing if line.id not in own)]
    catalogue = await plans.load_catalogue(tx)
    return _Books(
        invoice,
        known,
        await credit_notes.list_corrections(tx, customer_id=invoice.customer_id, line_ids=[line.id for line in known]),
        await subscriptions.segments_of(tx, ids),
        await subscriptions.subscriptions_by_id(tx, ids, scope=invoice.customer_id),
        await _terms(tx, invoice, ids),
        catalogue,
        rules_of(catalogue, await plans.load_price_book(tx), catalogue.fingerprint),
        await recounting.oldest_events_at(tx, invoice.customer_id),
        await funding.find_of_invoice(tx, invoice.customer_id, invoice.id) if invoice.top_up_id else None,
        await one_off.charges_on(tx, invoice, lines),
    )


async def _terms(tx: Tx, invoice: Invoice, ids: Collection[SubscriptionId]) -> dict[SubscriptionId, Sequence[Term]]:
    """Return the terms of subscriptions; on a void invoice with the upgrade that waited for it and is taken back."""
    found: dict[SubscriptionId, Sequence[Term]] = {**await subscription_terms.terms_of(tx, ids)}
    if invoice.state is State.VOID:
        for each in await changes.lapsed_for(tx, invoice.customer_id, invoice.id):
            found[each.subscription_id] = terms_with(each, found.get(each.subscription_id, ()))
    return found


def _charged_groups(books: _Books, lines: Sequence[Line]) -> list[_Group]:
    """Return the segments that lines charge, with all that are rated together with them.

    A line of a segment that is not there stays without one.
    """
    wanted = {line.identity.segment_id for line in lines}
    charged = (billable(books.terms[each], found) for each, found in books.segments.items())
    groups = (group for found in charged for group in keeping_their_price(found))
    return [group for group in groups if wanted & {segment.id for segment in group}]


async def _recount(tx: Tx, books: _Books, group: _Group) -> tuple[Recounted, list[TotalCheck], frozenset[Charged]]:
    """Count segments' events anew; say which stored totals differ, and of which lines events were dropped."""
    customer_id, ids = group[0].customer_id, [segment.id for segment in group]
    for _ in range(RECOUNTS_MAX):
        version = await usage.usage_version(tx, customer_id)
        hours = await usage.usage_of_segments(tx, customer_id, ids)
        together = await usage.usage_together(tx, customer_id, ids) if len(ids) > 1 else ()
        running = {each: await recounting.totals_of(tx, customer_id, [each]) for each in ids}
        recounts = {each.id: await _recount_one(tx, books, group, each, hours[each.id]) for each in group}
        if version == await usage.usage_version(tx, customer_id):
            break
    differing, archived = list[TotalCheck](), set[Charged]()
    for segment_id, recount in recounts.items():
        droppable = verification.may_be_archived(segment_id, books.events_since)
        differing += verification.check_totals(segment_id, recount, running[segment_id], droppable=droppable)
        bounds = recount.bounds.items() if droppable else ()
        archived |= {charged for charged, (events, _) in bounds if recount.counted(charged) < events}
    return Recounted(recounts, together), differing, frozenset(archived)


async def _recount_one(
    tx: Tx, books: _Books, group: _Group, segment: Segment, hours: Sequence[SegmentTotal]
) -> Recount:
    """Count one segment's events anew, up to what each line says that it had counted in it."""
    currency = books.subscriptions[segment.subscription_id].currency
    by_event = [meter.id for meter in rating.meters_by_event(segment.plan_version_id, currency, books.catalogue)]
    prices = books.catalogue.usage_prices(segment.plan_version_id, currency)
    meters = {price.id: price.meter_id for price in prices if price.meter_id is not None}
    bounds = bounds_of(_chains(books, group), meters, segment.id)
    recount = Recount(segment.customer_id, books.rules, prices, bounds, by_event, hours)
    async for counting in recounting.stream_events(tx, segment.customer_id, [segment.id]):
        recount.add(counting)
    return recount


def _chains(books: _Books, group: _Group) -> dict[Identity, list[Line]]:
    ids = {segment.id for segment in group}
    own = [line for line in books.lines if line.identity.segment_id in ids]
    return verification.chains_of(own, books.invoice)


def _usage_of(
    books: _Books, group: _Group, parts: Mapping[SegmentId, Sequence[SegmentTotal]], together: Sequence[SegmentTotal]
) -> SegmentUsage:
    return usage_of(books.subscriptions[group[0].subscription_id], group, parts, together)


def _check_usage(
    books: _Books, group: _Group, lines: Sequence[Line], recounted: Recounted, archived: frozenset[Charged]
) -> list[LineCheck]:
    """Compare the usage lines and caps of segments with what their events come to."""
    catalogue = books.catalogue
    parts = {segment_id: recount.billed_totals for segment_id, recount in recounted.recounts.items()}
    chains, checks = _chains(books, group), list[LineCheck]()
    granted = _granted(books, [chain[-1] for chain in chains.values()])
    billed = replace(_usage_of(books, group, parts, recounted.billed_totals), events=recounted.values, granted=granted)
    wanted = {line.identity: line for line in rating.usage_lines(billed, catalogue)}
    for line in lines:
        charged = charged_by(line.identity, catalogue)
        if charged in archived or (archived and verification.is_cap(line.identity)):
            checks.append(LineCheck(line, Outcome.ARCHIVED))
            continue
        chain = verification.less_corrections(chains[line.identity], books.corrections)
        found = verification.differences_of(chain, wanted.get(line.identity))
        is_late = charged is None or recounted.is_late(charged)
        if charged is not None and is_late and not is_recounted(catalogue.meter(charged[0])):
            found = verification.without_quantity(found)
        if found and is_late and _is_settled_later(books, group, line, recounted):
            checks.append(LineCheck(line, Outcome.EQUAL, with_later=True))
        else:
            checks.append(LineCheck(line, Outcome.DIFFERENT if found else Outcome.EQUAL, found))
    return checks


def _is_settled_later(books: _Books, group: _Group, line: Line, recounted: Recounted) -> bool:
    """Whether the events that a line had counted are not to be found, but all with its later adjustments are right."""
    revisions = [each for each in books.lines if each.identity == line.identity]
    charged = charged_by(line.identity, books.catalogue)
    if max(each.revision for each in revisions) == line.revision or (charged and recounted.is_found(charged)):
        return False
    parts = {segment_id: recount.whole_totals for segment_id, recount in recounted.recounts.items()}
    granted = _granted(books, [max(revisions, key=lambda each: each.revision)])
    used = replace(_usage_of(books, group, parts, recounted.whole_totals), granted=granted)
    whole = rating.usage_lines(used, books.catalogue)
    revisions = verification.less_corrections(sorted(revisions, key=lambda each: each.revision), books.corrections)
    return verification.settled_later(revisions, {each.identity: each for each in whole}.get(line.identity))


def _granted(books: _Books, lines: Sequence[Line]) -> dict[MeterId, dict[str, Fraction]]:
    """Return what lines took of promotional grants: what the grants had then is theirs to say, not the events'."""
    found: dict[MeterId, dict[str, Fraction]] = {}
    for line in lines:
        charged, taken = charged_by(line.identity, books.catalogue), granted_by(line.derivation)
        if charged is not None and taken:
            found[charged[0]] = taken
    return found


def _check_fee(books: _Books, line: Line) -> LineCheck:
    """Compare a fee or a proration with its price and share of time; what is not owed at all differs from nothing.

    A change at the very instant of another one replaces it: its lines are then right with their later adjustments.
    """
    own = [each for each in books.lines if each.identity == line.identity]
    chain = verification.chains_of(own, books.invoice)[line.identity]
    wanted = _wanted_fee(books, line)
    found = verification.differences_of(chain, wanted)
    if found and len(own) > len(chain) and verification.comes_to(own, wanted):
        return LineCheck(line, Outcome.EQUAL, with_later=True)
    return LineCheck(line, Outcome.DIFFERENT if found else Outcome.EQUAL, found)


def _check_top_up(books: _Books, line: Line) -> LineCheck:
    """Compare a top-up with what was ordered."""
    name = line.description.removeprefix(PREPAID)
    wanted = wanted_line(books.top_up, name) if books.top_up is not None else None
    found = verification.differences_of([line], wanted)
    return LineCheck(line, Outcome.DIFFERENT if found else Outcome.EQUAL, found)


def _check_one_off(books: _Books, line: Line) -> LineCheck:
    """Compare the line of a one-off charge with what was charged. Its words are not compared: any zone will do."""
    charge = books.charges.get(line.identity.origin)
    found = verification.differences_of([line], charge_line(charge, _ANY_ZONE) if charge is not None else None)
    return LineCheck(line, Outcome.DIFFERENT if found else Outcome.EQUAL, found)


_CHECKS = {LineKind.TOP_UP: _check_top_up, LineKind.ONE_OFF: _check_one_off}


def _wanted_fee(books: _Books, line: Line) -> WantedLine | None:
    """Derive the fees of the subscription's terms anew, up to the line's, and return the line that should be there."""
    own_id = line.identity.subscription_id
    subscription = books.subscriptions.get(own_id) if own_id is not None else None
    if line.identity.kind not in FEE_KINDS or subscription is None:
        return None
    billed = _when_billed(subscription, line.period.start)
    begun = fee_periods_begun(billed, books.terms[subscription.id], line.period.start)
    try:
        wanted = [each for fee in begun for each in fee_lines(billed, fee, books.catalogue)]
    except PriceNotFound:
        return None
    return next((each for each in wanted if each.identity == line.identity), None)


def _when_billed(subscription: Subscription, at: datetime) -> Subscription:
    """Return a subscription as it was billed at an instant.

    Without its end where that came at the very instant, and was not known before: a fee was owed until then, and what
    becomes of it is told by credit.
    """
    canceled_at = subscription.canceled_at
    if subscription.ended_at != at or (canceled_at is not None and canceled_at < at):
        return subscription
    return replace(subscription, cancel_at=None, canceled_at=None, ended_at=None)
