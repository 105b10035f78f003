"""Move a bill day, and take a subscription over to another grid where that is due."""

from datetime import datetime

from domain.contracts.changing.service import counted_from
from domain.contracts.desk.service import Desk, invoice_at_once, note
from domain.db import Tx
from domain.kernel.call import Call
from domain.subscriptions import change as changes_rules
from domain.subscriptions import grid
from domain.subscriptions import service as subscriptions
from domain.subscriptions.change import ChangeState
from domain.subscriptions.changes import service as changes
from domain.subscriptions.grid import BillDay
from domain.subscriptions.moving.service import move, plan_border
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.terms import service as terms


async def ask(tx: Tx, call: Call, desk: Desk, before: Subscription, wish: BillDay) -> Subscription:
    """Have a bill day move where the new grid has its next boundary, or start full periods now and invoice that.

    Raises BillDayOutOfBounds, TransitionRefused, ChangeWaits, NothingToChange, TooManyChanges.
    """
    wish.check()
    waits = await changes.find_waiting(tx, before, ChangeState.PENDING)
    if waits is not None and waits.expires_at is not None:
        raise changes_rules.ChangeWaits(waits.expires_at.isoformat())
    anchor_at = grid.anchor_for(before, wish, desk.now)
    if not wish.now:
        after = grid.ask_move(before, anchor_at, desk.now)
        assert after.moves_at is not None, "it has a day"
        saved = await plan_border(tx, before, after, after.moves_at)
        await note(tx, call, desk, saved, event_type="bill_day_scheduled", text="{plan} will have another bill day")
        return saved
    grid.check_movable(before)
    known = (await terms.terms_of(tx, [before.id]))[before.id]
    changes_rules.prorate_at(before, known, desk.now, None)
    saved = await go_over(tx, call, desk, before, grid.moved(before, desk.now, before.zone, desk.now), at=desk.now)
    await invoice_at_once(tx, call, desk, [saved], desk.now, keep_credit=True)
    return saved


async def keep(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Forget a bill day that has not come. Safe to repeat. Raises TransitionRefused."""
    after = grid.keep(before)
    if after == before:
        return before
    saved = await subscriptions.save(tx, before, after)
    await note(tx, call, desk, saved, event_type="bill_day_kept", text="{plan} keeps its bill day")
    return saved


async def arrive(tx: Tx, call: Call, desk: Desk, before: Subscription) -> Subscription:
    """Begin full periods on the new bill day, which has come."""
    at, anchor_at = before.moves_at, before.moves_to
    assert at is not None, "its bill day moves"
    assert anchor_at is not None, "its new grid is known"
    after = grid.moved(before, anchor_at, before.zone, at)
    return await go_over(tx, call, desk, before, after, at=at, known_at=before.moves_asked_at)


async def follow_zone(tx: Tx, call: Call, desk: Desk, before: Subscription, after: Subscription) -> Subscription:
    """Take a subscription over to its customer's zone where a fee period began; `after` has gone on into it.

    A boundary at which the day of its anchor would be lost is left out: a later one will do.
    """
    zone, at = desk.customer.zone, after.fee_period.start
    if after.zone == zone or after.fee_period == before.fee_period or after.status is Status.TRIALING:
        return after
    became = grid.rezoned(after, zone, at)
    return after if became is None else await go_over(tx, call, desk, after, became, at=at)


async def go_over(
    tx: Tx,
    call: Call,
    desk: Desk,
    before: Subscription,
    after: Subscription,
    *,
    at: datetime,
    known_at: datetime | None = None,
) -> Subscription:
    """Write what a subscription is on another grid from an instant on, as a term of its own, and say so."""
    saved = await move(tx, call, before, after, at, counted=await counted_from(tx, before, at))
    await terms.begin_term(tx, saved, at, known_at=known_at)
    kind = "zone_changed" if before.zone != after.zone else "bill_day_moved"
    text = "{plan} is billed by the days of another zone" if before.zone != after.zone else "{plan} has a new bill day"
    await note(tx, call, desk, saved, event_type=kind, text=text)
    return saved
