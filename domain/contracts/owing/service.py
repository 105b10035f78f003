"""Lower access while a payment is owed, and end what was not paid for (SEMANTICS 6.5 and 8.4).

Dunning decides; here it is done to the subscriptions on an invoice, each of them held.
"""

from collections.abc import Mapping
from datetime import datetime

from domain.contracts.desk.service import Desk, held_on, invoice_at_once, note, open_desk
from domain.contracts.stepping import service as stepping
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import LineKind
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, SubscriptionId
from domain.plans.price import free_version
from domain.subscriptions import lifecycle
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import AccessState, Source, Status, Subscription
from domain.usage import service as usage

_TOLD = {
    AccessState.FULL: "{plan} can be used in full again",
    AccessState.RESTRICTED: "{plan} is restricted to the limits of the free plan until its invoice is paid",
    AccessState.SUSPENDED: "{plan} is suspended until its invoice is paid",
}


async def hold(tx: Tx, call: Call, customer_id: CustomerId) -> Desk:
    """Hold a customer's subscriptions before anything of a dunning case is locked. Raises CustomerNotFound."""
    return await open_desk(tx, call, customer_id)


async def set_access(tx: Tx, call: Call, desk: Desk, wanted: Mapping[SubscriptionId, AccessState]) -> None:
    """Let checks of held subscriptions answer by access states. Safe to repeat; what has ended is left alone."""
    found = await subscriptions.subscriptions_by_id(tx, desk.held & wanted.keys(), scope=desk.customer.id)
    for before in (found[each] for each in sorted(found)):
        if before.is_live and before.access is not wanted[before.id]:
            after = await subscriptions.set_access(tx, before, wanted[before.id])
            await note(tx, call, desk, after, event_type=f"access_{after.access}", text=_TOLD[after.access])


async def give_up(tx: Tx, call: Call, desk: Desk, subscription_id: SubscriptionId) -> Subscription | None:
    """Note that a subscription's invoice is not asked for any more: past due becomes unpaid. Safe to repeat."""
    before = await _held(tx, desk, subscription_id)
    if before is None:
        return None
    after = lifecycle.give_up(before)
    if after.status is before.status:
        return before
    saved = await subscriptions.save(tx, before, after)
    await note(tx, call, desk, saved, event_type="subscription_unpaid", text="{plan} is unpaid")
    return saved


async def end_unpaid(
    tx: Tx, call: Call, desk: Desk, subscription_id: SubscriptionId, invoice_id: InvoiceId
) -> Subscription | None:
    """End a subscription at the first instant that was not paid for: nothing is credited. Safe to repeat.

    That is the start of the fee period on the unpaid invoice; an invoice over usage alone ends it now. What was used
    since then stays counted where it is and is invoiced as always. None where it has ended already.
    """
    before = await _held(tx, desk, subscription_id)
    if before is None or before.source is Source.STRIPE:
        return None
    at = await _unpaid_from(tx, desk, subscription_id, invoice_id)
    return await stepping.end(tx, call, desk, before, lifecycle.end(before, at))


async def fall_back(
    tx: Tx, call: Call, desk: Desk, subscription_id: SubscriptionId, invoice_id: InvoiceId
) -> Subscription | None:
    """End a subscription as `end_unpaid` does, and go on with the product's free plan from that instant.

    Levels stay as they are, also above the free plan's limits; additions are refused. Returns the new subscription;
    None where there is no free plan, or where it has ended already.
    """
    ended = await end_unpaid(tx, call, desk, subscription_id, invoice_id)
    free = free_version(desk.catalogue, ended.product_id, ended.currency) if ended is not None else None
    if ended is None or ended.ended_at is None or free is None:
        return None
    new = await subscriptions.open_subscription(
        tx,
        call,
        ended.ended_at,
        customer=desk.customer,
        product_id=ended.product_id,
        plan_version_id=free.id,
        interval=Interval.MONTH,
        currency=ended.currency,
    )
    await usage.carry_levels(tx, desk.customer.id, ended.id, new.id)
    await note(tx, call, desk, new, event_type="subscription_started", text="Moved to {plan}")
    await invoice_at_once(tx, call, desk, [new], ended.ended_at)
    return new


async def subscriptions_on(tx: Tx, desk: Desk, invoice_id: InvoiceId) -> list[Subscription]:
    """Return the held subscriptions that have a line on an invoice."""
    return await held_on(tx, desk, invoice_id)


async def _held(tx: Tx, desk: Desk, subscription_id: SubscriptionId) -> Subscription | None:
    """Return a held subscription as it now is, unless it has ended."""
    if subscription_id not in desk.held:
        return None
    found = await subscriptions.find_subscription(tx, subscription_id, scope=desk.customer.id)
    return found if found is not None and found.status is not Status.CANCELED else None


async def _unpaid_from(tx: Tx, desk: Desk, subscription_id: SubscriptionId, invoice_id: InvoiceId) -> datetime:
    lines = (await invoices.lines_by_invoice_ids(tx, [invoice_id], scope=desk.customer.id))[invoice_id]
    fees = [
        line.period.start
        for line in lines
        if line.identity.subscription_id == subscription_id and line.identity.kind is LineKind.FEE and line.amount.minor
    ]
    return min([*fees, desk.now])
