"""Remind of the end of a trial, and carry a subscription over it."""

from datetime import timedelta

from domain.contracts.desk.service import Desk, note, open_desk
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, PlanVersionId, SegmentId, SubscriptionId
from domain.subscriptions import lifecycle, pause
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Status, Subscription, TrialEnd
from domain.subscriptions.terms import service as terms

REMINDED_BEFORE = timedelta(days=3)
TRIAL_ENDING = "trial_ending"


async def stage_reminder(tx: Tx, call: Call, desk: Desk, of: Subscription) -> None:
    """Have the customer reminded three days before a trial ends, or at once where it is shorter."""
    assert of.trial_ends_at is not None, "a trial has an end"
    await journal.stage(
        tx,
        call,
        jobs.RemindTrial(of.customer_id, of.id),
        customer_id=of.customer_id,
        clock_id=desk.customer.clock_id,
        run_at=max(of.trial_ends_at - REMINDED_BEFORE, desk.now),
    )


async def remind(tx: Tx, call: Call, customer_id: CustomerId, subscription_id: SubscriptionId) -> bool:
    """Tell a customer that a trial ends soon. False where it is over by now, or ends by the customer's own wish.

    The mail is sent once for a subscription, however often this runs.
    """
    desk = await open_desk(tx, call, customer_id)
    found = await subscriptions.find_subscription(tx, subscription_id, scope=customer_id)
    if found is None or found.status is not Status.TRIALING or found.cancel_at is not None:
        return False
    await note(tx, call, desk, found, event_type="trial_will_end", text="The trial of {plan} ends soon")
    notice = jobs.SendNotice(customer_id, TRIAL_ENDING, str(subscription_id))
    clock_id = desk.customer.clock_id
    await journal.stage(tx, call, notice, customer_id=customer_id, clock_id=clock_id, run_at=desk.now)
    return True


def end_of(subscription: Subscription, *, has_method: bool) -> TrialEnd:
    """Return what becomes of a trial at its end: it is billed where there is a payment method."""
    assert subscription.trial_end is not None, "a trial says how it ends"
    return TrialEnd.BILL if has_method else subscription.trial_end


async def go_on(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Bill a subscription from the end of its trial on, under its own plan or the one that it falls back to."""
    at = before.trial_ends_at
    assert at is not None, "a trial has an end"
    after = await subscriptions.save(tx, before, lifecycle.trial_over(before))
    if end_of(before, has_method=desk.customer.can_be_billed) is TrialEnd.FALL_BACK:
        after = await subscriptions.switch_version(tx, call, after, _fall_back(desk, after), at)
        await note(tx, call, desk, after, event_type="trial_fell_back", text="The trial is over; {plan} goes on")
    else:
        await terms.begin_term(tx, after, at)
        await note(tx, call, desk, after, event_type="trial_converted", text="The trial is over; {plan} is billed")
    await subscriptions.ensure_segment(tx, call, after, at, is_held=True)
    return after


async def stand_still(
    tx: Tx, call: Call, desk: Desk, before: Subscription, *, counted: frozenset[SegmentId]
) -> Subscription:
    """Pause a subscription whose trial is over and that nobody can be charged for."""
    after = await subscriptions.pause(tx, before, pause.pause_unpaid_trial(before), counted=counted)
    await note(tx, call, desk, after, event_type="subscription_paused", text="The trial is over; {plan} is paused")
    return after


def _fall_back(desk: Desk, of: Subscription) -> PlanVersionId:
    """Return the version that a trial falls back to: the newest of the plan that its own version names."""
    trial = desk.catalogue.version(of.plan_version_id).start.trial
    assert trial is not None, "only a plan with a trial falls back"
    assert trial.fall_back is not None, "its definition names the plan"
    product = desk.catalogue.product_by_id(of.product_id)
    return desk.catalogue.current_version(product.key, trial.fall_back).id
