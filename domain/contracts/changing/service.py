"""Decide about a change, carry it out now, keep it for the period's end, and follow the payment that it waits for."""

from dataclasses import replace
from datetime import datetime

from domain.contracts.changing.fitting import PlanTooSmall, told, violations_of
from domain.contracts.changing.wish import Decision, Wish, target_of
from domain.contracts.desk.service import Desk, invoice_at_once, note
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditNote
from domain.invoices.headings import service as headings
from domain.invoices.invoice import Invoice, State, VoidReason, minimum
from domain.invoices.offsetting import service as offsetting
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import ChangeId, SegmentId
from domain.kernel.values import dataclass
from domain.limits import service as limits
from domain.limits.status import LimitStatus
from domain.subscriptions import change as rules
from domain.subscriptions import service as subscriptions
from domain.subscriptions.change import Change, ChangeAt, ChangeState, Direction, Target
from domain.subscriptions.changes import service as changes
from domain.subscriptions.moving.service import is_laid_anew, move
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.terms import service as terms
from domain.usage import service as usage


@dataclass(frozen=True, slots=True)
class Changed:
    """A subscription after a change was asked for, the change as it stands, and the invoice that came of it, if any.

    `notes` are the credit notes by which it lowered unpaid invoices.
    """

    subscription: Subscription
    change: Change
    decision: Decision
    invoice: Invoice | None
    notes: tuple[CreditNote, ...] = ()


async def decide(tx: Tx, desk: Desk, before: Subscription, wish: Wish) -> Decision:
    """Decide when a change takes effect and from where it is charged; writes nothing.

    Raises TransitionRefused, ChangeWaits, PlanNotFound, PriceNotFound, NothingToChange, QuantityOutOfBounds,
    ProrationDateRefused, TooManyChanges, and PlanTooSmall for a change now to a plan that does not hold what there is.
    """
    rules.check_changeable(before)
    waiting = (await changes.waiting_of(tx, [before.id], scope=before.customer_id))[before.id]
    waits, scheduled = (rules.waiting_in(waiting, state) for state in (ChangeState.PENDING, ChangeState.SCHEDULED))
    if waits is not None and waits.expires_at is not None:
        raise rules.ChangeWaits(waits.expires_at.isoformat())
    target = target_of(desk.catalogue, before, wish)
    rules.check_target(before, target)
    rules.check_grid(before, target)
    rank_before, rank = (
        desk.catalogue.plan_of_version(each).rank for each in (before.plan_version_id, target.plan_version_id)
    )
    direction = rules.direction_of(before, target, rank_before=rank_before, rank=rank)
    at = rules.when(before, direction, wish.at)
    violations = await _violations(tx, desk, before, target)
    if at is ChangeAt.PERIOD_END:
        then = min(before.fee_period.end, before.moves_at or before.fee_period.end)
        return Decision(target, direction, at, then, violations, scheduled)
    if violations:
        raise PlanTooSmall(told(violations))
    known = (await terms.terms_of(tx, [before.id]))[before.id]
    charged_from = rules.prorate_at(before, known, desk.now, wish.prorate_at)
    return Decision(target, direction, at, charged_from, violations, scheduled)


async def _violations(tx: Tx, desk: Desk, before: Subscription, target: Target) -> tuple[LimitStatus, ...]:
    if target.plan_version_id == before.plan_version_id:
        return ()
    used = await usage.current_usage(tx, before.customer_id, before)
    overrides = await limits.overrides_in_force(tx, before.customer_id, before.product_id, desk.now)
    after = replace(before, plan_version_id=target.plan_version_id)
    return violations_of(desk.catalogue, after, used, overrides)


async def carry_out(
    tx: Tx, call: Call, desk: Desk, before: Subscription, decision: Decision, *, pays_at_once: bool
) -> Changed:
    """Make a change now and invoice its net at once, or keep it for the period's end.

    An upgrade of what is paid for waits for its payment where that is due and can be made at once: it is charged
    already, and in effect once paid. What was scheduled before is replaced. What it takes back of an unpaid invoice
    lowers that one by a credit note; a net below zero becomes customer credit.
    """
    if decision.replaces is not None:
        await changes.move(tx, decision.replaces, ChangeState.REPLACED)
    change = Change(
        before.customer_id,
        ChangeId(call.new_id()),
        before.id,
        ChangeState.SCHEDULED if decision.at is ChangeAt.PERIOD_END else ChangeState.APPLIED,
        decision.direction,
        decision.target,
        desk.now,
        decision.charged_from,
    )
    if change.state is ChangeState.SCHEDULED:
        await changes.keep(tx, change)
        await _tell(tx, call, desk, before, change=change, event="change_scheduled")
        return Changed(before, change, decision, None)
    waits = pays_at_once and decision.direction is Direction.UPGRADE and before.status is not Status.TRIALING
    if not waits or await headings.has_net_terms(tx, before.customer_id, before.id):
        after = await _take_effect(tx, call, desk, before, change)
        invoice = await invoice_at_once(tx, call, desk, [after], desk.now, keep_credit=True)
        await changes.keep(tx, change)
        notes = await offsetting.notes_of_change(tx, before.customer_id, before.id, change.effective_at)
        return Changed(after, change, decision, invoice, tuple(notes))
    return await _charge_first(tx, call, desk, before, decision, change=change)


