"""Carry a subscription over its due instants: into its next period, out of a trial, into a pause, to its end."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime

from domain.access.roles import Permission
from domain.contracts.anchoring import service as anchoring
from domain.contracts.changing import service as changing
from domain.contracts.changing.service import counted_from
from domain.contracts.desk.service import (
    Desk,
    conclude_boundary,
    draft_at_boundary,
    note,
    open_desk_over,
    open_earlier,
)
from domain.contracts.joining import service as joining
from domain.contracts.pausing import service as pausing
from domain.contracts.starting import service as starting
from domain.contracts.trialing import service as trialing
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.invoices.invoice import PaymentUnderWay
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import SubscriptionId
from domain.kernel.values import dataclass
from domain.plans.plan import PriceNotFound
from domain.subscriptions import lifecycle
from domain.subscriptions import service as subscriptions
from domain.subscriptions.lifecycle import Step
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Source, Subscription, TrialEnd

# Due instants that one job or one request catches up with: three years of months.
STEPS_MAX = 36


@dataclass(eq=False)
class PeriodsStillClosing(DomainError):
    """The subscription's past periods are still being closed. Send the same again in a minute."""

    code = "periods_still_closing"
    kind = Kind.BUSY


async def open_desk_of(
    tx: Tx, call: Call, subscription_id: SubscriptionId, permission: Permission
) -> tuple[Desk, Subscription]:
    """Hold a subscription about which the caller may do something, brought up to now.

    Nothing is changed of an erased customer's. Raises Forbidden, SubscriptionNotFound, CustomerErased,
    PeriodsStillClosing.
    """
    call.need(permission)
    own = call.principal.environment
    found = await subscriptions.find_subscription(tx, subscription_id, scope=call.scope, environment=own)
    if found is None:
        raise SubscriptionNotFound
    if permission is Permission.SUBSCRIPTION_WRITE:
        await erasing.hold_present(tx, found.customer_id)
    desk, held = await open_desk_over(tx, call, found.customer_id)
    # One that is settled is not held: nothing becomes of it any more.
    before = await catch_up(tx, call, desk, next((each for each in held if each.id == subscription_id), found))
    if is_behind(before, desk.now):
        raise PeriodsStillClosing
    return desk, before


def is_behind(subscription: Subscription, now: datetime) -> bool:
    """Whether something is due of a subscription by now."""
    return subscription.due_at is not None and subscription.due_at <= now


