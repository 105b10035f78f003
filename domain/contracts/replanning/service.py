"""Change a subscription, take a scheduled change back, and let one lapse that was not paid."""

from datetime import timedelta

from domain.access.roles import Permission
from domain.contracts.approving.service import check_approved
from domain.contracts.changing import service as changing
from domain.contracts.changing.service import Changed
from domain.contracts.changing.wish import Wish
from domain.contracts.desk.service import open_desk
from domain.contracts.stepping.service import open_desk_of
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import PaymentUnderWay, State
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import ChangeId, CustomerId, SubscriptionId
from domain.subscriptions import service as subscriptions
from domain.subscriptions.change import ChangeState
from domain.subscriptions.changes import service as changes
from domain.subscriptions.subscription import Subscription

# A payment that is under way when an upgrade should lapse is given this much longer, again and again.
LOOK_AGAIN_AFTER = timedelta(minutes=10)


async def change(tx: Tx, call: Call, *, subscription_id: SubscriptionId, wish: Wish) -> Changed:
    """Change plan, interval or quantity of a subscription, now or where the paid fee period ends.

    Raises Forbidden, SubscriptionNotFound, PeriodsStillClosing, ApprovalNeeded, and as `changing.decide`.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    decision = await changing.decide(tx, desk, before, wish)
    check_approved(call, desk.catalogue, decision.target.plan_version_id, before=before.plan_version_id)
    return await changing.carry_out(tx, call, desk, before, decision, pays_at_once=wish.pays_at_once)


async def cancel_scheduled(tx: Tx, call: Call, *, subscription_id: SubscriptionId) -> Subscription:
    """Forget the change that is scheduled. Safe to repeat; without one nothing changes.

    Raises Forbidden, SubscriptionNotFound, PeriodsStillClosing.
    """
    desk, before = await open_desk_of(tx, call, subscription_id, Permission.SUBSCRIPTION_WRITE)
    await changing.cancel_scheduled(tx, call, desk, before)
    return before


async def lapse(tx: Tx, call: Call, customer_id: CustomerId, change_id: ChangeId) -> None:
    """Take back an upgrade whose invoice was not paid in time: the invoice is void. Safe to repeat.

    One whose payment is under way is looked at again later.
    """
    desk = await open_desk(tx, call, customer_id)
    change = await changes.find(tx, customer_id, change_id)
    if change is None or change.state is not ChangeState.PENDING or change.invoice_id is None:
        return
    before = await subscriptions.find_subscription(tx, change.subscription_id, scope=customer_id)
    invoice = await invoices.find_invoice(tx, call, change.invoice_id)
    assert before is not None, "subscriptions are never deleted"
    assert invoice is not None, "invoices are never deleted"
    if invoice.state is State.PAID:
        await changing.follow_invoice(tx, call, desk, before, invoice)
        return
    try:
        await changing.withdraw(tx, call, desk, before)
    except PaymentUnderWay:
        job = jobs.LapseChange(customer_id, change_id)
        run_at = desk.now + LOOK_AGAIN_AFTER
        await journal.stage(tx, call, job, customer_id=customer_id, clock_id=desk.customer.clock_id, run_at=run_at)
