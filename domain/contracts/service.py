"""Subscribe, cancel, close a period, finalise an invoice, follow a payment, follow Stripe.

Every use case about a customer first holds all of the customer's subscriptions that are not settled: nothing is
counted for them until the transaction ends, and two use cases about one customer run one after the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.contracts.anchoring import service as anchoring
from domain.contracts.approving.service import check_approved
from domain.contracts.changing import service as changing
from domain.contracts.changing.service import counted_from
from domain.contracts.desk.service import (
    Desk,
    close_last,
    finalise_draft,
    held_on,
    invoice_at_once,
    note,
    open_desk,
    open_desk_over,
)
from domain.contracts.ending import service as ending
from domain.contracts.ending.wish import CancelCredit, Ending
from domain.contracts.joining.service import TOGETHER_TRIES
from domain.contracts.pausing import service as pausing
from domain.contracts.starting import service as starting
from domain.contracts.starting.wish import Wish
from domain.contracts.stepping.service import catch_up, end, is_behind, open_desk_of
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, State
from domain.journal import store as journal_store
from domain.kernel.call import Call
from domain.kernel.ids import ClockId, CustomerId, InvoiceId, PlanVersionId, SegmentId, SubscriptionId
from domain.kernel.period import Period
from domain.plans.plan import Catalogue
from domain.subscriptions import lifecycle
from domain.subscriptions import service as subscriptions
from domain.subscriptions.grid import BillDay
from domain.subscriptions.lifecycle import CancelReason
from domain.subscriptions.mirror import Mirrored
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.waiting import service as waiting

DUE_MAX = 1_000
# What the news of a payment makes of a status, for people.
_PAID_TEXTS = {Status.ACTIVE: "{plan} is past due", Status.INCOMPLETE: "{plan} is paid and runs"}


async def subscribe(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId,
    product_key: str,
    plan_key: str,
    interval: Interval,
    currency: str = "USD",
    wish: Wish | None = None,
) -> Subscription:
    """Start a subscription on the newest version of a plan, and issue the invoice of what is due at its start.

    It starts as the version says: with a trial or without, running or waiting for its first payment; `wish` says
    otherwise. One that still waits for its first payment is replaced. Raises Forbidden, CustomerNotFound,
    ProductNotFound, PlanNotFound, PlanArchived, PriceNotFound where the plan is not sold by this interval in this
    currency, ApprovalNeeded, StartRefused, QuantityOutOfBounds, TrialNeedsMethod, PaymentUnderWay, what a promotion
    code is refused with, and AlreadySubscribed where the customer has a live subscription of the product.
    """
    call.need(Permission.SUBSCRIPTION_WRITE)
    desk = await open_desk(tx, call, customer_id)
    check_approved(call, desk.catalogue, desk.catalogue.sold_version(product_key, plan_key, customer_id).id)
    return await start(
        tx, call, desk, product_key=product_key, plan_key=plan_key, interval=interval, currency=currency, wish=wish
    )


async def start(
    tx: Tx,
    call: Call,
    desk: Desk,
    *,
    product_key: str,
    plan_key: str,
    interval: Interval,
    currency: str,
    wish: Wish | None = None,
) -> Subscription:
    """Start a subscription of a desk's customer, as `subscribe` for a caller who may, or to preview it."""
    version = desk.catalogue.sold_version(product_key, plan_key, desk.customer.id)
    return await starting.start(tx, call, desk, version, interval=interval, currency=currency, wish=wish or Wish())


async def cancel(
    tx: Tx,
    call: Call,
    *,
    subscription_id: SubscriptionId,
    at_period_end: bool = True,
    at: datetime | None = None,
    reason: CancelReason | None = None,
    feedback: str | None = None,
    credit: CancelCredit | None = None,
) -> Subscription:
    """Stop at a date, at the end of the paid fee period, or now, and issue the invoice of what was used.

    A yearly subscription runs to the end of its year. `feedback` is the customer's own text and is kept sealed. What
    an end now leaves of what is paid goes back where the plan version says so; staff may say otherwise by `credit`, and
    anybody may waive it. Safe to repeat: what is pending or has
    ended changes no more, but a pending end can be brought forward to now, and a date replaces it. Raises Forbidden,
    SubscriptionNotFound, TransitionRefused, FeedbackMalformed.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    return await ending.carry_out(tx, call, desk, before, Ending(at_period_end, at, reason, feedback, credit))


async def undo_cancel(tx: Tx, call: Call, *, subscription_id: SubscriptionId) -> Subscription:
    """Renew again: forget a cancel that is still pending. Safe to repeat; without one nothing changes.

    Raises Forbidden, SubscriptionNotFound, and TransitionRefused for what has ended.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    after = lifecycle.undo_cancel(before, desk.now)
    if after == before:
        return before
    saved = await subscriptions.save(tx, before, after)
    await note(tx, call, desk, saved, event_type="cancel_undone", text="{plan} will renew")
    return saved


