"""Draft what is due, open a draft, mark an invoice paid, and read invoices."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.access.roles import Permission
from domain.credits.grants import service as unit_grants
from domain.customers.customer import Customer
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import assembly, credit_note, derivation, document, rating, store
from domain.invoices.assembly import Obligation
from domain.invoices.balances import service as balances
from domain.invoices.crediting import store as credit_notes
from domain.invoices.derivation import Changes
from domain.invoices.discounting import service as discounting
from domain.invoices.granted import Taken
from domain.invoices.holding import store as holding
from domain.invoices.invoice import Invoice, InvoiceKind, Line, Opening, State, opened, opening_of, paid, stated
from domain.invoices.offsetting import service as offsetting
from domain.invoices.offsetting.service import Offsets
from domain.invoices.one_off import service as one_off
from domain.invoices.opening.service import (
    add_up,
    hold_for_payment,
    mark_paid,
    open_invoice,
    release_from_payment,
    write_off_invoice,
)
from domain.invoices.rates import service as price_list
from domain.invoices.rating import Rates
from domain.invoices.standing import store as standing_store
from domain.invoices.voiding.service import void_invoice
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, LineId, MeterId, SegmentId, encode
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions_service
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.terms import service as subscription_terms
from domain.usage import service as usage
from domain.usage.facts import rules_of
from domain.usage.recounting import service as recounting

__all__ = [
    "draft_due",
    "find_invoice",
    "hold_for_payment",
    "invoices_by_customer_ids",
    "invoices_by_id",
    "lines_by_invoice_ids",
    "list_invoices",
    "mark_paid",
    "open_invoice",
    "release_from_payment",
    "void_invoice",
    "write_off_invoice",
]

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
LOOKUP_MAX = 1_000
SUBSCRIPTIONS_MAX = 100


async def draft_due(
    tx: Tx,
    call: Call,
    now: datetime,
    *,
    customer: Customer,
    subscriptions: Sequence[Subscription],
    catalogue: Catalogue,
    currency: str | None = None,
    grace_s: int = 0,
    offsets: Offsets = Offsets.ISSUED,
) -> Invoice | None:
    """Bring the customer's draft up to business time `now`: what should exist, less what stands on other invoices.

    Fees of begun periods and usage of ended segments, within the bounds of `assembly.obligation_of`, and the one-off
    charges that wait. `subscriptions` are all of this customer and share one currency; lines of others stay as they
    are. Without any, only charges in `currency` are looked at. A new draft, and one whose grace is over and to which
    something was added, may be opened `grace_s` seconds after `now`. What a change takes back of an unpaid invoice is
    put on a credit note of that one, unless `offsets` says otherwise. Returns the draft, or None where there is none
    and nothing is due. Run twice, it adds nothing.
    """
    if subscriptions:
        currency = _one_currency(customer, subscriptions)
    if currency is None:
        return None
    await holding.hold_derivation(tx, customer.id)
    obligations = await _obligations(tx, now, customer.id, subscriptions) if subscriptions else []
    draft = await store.lock_draft(tx, customer_id=customer.id, environment=customer.environment, currency=currency)
    needed = await _changes(tx, customer.id, obligations, draft, catalogue)
    for _ in range(offsetting.NOTES_MAX if offsets is not Offsets.NONE else 0):
        if not await offsetting.offset_next(tx, call, now, customer, needed, how=offsets):
            break
        needed = await _changes(tx, customer.id, obligations, draft, catalogue)
    needed += await one_off.needed(tx, now, customer, currency, draft)
    if not needed:
        return draft
    grace_ends_at = now + timedelta(seconds=grace_s)
    if draft is None:
        draft = await _new_draft(tx, call, now, customer=customer, currency=currency, grace_ends_at=grace_ends_at)
    elif needed.add and draft.grace_ends_at <= now:
        draft = replace(draft, grace_ends_at=grace_ends_at)
    return await _apply(tx, call, now, draft, needed)


def _one_currency(customer: Customer, subscriptions: Sequence[Subscription]) -> str:
    assert len(subscriptions) <= SUBSCRIPTIONS_MAX, "a derivation covers a bounded number of subscriptions"
    assert all(each.customer_id == customer.id for each in subscriptions), "they are one customer's"
    [currency] = {each.currency for each in subscriptions}
    return currency


async def _obligations(
    tx: Tx, now: datetime, customer_id: CustomerId, subscriptions: Sequence[Subscription]
) -> list[Obligation]:
    """Load the segments at hand and choose which of them to derive."""
    found = await subscriptions_service.segments_of(
        tx, [each.id for each in subscriptions], ending_after=now - assembly.SEGMENTS_BACK
    )
    ids = [segment.id for segments in found.values() for segment in segments]
    billed = await standing_store.list_billed_segment_ids(tx, customer_id=customer_id, segment_ids=ids)
    terms = await subscription_terms.terms_of(tx, [each.id for each in subscriptions])
    return [assembly.obligation_of(each, found[each.id], billed, now, terms[each.id]) for each in subscriptions]


async def _changes(
    tx: Tx, customer_id: CustomerId, obligations: Sequence[Obligation], draft: Invoice | None, catalogue: Catalogue
) -> Changes:
    """Compare what should exist with what stands."""
    segments = [segment for due in obligations for segment in due.segments]
    fees = [due.fees_since for due in obligations if due.fees_since is not None]
    if not segments and not fees:
        return Changes((), ())
    totals: assembly.SegmentTotals = {}
    rates: Rates = {}
    if segments:
        totals = await usage.usage_of_segments(tx, customer_id, [segment.id for segment in segments])
        whole = Period(min(each.during.start for each in segments), max(each.during.end for each in segments))
        rates = await price_list.rates_of(tx, totals, whole)
    values = await _values(tx, customer_id, obligations, catalogue)
    together = await _together(tx, customer_id, obligations)
    taken = await _taken(tx, customer_id, obligations)
    wanted = assembly.lines_due(obligations, totals, rates, catalogue, values, together=together, taken=taken)
    standing = await standing_store.list_standing_lines(
        tx,
        customer_id=customer_id,
        segment_ids=[segment.id for segment in segments],
        subscription_ids=[due.subscription.id for due in obligations],
        fees_since=min(fees, default=None),
    )
    considered = await _less_corrections(
        tx, customer_id, [line for line in standing if assembly.is_considered(line.identity, obligations)]
    )
    drafted = [line for line in considered if draft is not None and line.invoice_id == draft.id]
    issued = [line for line in considered if draft is None or line.invoice_id != draft.id]
    return derivation.changes(wanted, issued, drafted)


async def _less_corrections(tx: Tx, customer_id: CustomerId, lines: Sequence[Line]) -> list[Line]:
    """Take off what credit notes corrected: it counts as if it had not been billed."""
    if not lines:
        return []
    ids = [line.id for line in lines]
    corrections = await credit_notes.list_corrections(tx, customer_id=customer_id, line_ids=ids)
    return credit_note.without_corrections(lines, corrections)


async def _values(
    tx: Tx, customer_id: CustomerId, obligations: Sequence[Obligation], catalogue: Catalogue
) -> assembly.EventValues:
    """Load what each event added, for the prices that look at each event."""
    wanted = [
        ([segment.id for segment in group], meter.id)
        for due in obligations
        for group in due.groups
        for meter in rating.meters_by_event(group[0].plan_version_id, due.subscription.currency, catalogue)
    ]
    found: dict[SegmentId, dict[MeterId, Sequence[Decimal]]] = {}
    if wanted:
        rules = rules_of(catalogue, await plans.load_price_book(tx), catalogue.fingerprint)
        for ids, meter_id in wanted:
            values = await recounting.values_of_events(tx, customer_id, ids, meter_id, rules)
            found.setdefault(ids[0], {})[meter_id] = values
    return found


async def _together(tx: Tx, customer_id: CustomerId, obligations: Sequence[Obligation]) -> assembly.SegmentTotals:
    """Load what segments counted together that keep the same price, where they are several."""
    groups = [[segment.id for segment in group] for due in obligations for group in due.groups if len(group) > 1]
    return {ids[0]: await usage.usage_together(tx, customer_id, ids) for ids in groups}


async def _taken(tx: Tx, customer_id: CustomerId, obligations: Sequence[Obligation]) -> Taken:
    """Load what the usage of segments takes of promotional grants."""
    ends = [segment.during.end for due in obligations for segment in due.segments]
    if not ends:
        return {}
    ids = {due.subscription.id for due in obligations}
    return await unit_grants.taken_by_segment(tx, customer_id, ids, max(ends))


async def _new_draft(
    tx: Tx, call: Call, now: datetime, *, customer: Customer, currency: str, grace_ends_at: datetime
) -> Invoice:
    draft = Invoice(
        customer_id=customer.id,
        id=InvoiceId(call.new_id()),
        environment=customer.environment,
        currency=currency,
        kind=InvoiceKind.INVOICE,
        state=State.DRAFT,
        number=None,
        created_at=now,
        grace_ends_at=grace_ends_at,
        issued_at=None,
        due_at=None,
        paid_at=None,
        subtotal=Money(0, currency),
        discount=Money(0, currency),
        tax=Money(0, currency),
        version=1,
    )
    await store.insert_invoice(tx, draft)
    await journal.audit(tx, call, "draft_invoice", encode("invoice", draft.id), customer_id=customer.id)
    return draft


async def _apply(tx: Tx, call: Call, now: datetime, draft: Invoice, needed: Changes) -> Invoice:
    """Take lines off the draft, put lines on it, and add it up with the taxes as they would be if it were opened."""
    if needed.remove:
        await store.delete_lines(tx, draft, needed.remove)
    if needed.add:
        await store.insert_lines(tx, draft, [(LineId(call.new_id()), line) for line in needed.add])
    return (await add_up(tx, now, draft))[0]


async def set_aside(
    tx: Tx, call: Call, now: datetime, *, customer: Customer, currency: str, opened_by: datetime
) -> None:
    """Have a draft that is opened by an instant stand as paid: for looking at what is invoiced after it.

    One whose grace is over by business time `now` is opened with what falls due next, any other after its grace.
    Only inside of what is undone: no number is taken, nothing is posted and nobody is charged. What waits because it
    is too little stays a draft: what falls due next joins it.
    """
    draft = await store.lock_draft(tx, customer_id=customer.id, environment=customer.environment, currency=currency)
    if draft is None or draft.grace_ends_at > opened_by:
        return
    at = draft.grace_ends_at if draft.grace_ends_at > now else opened_by
    draft, reduced, _ = await add_up(tx, at, draft)
    spending = await balances.plan(tx, call, at, draft)
    opening = opening_of(draft, reduced.lines, balance_minor=spending.total_minor)
    if opening is Opening.WAIT:
        return
    await discounting.use(tx, call, at, draft, reduced)
    await one_off.take(tx, draft, reduced.lines)
    await store.save_invoice(tx, draft, _aside(draft, opening, at))


def _aside(draft: Invoice, opening: Opening, at: datetime) -> Invoice:
    if opening is Opening.STATEMENT:
        return stated(draft, at)
    issued = opened(draft, at)
    # A number of no series: the next one of the series is another invoice's.
    return replace(paid(issued, at, issued.outstanding), number=str(draft.id))


async def find_invoice(tx: Tx, call: Call, invoice_id: InvoiceId) -> Invoice | None:
    """Return an invoice, or None where there is none that the caller may see. Raises Forbidden."""
    call.need(Permission.INVOICE_READ)
    return await store.find_invoice(tx, invoice_id, sight=_sight(call))


async def list_invoices(
    tx: Tx, call: Call, *, customer_id: CustomerId, before: InvoiceId | None = None, limit: int = PAGE_MAX
) -> Sequence[Invoice]:
    """Return a customer's invoices newest first, at most PAGE_MAX; `before` is the id of the last one seen.

    Drafts and statements are among them. Another customer's are not seen: the list is empty. Raises Forbidden.
    """
    return (await invoices_by_customer_ids(tx, call, [customer_id], before=before, limit=limit))[customer_id]


async def invoices_by_customer_ids(
    tx: Tx, call: Call, ids: Collection[CustomerId], *, before: InvoiceId | None = None, limit: int = PAGE_MAX
) -> dict[CustomerId, list[Invoice]]:
    """Return the invoices of each of at most LOOKUP_MAX customers as `list_invoices` does: one statement, for loaders.

    Raises Forbidden.
    """
    call.need(Permission.INVOICE_READ)
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    page = max(0, min(limit, PAGE_MAX))
    return await store.invoices_by_customer_ids(tx, ids, sight=_sight(call), before=before, limit=page)


async def invoices_by_id(tx: Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None) -> dict[InvoiceId, Invoice]:
    """Return those of at most LOOKUP_MAX invoices that exist in the scope: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.invoices_by_id(tx, ids, sight=Sight(scope))


async def lines_by_invoice_ids(
    tx: Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None
) -> dict[InvoiceId, list[Line]]:
    """Return the lines of at most LOOKUP_MAX invoices in the scope, in the order in which they are shown.

    One statement, for loaders; an invoice outside of the scope has none.
    """
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    found = await store.lines_by_invoice_ids(tx, ids, sight=Sight(scope))
    return {invoice_id: document.in_order(lines) for invoice_id, lines in found.items()}


def _sight(call: Call) -> Sight:
    return Sight(call.scope, call.principal.environment)
