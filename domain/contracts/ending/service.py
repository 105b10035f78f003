"""End a subscription now, or keep a date for its end."""

from domain.access.roles import Permission
from domain.contracts.changing import service as changing
from domain.contracts.desk.service import Desk, invoice_at_once, note
from domain.contracts.ending.wish import CancelCredit, Ending
from domain.contracts.stepping.service import end
from domain.db import Tx
from domain.kernel.call import Call
from domain.subscriptions import lifecycle
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.terms import service as terms

# Nothing is paid for the present in these, so nothing of it can go back.
_NOT_BILLED = frozenset((Status.INCOMPLETE, Status.TRIALING, Status.PAUSED))


async def carry_out(tx: Tx, call: Call, desk: Desk, before: Subscription, wish: Ending) -> Subscription:
    """End a subscription and invoice what was used, or note its end. Safe to repeat.

    With credit, by the wish or by the plan, what is left of the fee is taken back by the same proration as in a change:
    off an invoice that is not paid, else as customer credit. An upgrade that waits for its payment is taken back by an
    end now. Raises Forbidden for a credit that is not the caller's to give, TransitionRefused, FeedbackMalformed, and
    PaymentUnderWay where that upgrade is being paid.
    """
    wish.check()
    of_plan = CancelCredit(desk.catalogue.version(before.plan_version_id).cancel_credit)
    credits_rest = wish.credits_rest(of_plan) and before.status not in _NOT_BILLED
    if wish.credits_rest(of_plan) and of_plan is not CancelCredit.PRORATE:
        call.need(Permission.SUBSCRIPTION_OVERRIDE)
    sealed = await subscriptions.seal_feedback(tx, before, wish.feedback) if wish.feedback else None
    after = lifecycle.cancel(
        before, desk.now, at_period_end=wish.at_period_end, at=wish.at, reason=wish.reason, feedback=sealed
    )
    if after == before:
        return before
    if after.ended_at is None:
        saved = await subscriptions.save(tx, before, after)
        await note(tx, call, desk, saved, event_type="cancel_scheduled", text="{plan} will end at {end}")
        return saved
    await changing.withdraw(tx, call, desk, before)
    ended = await end(tx, call, desk, before, after)
    if credits_rest:
        # What follows the end is a stretch that owes nothing, so what was paid for it goes back.
        await terms.begin_term(tx, ended, after.ended_at, billed=False)
        await note(tx, call, desk, ended, event_type="cancel_credited", text="What is left of {plan} is credited")
    await invoice_at_once(tx, call, desk, [ended], desk.now, keep_credit=credits_rest)
    return ended