async def pause(
    tx: Tx, call: Call, *, subscription_id: SubscriptionId, resumes_at: datetime | None = None
) -> Subscription:
    """Pause a subscription where what is paid ends: from there on nothing is billed, granted or counted.

    `resumes_at` ends the pause by itself. Safe to repeat. Raises Forbidden, SubscriptionNotFound, and TransitionRefused
    unless it is active and its end is not pending.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    return await pausing.ask_pause(tx, call, desk, before, resumes_at=resumes_at)


async def undo_pause(tx: Tx, call: Call, *, subscription_id: SubscriptionId) -> Subscription:
    """Forget a pause that has not begun. Safe to repeat; without one nothing changes.

    Raises Forbidden, SubscriptionNotFound, and TransitionRefused for one that is paused: resume it.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    return await pausing.undo_pause(tx, call, desk, before)


async def resume(tx: Tx, call: Call, *, subscription_id: SubscriptionId) -> Subscription:
    """End a pause now: a full period begins, and its fee is invoiced at once.

    Raises Forbidden, SubscriptionNotFound, and TransitionRefused for one that is not paused.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    return await pausing.resume(tx, call, desk, before)


async def move_bill_day(tx: Tx, call: Call, *, subscription_id: SubscriptionId, wish: BillDay) -> Subscription:
    """Move the bill day of a subscription to a day of the month, to the calendar's own, or to now.

    The days before the new one are a share of the cycle that runs: a period that has been billed is cut there and the
    rest of it taken back, one that begins when the day is known is a short one. Moving it to now takes back the rest
    and charges a full period at once. Raises Forbidden, SubscriptionNotFound, and as `anchoring.ask`.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    return await anchoring.ask(tx, call, desk, before, wish)


async def keep_bill_day(tx: Tx, call: Call, *, subscription_id: SubscriptionId) -> Subscription:
    """Forget a bill day that has not come. Safe to repeat.

    Raises Forbidden, SubscriptionNotFound, and TransitionRefused once the short period up to it has begun.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    return await anchoring.keep(tx, call, desk, before)


async def close_period(
    tx: Tx, call: Call, customer_id: CustomerId, subscription_id: SubscriptionId, *, tries: int = 0
) -> bool:
    """Carry a subscription over all that was due of it by now, oldest first, and draft what fell due at each instant.

    A draft is opened after its plan's grace, by `finalise`, or here where that is over too: catching up late makes the
    same invoices as being in time. Run twice, nothing is added. Where the customer's invoices are consolidated, what
    falls due together is tried as a whole up to TOGETHER_TRIES times, `tries` of which have failed; then whatever fails
    is left to its own job. True where more than STEPS_MAX boundaries were due: the rest is found again by `find_due`.
    """
    desk, held = await open_desk_over(tx, call, customer_id)
    desk = replace(desk, insists=tries < TOGETHER_TRIES)
    before = next((each for each in held if each.id == subscription_id), None)
    if before is None:
        return False
    after = await catch_up(tx, call, desk, before)
    if after.settles_at is not None and after.settles_at <= desk.now:
        await invoice_at_once(tx, call, desk, [after], after.settles_at)
        await close_last(tx, call, desk, await subscriptions.save(tx, after, lifecycle.settle(after)))
    return is_behind(after, desk.now)


async def finalise(tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId) -> Invoice | None:
    """Make the usage on a draft final, derive it once more and open it. None where it is no draft any more.

    A draft below the gateway's minimum stays one and waits for what falls due next. Safe to repeat.
    """
    desk = await open_desk(tx, call, customer_id)
    draft = await invoices.find_invoice(tx, call, invoice_id)
    if draft is None or draft.customer_id != customer_id or draft.state is not State.DRAFT:
        return None
    return await finalise_draft(tx, call, desk, draft)


async def find_due(
    tx: Tx, *, clock_id: ClockId | None, now: datetime, limit: int = DUE_MAX
) -> Sequence[tuple[CustomerId, SubscriptionId]]:
    """Return the subscriptions of a clock's customers for which ClosePeriod is to be staged, oldest boundary first."""
    return await waiting.list_due(tx, clock_id=clock_id, now=now, limit=min(limit, DUE_MAX))


async def next_due_at(tx: Tx, clock_id: ClockId) -> datetime | None:
    """Return the earliest business instant at which something is due on a test clock, or None.

    That is the end of a period, or a staged job such as the opening of a draft after its grace. It may be past.
    """
    period_end = await waiting.find_next_due_at(tx, clock_id=clock_id)
    job_due = await journal_store.find_next_run_at(tx, clock_id=clock_id)
    return min((each for each in (period_end, job_due) if each is not None), default=None)


