"""Pause and resume: at the end of what is paid, and with a period of its own."""

from datetime import datetime

from domain.contracts.desk.service import Desk, invoice_at_once, note
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import SegmentId
from domain.subscriptions import pause as rules
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.terms import service as terms


async def ask_pause(
    tx: Tx, call: Call, desk: Desk, before: Subscription, *, resumes_at: datetime | None
) -> Subscription:
    """Note that a subscription is to pause where what is paid ends. Safe to repeat. Raises TransitionRefused."""
    after = rules.ask_pause(before, desk.now, resumes_at=resumes_at)
    if after == before:
        return before
    saved = await subscriptions.save(tx, before, after)
    await note(tx, call, desk, saved, event_type="pause_scheduled", text="{plan} will pause at the end of what is paid")
    return saved


async def undo_pause(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Forget a pause that has not begun. Safe to repeat. Raises TransitionRefused for one that has."""
    after = rules.undo_pause(before)
    if after == before:
        return before
    saved = await subscriptions.save(tx, before, after)
    await note(tx, call, desk, saved, event_type="pause_undone", text="{plan} will not pause")
    return saved


async def begin(tx: Tx, call: Call, desk: Desk, before: Subscription, *, counted: frozenset[SegmentId]) -> Subscription:
    """Begin the pause that was asked for, or forget it where an invoice is overdue: the subscription then goes on."""
    after = rules.pause(before)
    if after.status is not Status.PAUSED:
        saved = await subscriptions.save(tx, before, after)
        text = "{plan} does not pause: an invoice is overdue"
        await note(tx, call, desk, saved, event_type="pause_dropped", text=text)
        return saved
    assert after.pause_at is not None, "what is paused has begun to be"
    paused = await subscriptions.pause(tx, before, after, counted=counted)
    await terms.begin_term(tx, paused, after.pause_at, billed=False)
    await note(tx, call, desk, paused, event_type="subscription_paused", text="{plan} is paused")
    return paused


async def go_on(tx: Tx, call: Call, desk: Desk, before: Subscription, at: datetime) -> Subscription:
    """Run again from an instant on, in full periods of its own. Raises TransitionRefused."""
    resumed = await subscriptions.resume(tx, call, before, rules.resume(before, at))
    await terms.begin_term(tx, resumed, at)
    await note(tx, call, desk, resumed, event_type="subscription_resumed", text="{plan} runs again")
    return resumed


async def resume(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Run again now and issue the invoice of the new fee. Raises TransitionRefused."""
    resumed = await go_on(tx, call, desk, before, desk.now)
    await invoice_at_once(tx, call, desk, [resumed], desk.now)
    return resumed
