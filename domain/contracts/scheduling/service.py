"""Keep a start that lies ahead, change it, call it off, and carry it out once its instant has come."""

from dataclasses import replace
from datetime import timedelta

from domain.access.roles import Permission
from domain.contracts.approving.service import check_approved
from domain.contracts.desk.service import Desk, open_desk
from domain.contracts.rehearsing.service import rehearse
from domain.contracts.scheduling.versions import version_at_start
from domain.contracts.starting import service as starting
from domain.contracts.starting.wish import Wish, check_ahead
from domain.contracts.stepping.service import PeriodsStillClosing, catch_up, is_behind
from domain.db import Tx
from domain.invoices.invoice import PaymentUnderWay
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, ProductId, StartId, encode
from domain.plans.plan import PlanVersion
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.upcoming import scheduled_start as rules
from domain.subscriptions.upcoming import service as upcoming
from domain.subscriptions.upcoming.scheduled_start import ScheduledStart, ScheduledStartNotFound, StartState, Terms

# A first payment that is under way when a start is due is given this much longer, again and again.
LOOK_AGAIN_AFTER = timedelta(minutes=10)
# These pass by themselves: the job is put off and the start still waits.
_PASSING = frozenset((Kind.BUSY, Kind.UNAVAILABLE))


async def schedule(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId,
    product_key: str,
    plan_key: str,
    interval: Interval,
    currency: str = "USD",
    wish: Wish,
) -> ScheduledStart:
    """Keep a start until `wish.starts_at`, which lies ahead in the customer's business time.

    It is tried as if its instant had come, so it is refused as it would be then, as far as that is known now. At most
    one start of a customer and product waits; it may follow a subscription that is set to end by then. Raises as
    `contracts.subscribe`, and StartAlreadyScheduled.
    """
    call.need(Permission.SUBSCRIPTION_WRITE)
    desk = await open_desk(tx, call, customer_id)
    version = desk.catalogue.sold_version(product_key, plan_key, customer_id)
    check_approved(call, desk.catalogue, version.id)
    new = ScheduledStart(
        customer_id=customer_id,
        id=StartId(call.new_id()),
        product_id=desk.catalogue.product(product_key).id,
        environment=desk.customer.environment,
        state=StartState.SCHEDULED,
        terms=await _tried(tx, call, desk, version, interval=interval, currency=currency, wish=wish),
        asked_at=desk.now,
    )
    await upcoming.keep(tx, new)
    await _stage(tx, call, desk, new)
    await _tell(tx, call, desk, new, event="start_scheduled", text="{plan} will start on {at}")
    return new


async def reschedule(
    tx: Tx, call: Call, *, start_id: StartId, plan_key: str, interval: Interval, currency: str, wish: Wish
) -> ScheduledStart:
    """Put other terms in the place of all that was asked for; the product stays. Safe to repeat.

    Raises Forbidden, ScheduledStartNotFound, StartOver, and as `schedule`.
    """
    desk, before = await _locked(tx, call, start_id)
    product_key = desk.catalogue.product_by_id(before.product_id).key
    version = desk.catalogue.sold_version(product_key, plan_key, desk.customer.id)
    check_approved(call, desk.catalogue, version.id, before=before.terms.plan_version_id)
    rules.check_waiting(before, desk.now)
    terms = await _tried(tx, call, desk, version, interval=interval, currency=currency, wish=wish)
    if terms == before.terms:
        return before
    after = await upcoming.save(tx, before, replace(before, terms=terms))
    await _stage(tx, call, desk, after)
    await _tell(tx, call, desk, after, event="start_changed", text="{plan} will start on {at}")
    return after


async def call_off(tx: Tx, call: Call, *, start_id: StartId) -> ScheduledStart:
    """Cancel a start before it comes. Safe to repeat. Raises Forbidden, ScheduledStartNotFound, StartOver."""
    desk, before = await _locked(tx, call, start_id)
    after = await upcoming.save(tx, before, rules.called_off(before, desk.now))
    if after != before:
        await _tell(tx, call, desk, after, event="start_canceled", text="{plan} will not start on {at}")
    return after