async def _charge_first(
    tx: Tx, call: Call, desk: Desk, before: Subscription, decision: Decision, *, change: Change
) -> Changed:
    """Invoice an upgrade, and have it wait while the invoice is open."""
    became = rules.changed(before, change.target, change.effective_at, desk.now)
    await terms.begin_term(tx, became, change.effective_at, pending=True)
    # An upgrade that lapses must leave the unpaid invoice as it was: its credit stays a line of its own invoice.
    invoice = await invoice_at_once(tx, call, desk, [before], desk.now, keep_credit=True, lowers_unpaid=False)
    if invoice is None or not _is_to_be_paid(invoice):
        after = await _take_effect(tx, call, desk, before, change)
        await changes.keep(tx, change)
        return Changed(after, change, decision, invoice)
    expires_at = rules.lapses_at(before, desk.now)
    pending = replace(change, state=ChangeState.PENDING, expires_at=expires_at, invoice_id=invoice.id)
    await changes.keep(tx, pending)
    job = jobs.LapseChange(before.customer_id, pending.id)
    await journal.stage(
        tx, call, job, customer_id=before.customer_id, clock_id=desk.customer.clock_id, run_at=expires_at
    )
    await _tell(tx, call, desk, before, change=pending, event="change_pending")
    return Changed(before, pending, decision, invoice)


def _is_to_be_paid(invoice: Invoice) -> bool:
    """Whether an invoice waits for its payment, or, as a draft, for its taxes and then for its payment."""
    is_waiting_draft = invoice.state is State.DRAFT and invoice.total >= minimum(invoice.currency)
    return invoice.state is State.OPEN or is_waiting_draft


async def _take_effect(tx: Tx, call: Call, desk: Desk, before: Subscription, change: Change) -> Subscription:
    """Have a subscription become what was asked for, now, charged from where the change says."""
    after = rules.changed(before, change.target, change.effective_at, desk.now)
    saved = await _move(tx, call, before, after, desk.now)
    await terms.begin_term(tx, saved, change.effective_at, billed=await _is_billed(tx, before, after))
    await _tell(tx, call, desk, saved, change=change, event="subscription_changed")
    return saved


async def _is_billed(tx: Tx, before: Subscription, after: Subscription) -> bool | None:
    """Whether fees are owed on as before; None: as its status says, where another plan begins on the same grid."""
    if after.plan_version_id != before.plan_version_id and not is_laid_anew(before, after):
        return None
    known = (await terms.terms_of(tx, [before.id]))[before.id]
    return known[-1].billed if known else True


async def _move(tx: Tx, call: Call, before: Subscription, after: Subscription, at: datetime) -> Subscription:
    counted = await counted_from(tx, before, at) if is_laid_anew(before, after) else frozenset[SegmentId]()
    return await move(tx, call, before, after, at, counted=counted)


async def counted_from(tx: Tx, subscription: Subscription, at: datetime) -> frozenset[SegmentId]:
    """Return the segments that start at an instant or later and in which something was counted already."""
    segments = (await subscriptions.segments_of(tx, [subscription.id], ending_after=at))[subscription.id]
    ahead = [segment.id for segment in segments if segment.during.start >= at]
    totals = await usage.usage_of_segments(tx, subscription.customer_id, ahead) if ahead else {}
    return frozenset(segment_id for segment_id in ahead if totals.get(segment_id))