async def catch_up(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Carry a subscription over what was due by now, at most STEPS_MAX instants."""
    for _ in range(STEPS_MAX):
        if not is_behind(before, desk.now):
            break
        before = await step(tx, call, desk, before)
    return before


async def step(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Carry a subscription over its next due instant, and draft what fell due there.

    Where the customer's invoices are consolidated, others that fall due at the same instant are carried over it too,
    before what was drafted is opened: so whichever is closed first closes them all, on one invoice.
    """
    at = before.due_at
    assert at is not None, "something is due"
    others = await joining.due_together(tx, desk, before, lambda each: step(tx, call, desk, each))
    grace_s = max(_grace_s(desk, each) for each in (before, *others))
    after = await _STEPS[lifecycle.next_step(before)](tx, call, desk, before)
    if after.source is Source.STRIPE:
        return after
    await open_earlier(tx, call, desk, currency=after.currency, boundary=at)
    draft = await draft_at_boundary(tx, call, desk, subscription=after, boundary=at, grace_s=grace_s)
    crossed = [after]
    for other in others:
        async with joining.left_out_where_it_fails(tx, desk, other):
            also = await _STEPS[lifecycle.next_step(other)](tx, call, desk, other)
            draft = await draft_at_boundary(tx, call, desk, subscription=also, boundary=at, grace_s=grace_s)
            crossed.append(also)
    await conclude_boundary(tx, call, desk, draft, due=crossed, boundary=at)
    return after


def _grace_s(desk: Desk, of: Subscription) -> int:
    return desk.catalogue.version(of.plan_version_id).invoice_grace_s


async def _renew(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    after = await subscriptions.save(tx, before, lifecycle.advance(before))
    after = await anchoring.follow_zone(tx, call, desk, before, after)
    return await _go_on(tx, call, desk, before, after, at=before.period.end)


async def _move(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    assert before.moves_at is not None, "its bill day moves"
    after = await anchoring.arrive(tx, call, desk, before)
    return await _go_on(tx, call, desk, before, after, at=before.moves_at)


async def _go_on(
    tx: Tx, call: Call, desk: Desk, before: Subscription, after: Subscription, *, at: datetime
) -> Subscription:
    """Have what was scheduled for the end of a fee period take effect where another one began."""
    after = await changing.apply_scheduled(tx, call, desk, before, after)
    after = await _move_version(tx, call, desk, before, after)
    await subscriptions.ensure_segment(tx, call, after, at, is_held=True)
    return after


async def _stop(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    assert before.cancel_at is not None, "an end was asked for"
    return await end(tx, call, desk, before, lifecycle.end(before, before.cancel_at))


async def _leave_trial(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    assert before.trial_ends_at is not None, "a trial has an end"
    becomes = trialing.end_of(before, has_method=desk.customer.can_be_billed)
    if becomes is TrialEnd.CANCEL:
        return await end(tx, call, desk, before, lifecycle.end(before, before.trial_ends_at))
    if becomes is TrialEnd.PAUSE:
        counted = await counted_from(tx, before, before.trial_ends_at)
        return await trialing.stand_still(tx, call, desk, before, counted=counted)
    return await trialing.go_on(tx, call, desk, before)


async def _pause(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    assert before.pause_at is not None, "a pause was asked for"
    counted = await counted_from(tx, before, before.pause_at)
    return await pausing.begin(tx, call, desk, before, counted=counted)


async def _resume(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    assert before.resumes_at is not None, "the pause has an end"
    return await pausing.go_on(tx, call, desk, before, before.resumes_at)


_STEPS: Mapping[Step, Callable[[Tx, Call, Desk, Subscription], Awaitable[Subscription]]] = {
    Step.RENEW: _renew,
    Step.MOVE: _move,
    Step.END: _stop,
    Step.LEAVE_TRIAL: _leave_trial,
    Step.PAUSE: _pause,
    Step.RESUME: _resume,
    Step.LAPSE: starting.lapse,
}


async def end(tx: Tx, call: Call, desk: Desk, before: Subscription, after: Subscription) -> Subscription:
    """Write an end, take the segments back to it, and say so.

    An upgrade that waits for its payment is taken back. One whose payment is under way waits on: nobody can tell yet
    whether it is paid.
    """
    assert after.ended_at is not None, "what ends has an end"
    with suppress(PaymentUnderWay):
        await changing.withdraw(tx, call, desk, before)
    counted = await counted_from(tx, before, after.ended_at)
    ended = await subscriptions.end(tx, before, after, counted=counted)
    await note(tx, call, desk, ended, event_type="subscription_ended", text="{plan} ended")
    return ended


async def _move_version(tx: Tx, call: Call, desk: Desk, before: Subscription, after: Subscription) -> Subscription:
    """Move to the plan's newest version at a renewal, where that version moves what exists and is sold to it."""
    pinned = desk.catalogue.version(before.plan_version_id)
    newest = desk.catalogue.current_version_of(pinned.plan_id, before.customer_id)
    is_renewal = after.source is Source.TOLLGATE and after.fee_period != before.fee_period
    if (
        after.plan_version_id != before.plan_version_id
        or not is_renewal
        or newest.number <= pinned.number
        or newest.existing != "move_at_renewal"
    ):
        return after
    try:
        desk.catalogue.fee_price(newest.id, after.interval, after.currency)
    except PriceNotFound:
        return after
    return await subscriptions.switch_version(tx, call, after, newest.id, after.period.start)