async def carry_out(tx: Tx, call: Call, customer_id: CustomerId, start_id: StartId) -> ScheduledStart | None:
    """Start what was scheduled, once its instant has come; return what became of it, None where nothing was to be done.

    However many workers try, one subscription comes of it. Late, it still starts at its instant. What a start today is
    refused with refuses it for good: that is told, and the row says why. A first payment of another subscription that
    is under way is waited for. Raises what passes by itself.
    """
    desk = await open_desk(tx, call, customer_id)
    start = await upcoming.lock(tx, start_id, scope=customer_id)
    if not start.is_due(desk.now):
        return None
    await _bring_up(tx, call, desk, start.product_id)
    try:
        async with tx.attempted():
            new = await _start(tx, call, desk, start)
    except PaymentUnderWay:
        await _stage(tx, call, desk, start, again=True)
        return start
    except DomainError as error:
        if error.kind in _PASSING:
            raise
        over = await upcoming.save(tx, start, rules.refused(start, error.code))
        await _tell(tx, call, desk, over, event="start_refused", text="{plan} did not start on {at}: " + error.message)
        return over
    return await upcoming.save(tx, start, rules.begun(start, new.id))


async def _start(tx: Tx, call: Call, desk: Desk, start: ScheduledStart) -> Subscription:
    terms = start.terms
    version = version_at_start(desk.catalogue, start.customer_id, terms)
    wish = Wish(terms.trial_days, terms.starts_at, terms.bill_day, terms.calendar, terms.promotion_code, terms.quantity)
    return await starting.start(tx, call, desk, version, interval=terms.interval, currency=terms.currency, wish=wish)


async def _bring_up(tx: Tx, call: Call, desk: Desk, product_id: ProductId) -> None:
    """Have what ends at the instant of the start end first. Raises PeriodsStillClosing."""
    live = await subscriptions.find_live(tx, desk.customer.id, product_id)
    if live is not None and is_behind(await catch_up(tx, call, desk, live), desk.now):
        raise PeriodsStillClosing


async def _tried(
    tx: Tx, call: Call, desk: Desk, version: PlanVersion, *, interval: Interval, currency: str, wish: Wish
) -> Terms:
    """Try a start as if its instant had come, undo it, and return its terms. Raises as `schedule`."""
    assert wish.starts_at is not None, "it says when"
    check_ahead(wish.starts_at, desk.now)
    async with tx.undone() as tried:
        await rehearse(tried, call, desk, version, interval=interval, currency=currency, wish=wish)
    return Terms(
        plan_version_id=version.id,
        interval=interval,
        currency=currency,
        starts_at=wish.starts_at,
        trial_days=wish.trial_days,
        bill_day=wish.bill_day,
        calendar=wish.calendar,
        promotion_code=wish.promotion_code,
        quantity=wish.quantity,
    )


async def _locked(tx: Tx, call: Call, start_id: StartId) -> tuple[Desk, ScheduledStart]:
    """Hold a start about which the caller may do something. Raises Forbidden, ScheduledStartNotFound."""
    call.need(Permission.SUBSCRIPTION_WRITE)
    found = await upcoming.find(tx, start_id, scope=call.scope, environment=call.principal.environment)
    if found is None:
        raise ScheduledStartNotFound
    desk = await open_desk(tx, call, found.customer_id)
    return desk, await upcoming.lock(tx, start_id, scope=found.customer_id)


async def _stage(tx: Tx, call: Call, desk: Desk, start: ScheduledStart, *, again: bool = False) -> None:
    """Have a start carried out at its instant, or looked at again a little later."""
    run_at = desk.now + LOOK_AGAIN_AFTER if again else start.terms.starts_at
    job = jobs.BeginSubscription(start.customer_id, start.id, run_at.isoformat())
    clock_id = desk.customer.clock_id
    await journal.stage(tx, call, job, customer_id=start.customer_id, clock_id=clock_id, run_at=run_at)


async def _tell(tx: Tx, call: Call, desk: Desk, about: ScheduledStart, *, event: str, text: str) -> None:
    """Append the audit entry and the billing event of what became of a start."""
    terms = about.terms
    plan = desk.catalogue.plan_of_version(terms.plan_version_id)
    named = encode("scheduled_start", about.id)
    facts = {
        "scheduled_start_id": named,
        "plan": plan.key,
        "state": about.state,
        "starts_at": terms.starts_at.isoformat(),
        "refusal": about.refusal,
    }
    await journal.audit(tx, call, event, named, customer_id=about.customer_id, facts=facts)
    at = f"{terms.starts_at:%Y-%m-%d %H:%M} UTC"
    description = text.replace("{plan}", plan.name).replace("{at}", at)
    await journal.tell(tx, call, desk.now, about.customer_id, event, description=description, metadata=facts)