async def apply_scheduled(tx: Tx, call: Call, desk: Desk, before: Subscription, after: Subscription) -> Subscription:
    """Have the change that was scheduled take effect where a fee period began; `after` has gone on into it.

    What there is by then is checked again: a plan that does not hold it is not changed to, and the old one renews.
    """
    if after.fee_period == before.fee_period:
        return after
    change = await changes.find_waiting(tx, after, ChangeState.SCHEDULED)
    if change is None:
        return after
    violations = await _violations(tx, desk, after, change.target)
    if violations:
        await changes.move(tx, change, ChangeState.REFUSED)
        await _tell(tx, call, desk, after, change=change, event="change_refused", why=told(violations))
        return after
    at = after.fee_period.start
    became = rules.changed(after, change.target, at, at)
    saved = await _move(tx, call, after, became, at)
    await terms.begin_term(tx, saved, at)
    await changes.move(tx, change, ChangeState.APPLIED)
    await _tell(tx, call, desk, saved, change=change, event="subscription_changed")
    return saved


async def cancel_scheduled(tx: Tx, call: Call, desk: Desk, before: Subscription) -> bool:
    """Forget the change that is scheduled. Safe to repeat: False where none is."""
    change = await changes.find_waiting(tx, before, ChangeState.SCHEDULED)
    if change is not None:
        await changes.move(tx, change, ChangeState.CANCELED)
        await _tell(tx, call, desk, before, change=change, event="change_canceled")
    return change is not None


async def follow_invoice(tx: Tx, call: Call, desk: Desk, before: Subscription, invoice: Invoice) -> Subscription:
    """Follow the invoice that an upgrade waits for: paid, it takes effect; void, it is taken back. Safe to repeat.

    Paid once the subscription has ended, it is taken back too, and what was paid for it is kept for the customer.
    """
    change = await changes.find_waiting(tx, before, ChangeState.PENDING)
    if change is None or change.invoice_id != invoice.id:
        return before
    if invoice.state is State.PAID and not before.is_live:
        await take_back(tx, call, desk, before, change)
        await invoice_at_once(tx, call, desk, [before], desk.now, keep_credit=True)
        return before
    if invoice.state is State.PAID:
        after = await _take_effect(tx, call, desk, before, change)
        await changes.move(tx, change, ChangeState.APPLIED)
        return after
    if invoice.state in {State.VOID, State.UNCOLLECTIBLE}:
        await take_back(tx, call, desk, before, change)
    return before


async def withdraw(tx: Tx, call: Call, desk: Desk, before: Subscription) -> None:
    """Take back an upgrade that waits for its payment, and its invoice. Safe to repeat; without one nothing changes.

    Raises PaymentUnderWay before anything is written.
    """
    change = await changes.find_waiting(tx, before, ChangeState.PENDING)
    if change is None or change.invoice_id is None:
        return
    found = await invoices.invoices_by_id(tx, [change.invoice_id], scope=before.customer_id)
    if found[change.invoice_id].state is not State.DRAFT:  # a draft is derived again before it is opened
        await invoices.void_invoice(
            tx,
            call,
            desk.now,
            customer_id=before.customer_id,
            invoice_id=change.invoice_id,
            reason=VoidReason.LAPSED,
        )
    await take_back(tx, call, desk, before, change)


async def take_back(tx: Tx, call: Call, desk: Desk, before: Subscription, change: Change) -> None:
    """Take back an upgrade that was not paid: nothing of it is charged any more."""
    await terms.drop_pending(tx, before)
    await changes.move(tx, change, ChangeState.LAPSED)
    await _tell(tx, call, desk, before, change=change, event="change_lapsed")


async def waits_for(tx: Tx, before: Subscription, invoice: Invoice) -> bool:
    """Whether an upgrade waits for this invoice, so that a failed payment of it is no debt of the subscription."""
    change = await changes.find_waiting(tx, before, ChangeState.PENDING)
    return change is not None and change.invoice_id == invoice.id


# What is told of each event; {target} is what the change leads to, {why} the reason.
_TEXTS = {
    "change_scheduled": "{plan} will change to {target}",
    "change_pending": "{plan} changes to {target} once that is paid",
    "subscription_changed": "Changed to {target}",
    "change_refused": "{plan} renews: {target} does not hold {why}",
    "change_canceled": "{plan} will not change to {target}",
    "change_lapsed": "{plan} did not change to {target}: it was not paid",
}


async def _tell(
    tx: Tx, call: Call, desk: Desk, about: Subscription, *, change: Change, event: str, why: str = ""
) -> None:
    """Append the audit entry and the billing event of what became of a change."""
    target = change.target
    plan = desk.catalogue.plan_of_version(target.plan_version_id)
    words = f"{target.quantity} x {plan.name}" if target.quantity > 1 else plan.name
    words = f"{words}, by the {target.interval}".replace("{", "{{").replace("}", "}}")
    text = _TEXTS[event].replace("{target}", words).replace("{why}", why)
    await note(tx, call, desk, about, event_type=event, text=text)