async def note_payment(
    tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId, *, succeeded: bool, desk: Desk | None = None
) -> Sequence[Subscription]:
    """Carry the end of a payment attempt to every subscription with a line on the invoice; return those.

    A failure makes an active one past due; the last success makes it active again. Late news of a failure, when the
    invoice is no longer open, count as none. An upgrade that waits for this invoice takes effect when it is paid; while
    it waits, a failure is no debt. Whoever holds the customer's subscriptions already passes the desk. Safe to repeat.
    """
    desk = desk or await open_desk(tx, call, customer_id)
    invoice = await invoices.find_invoice(tx, call, invoice_id)
    if invoice is None or invoice.customer_id != customer_id:
        return []
    failed = not succeeded and invoice.state is State.OPEN
    saved = []
    for found in await held_on(tx, desk, invoice_id):
        if failed and await changing.waits_for(tx, found, invoice):
            saved.append(found)
            continue
        before = await changing.follow_invoice(tx, call, desk, found, invoice)
        after = (lifecycle.payment_failed if failed else lifecycle.payment_cleared)(before, invoice_id)
        saved.append(await subscriptions.save(tx, before, after))
        if before.status is Status.INCOMPLETE:
            await subscriptions.ensure_segment(tx, call, saved[-1], desk.now, is_held=True)
        if after.status is not before.status:
            text = _PAID_TEXTS.get(before.status, "{plan} is active again")
            await note(tx, call, desk, after, event_type=f"subscription_{after.status}", text=text)
    return saved


async def mirror_subscription(
    tx: Tx,
    call: Call,
    now: datetime,
    *,
    customer_id: CustomerId,
    gateway_id: str,
    product_key: str,
    plan_key: str,
    interval: Interval,
    currency: str,
    status: Status,
    period: Period,
    anchor_at: datetime | None = None,
    cancel_at: datetime | None = None,
    ended_at: datetime | None = None,
) -> Subscription:
    """Follow a subscription that Stripe bills: it is counted and limited here, never rated or invoiced.

    `period` is Stripe's present one, `anchor_at` its billing anchor. The same news twice change nothing; what was
    canceled never revives, and one first heard of as canceled is kept as canceled. Raises CustomerNotFound,
    ProductNotFound, PlanNotFound, AlreadySubscribed.
    """
    desk = await open_desk(tx, call, customer_id)
    before = await subscriptions.find_mirror(tx, customer_id, gateway_id)
    news = Mirrored(
        gateway_id=gateway_id,
        plan_version_id=_mirrored_version(desk.catalogue, before, product_key, plan_key),
        status=status,
        interval=interval,
        currency=currency,
        anchor_at=anchor_at or period.start,
        fee_period=period,
        cancel_at=cancel_at,
        ended_at=(ended_at or now) if status is Status.CANCELED else None,
    )
    if before is not None:
        counted = await counted_from(tx, before, news.ended_at) if news.ended_at else frozenset[SegmentId]()
        after = await subscriptions.follow(tx, call, now, before, news, counted=counted)
    else:
        product_id = desk.catalogue.product(product_key).id
        after = await subscriptions.open_mirror(tx, call, now, customer=desk.customer, product_id=product_id, news=news)
    if before is None or _told(before) != _told(after):
        text = f"{{plan}}, billed by Stripe, is {after.status.replace('_', ' ')}"
        await note(tx, call, desk, after, event_type=f"subscription_{after.status}", text=text)
    return after


async def end_mirrored(
    tx: Tx, call: Call, now: datetime, *, customer_id: CustomerId, gateway_id: str, ended_at: datetime | None = None
) -> Subscription | None:
    """End what follows a subscription of Stripe. Safe to repeat.

    None where it is not known: mirror it as canceled then, so that later news of its creation change nothing.
    """
    desk = await open_desk(tx, call, customer_id)
    before = await subscriptions.find_mirror(tx, customer_id, gateway_id)
    if before is None or before.status is Status.CANCELED:
        return before
    return await end(tx, call, desk, before, lifecycle.end(before, ended_at or now))


def _told(subscription: Subscription) -> tuple[object, ...]:
    """Return what of a mirror is told when it changes."""
    return subscription.status, subscription.plan_version_id, subscription.cancel_at


def _mirrored_version(
    catalogue: Catalogue, before: Subscription | None, product_key: str, plan_key: str
) -> PlanVersionId:
    """Return the pinned version while the plan stays the same, else the newest of the other plan."""
    plan = catalogue.plan(product_key, plan_key)
    if before is not None and catalogue.plan_of_version(before.plan_version_id).id == plan.id:
        return before.plan_version_id
    return catalogue.current_version(product_key, plan_key).id
