"""Preview what something would bill: the thing itself is done inside of a savepoint, looked at, and undone.

So a preview cannot differ from what it previews. Nothing is opened: no number is taken and nothing is left.
"""

from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.anchoring import service as anchoring
from domain.contracts.changing import service as changing
from domain.contracts.changing.service import Changed
from domain.contracts.changing.wish import Decision, Wish
from domain.contracts.desk.service import Desk, open_desk
from domain.contracts.ending import service as ending
from domain.contracts.ending.wish import Ending
from domain.contracts.rehearsing.service import rehearse
from domain.contracts.starting.wish import Wish as StartWish
from domain.contracts.starting.wish import check_ahead
from domain.contracts.stepping.service import open_desk_of, step
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices import store as invoice_store
from domain.invoices.credit_note import CreditNote, CreditNoteLine
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, Line
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.change import ChangeAt
from domain.subscriptions.grid import BillDay
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Source, Subscription


@dataclass(eq=False)
class NothingUpcoming(DomainError):
    """The subscription has no next invoice: it has ended, or Stripe bills it."""

    code = "nothing_upcoming"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Preview:
    """An invoice as it would be drafted at `at`, None where nothing would be due, with its lines in order."""

    at: datetime
    subscription: Subscription
    invoice: Invoice | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class NotePreview:
    """A credit note as it would lower an unpaid invoice; it has no number."""

    note: CreditNote
    lines: tuple[CreditNoteLine, ...]


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """What a change would do: now, the invoice of its net; at the period's end, the invoice of the renewal.

    `notes` would lower unpaid invoices.
    """

    decision: Decision
    preview: Preview
    notes: tuple[NotePreview, ...] = ()


async def preview_change(tx: Tx, call: Call, *, subscription_id: SubscriptionId, wish: Wish) -> ChangePreview:
    """Preview a change. The same wish with `prorate_at` set to the decision's date makes the same lines.

    Raises as `replanning.change`.
    """
    async with tx.undone() as tried:
        desk, before = await open_desk_of(tried, call, subscription_id, Permission.INVOICE_READ)
        closed = replace(desk, opens=False)
        decision = await changing.decide(tried, closed, before, wish)
        done = await changing.carry_out(tried, call, closed, before, decision, pays_at_once=wish.pays_at_once)
        if decision.at is ChangeAt.PERIOD_END:
            return ChangePreview(decision, await _upcoming(tried, call, closed, done.subscription))
        shown = await _shown(tried, decision.charged_from, done.subscription, done.invoice)
        return ChangePreview(decision, shown, await _notes_shown(tried, done))


async def preview_cancel(tx: Tx, call: Call, *, subscription_id: SubscriptionId, wish: Ending) -> Preview:
    """Preview the last invoice: what an end now would bill, or else what falls due at the end that would be kept.

    Where the end lies beyond the next boundary, that of the boundary. Raises as `contracts.cancel`, NothingUpcoming.
    """
    async with tx.undone() as tried:
        desk, before = await open_desk_of(tried, call, subscription_id, Permission.INVOICE_READ)
        if not before.is_live:
            raise NothingUpcoming
        closed = replace(desk, opens=False)
        after = await ending.carry_out(tried, call, closed, before, wish)
        if after.ended_at is not None:
            return await _shown(tried, desk.now, after, await _draft_of(tried, closed, after.currency))
        return await _upcoming(tried, call, closed, after)


async def preview_bill_day(tx: Tx, call: Call, *, subscription_id: SubscriptionId, wish: BillDay) -> Preview:
    """Preview the next invoice once a bill day is to move; moved to now, that is the invoice of it.

    Raises as `contracts.move_bill_day`.
    """
    async with tx.undone() as tried:
        desk, before = await open_desk_of(tried, call, subscription_id, Permission.INVOICE_READ)
        closed = replace(desk, opens=False)
        after = await anchoring.ask(tried, call, closed, before, wish)
        if wish.now:
            return await _shown(tried, desk.now, after, await _draft_of(tried, closed, after.currency))
        return await _upcoming(tried, call, closed, after)


async def preview_invoice(tx: Tx, call: Call, *, subscription_id: SubscriptionId) -> Preview:
    """Preview the next invoice of a subscription: what falls due at its next boundary, with the usage counted so far.

    Raises Forbidden, SubscriptionNotFound, PeriodsStillClosing, NothingUpcoming.
    """
    async with tx.undone() as tried:
        desk, before = await open_desk_of(tried, call, subscription_id, Permission.INVOICE_READ)
        if not before.is_live or before.source is Source.STRIPE:
            raise NothingUpcoming
        return await _upcoming(tried, call, replace(desk, opens=False), before)


async def preview_subscribe(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId,
    product_key: str,
    plan_key: str,
    interval: Interval,
    currency: str = "USD",
    wish: StartWish | None = None,
) -> Preview:
    """Preview what subscribing would invoice at once, now or where it is to start. Raises as either would."""
    call.need(Permission.INVOICE_READ)
    async with tx.undone() as tried:
        desk = replace(await open_desk(tried, call, customer_id), opens=False)
        if wish is not None and wish.starts_at is not None and wish.starts_at > desk.now:
            version = desk.catalogue.sold_version(product_key, plan_key, customer_id)
            check_ahead(wish.starts_at, desk.now)
            then, new = await rehearse(tried, call, desk, version, interval=interval, currency=currency, wish=wish)
            return await _shown(tried, then.now, new, await _draft_of(tried, then, currency))
        new = await contracts.start(
            tried,
            call,
            desk,
            product_key=product_key,
            plan_key=plan_key,
            interval=interval,
            currency=currency,
            wish=wish,
        )
        return await _shown(tried, desk.now, new, await _draft_of(tried, desk, currency))


async def _draft_of(tx: Tx, desk: Desk, currency: str) -> Invoice | None:
    own = desk.customer
    return await invoice_store.lock_draft(tx, customer_id=own.id, environment=own.environment, currency=currency)


async def _upcoming(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Preview:
    """Carry a subscription over its next due instant and show what is drafted there."""
    at = before.due_at or before.period.end
    after = await step(tx, call, desk, before)
    return await _shown(tx, at, after, await _draft_of(tx, desk, before.currency))


async def _notes_shown(tx: Tx, done: Changed) -> tuple[NotePreview, ...]:
    if not done.notes:
        return ()
    owner = done.subscription.customer_id
    lines = await crediting.lines_by_note_ids(tx, [note.id for note in done.notes], scope=owner)
    return tuple(NotePreview(note, tuple(lines[note.id])) for note in done.notes)


async def _shown(tx: Tx, at: datetime, subscription: Subscription, invoice: Invoice | None) -> Preview:
    if invoice is None:
        return Preview(at, subscription, None, ())
    lines = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=invoice.customer_id))[invoice.id]
    return Preview(at, subscription, invoice if lines else None, tuple(lines))
