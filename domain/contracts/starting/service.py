"""Start a subscription: as its plan version says and staff may wish, and what becomes of one that is never paid."""

from dataclasses import replace

from domain.access.roles import Permission
from domain.contracts.desk.service import Desk, invoice_at_once, note
from domain.contracts.starting.wish import Wish, opening_of
from domain.contracts.trialing import service as trialing
from domain.credits.coupon import CouponNotForPlan, fits
from domain.credits.coupons import service as coupons
from domain.customers.erasing import service as erasing
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices import store as invoice_store
from domain.invoices.headings import service as headings
from domain.invoices.invoice import Invoice, PaymentUnderWay, State, VoidReason
from domain.invoices.voiding.service import void_invoice
from domain.kernel.call import Call
from domain.kernel.ids import ProductId
from domain.plans.plan import PlanVersion
from domain.subscriptions import lifecycle
from domain.subscriptions import service as subscriptions
from domain.subscriptions.opening import Opening
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status, Subscription


async def start(
    tx: Tx, call: Call, desk: Desk, version: PlanVersion, *, interval: Interval, currency: str, wish: Wish
) -> Subscription:
    """Start a subscription of a desk's customer on a version, and issue the invoice of what is due at its start.

    Raises as `contracts.subscribe`, but for what the caller has checked of the customer and the plan.
    """
    await erasing.hold_present(tx, desk.customer.id)
    desk.catalogue.fee_price(version.id, interval, currency)
    product_id = desk.catalogue.plan_of_version(version.id).product_id
    opens = await opening(tx, call, desk, version, wish)
    await replace_incomplete(tx, call, desk, product_id)
    new = await subscriptions.open_subscription(
        tx,
        call,
        desk.now,
        customer=desk.customer,
        product_id=product_id,
        plan_version_id=version.id,
        interval=interval,
        currency=currency,
        opening=opens,
    )
    if wish.promotion_code is not None:
        await take_up(tx, call, desk, new, wish.promotion_code)
    return await begin(tx, call, desk, new)


async def opening(tx: Tx, call: Call, desk: Desk, version: PlanVersion, wish: Wish) -> Opening:
    """Return how a subscription to a version starts for the customer at the desk.

    On net terms it runs at once: there is no payment at its start that it could wait for.
    Raises Forbidden for a wish that only staff may have, StartRefused, QuantityOutOfBounds, TrialNeedsMethod.
    """
    if wish.is_of_staff:
        call.need(Permission.SUBSCRIPTION_OVERRIDE)
    product_id = desk.catalogue.plan_of_version(version.id).product_id
    tried = version.start.trial is not None and await subscriptions.has_tried(tx, desk.customer.id, product_id)
    opens = opening_of(version.start, wish, desk.now, has_method=desk.customer.can_be_billed, has_tried=tried)
    if opens.when_paid and await headings.starts_on_net_terms(tx, desk.customer.id, version.net_days):
        return replace(opens, when_paid=False)
    return opens


async def take_up(tx: Tx, call: Call, desk: Desk, new: Subscription, code: str) -> None:
    """Take up a promotion code for a new subscription alone, before its first invoice.

    Raises Forbidden, PromotionCodeMalformed, PromotionCodeInvalid, CouponExpired, CouponUsedUp, CouponAlreadyApplied,
    CouponForFirstPurchase, CouponNotForPlan, TooManyCoupons.
    """
    applied = await coupons.redeem_code(tx, call, new.customer_id, code, subscription_id=new.id, at=desk.now)
    plan = desk.catalogue.plan_of_version(new.plan_version_id)
    if not fits(applied.coupon, plan.product_id, plan.id, new.currency):
        raise CouponNotForPlan(plan.key)


async def begin(tx: Tx, call: Call, desk: Desk, new: Subscription) -> Subscription:
    """Tell of a new subscription and issue the invoice of its first fee, or have the customer reminded of its trial.

    One that waits for its first payment runs at once where there is nothing to pay.
    """
    await note(tx, call, desk, new, event_type="subscription_started", text="Subscribed to {plan}")
    if new.status is Status.TRIALING:
        await trialing.stage_reminder(tx, call, desk, new)
    invoice = await invoice_at_once(tx, call, desk, [new], desk.now)
    is_owed = invoice is not None and invoice.amount_due.minor > 0
    if new.status is not Status.INCOMPLETE or is_owed:
        return new
    running = await subscriptions.save(tx, new, lifecycle.first_payment(new))
    await subscriptions.ensure_segment(tx, call, running, desk.now, is_held=True)
    return running


async def replace_incomplete(tx: Tx, call: Call, desk: Desk, product_id: ProductId) -> None:
    """End what waits for its first payment of a product: a new subscription takes its place.

    Raises PaymentUnderWay where that payment may come at any moment.
    """
    held = await subscriptions.subscriptions_by_id(tx, desk.held, scope=desk.customer.id)
    for each in held.values():
        if each.product_id == product_id and each.status is Status.INCOMPLETE:
            await _end_unpaid(tx, call, desk, each)


async def lapse(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """End a subscription whose first payment has not come in time; one that is under way is waited for."""
    try:
        return await _end_unpaid(tx, call, desk, before)
    except PaymentUnderWay:
        return await subscriptions.save(tx, before, lifecycle.wait_longer(before))


async def _end_unpaid(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """End it at its start, and take back what was asked for it: it never ran, and nothing is owed."""
    asked = await _open_invoices(tx, before)
    if any(invoice.charging for invoice in asked):
        raise PaymentUnderWay
    after = await subscriptions.save(tx, before, lifecycle.lapse(before))
    for invoice in asked:
        await void_invoice(
            tx, call, desk.now, customer_id=before.customer_id, invoice_id=invoice.id, reason=VoidReason.OTHER
        )
    await note(tx, call, desk, after, event_type="subscription_lapsed", text="{plan} was not paid and has not begun")
    return after


async def _open_invoices(tx: Tx, of: Subscription) -> list[Invoice]:
    """Return the open invoices on which a subscription stands: those of its one day."""
    sight = Sight(of.customer_id, of.environment)
    found = await invoice_store.invoices_by_customer_ids(
        tx, [of.customer_id], sight=sight, before=None, limit=invoices.PAGE_MAX
    )
    still = [each for each in found[of.customer_id] if each.state is State.OPEN]
    lines = await invoices.lines_by_invoice_ids(tx, [each.id for each in still], scope=of.customer_id)
    return [each for each in still if any(line.identity.subscription_id == of.id for line in lines[each.id])]
