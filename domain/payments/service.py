"""Attach payment methods, collect invoices, and settle attempts: exactly one charge, whatever crashes or is lost.

Every attempt is committed with its idempotency key before the gateway is called. Whatever is known of its outcome, by
the reply, a webhook or a later look, goes through `settle_attempt`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, State
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.values import dataclass
from domain.payments import store
from domain.payments.attempt import (
    LIVE,
    Attempt,
    AttemptState,
    Trigger,
    is_lost,
    key_expired,
    lost,
    news_of,
    send,
    supersede,
)
from domain.payments.collection import Step, external, is_news_of_money, step_of
from domain.payments.copies import service as copies
from domain.payments.copies import store as past
from domain.payments.declines import METHOD_DETACHED, Decline, DeclineClass, classify
from domain.payments.endings import service as endings
from domain.payments.methods.service import (
    METHODS_MAX,
    attach_method,
    check_environment,
    list_methods,
    record_from_gateway,
    record_method,
)
from domain.payments.ordering import service as ordering
from domain.payments.ordering import store as orders
from domain.payments.ordering.service import Standing, planned
from domain.payments.overdue import service as overdue
from domain.payments.port import (
    GatewayInvoice,
    GatewayInvoiceState,
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
    PayOutcome,
    PayState,
)
from domain.payments.push import Push, PushState, differences
from domain.payments.settling.service import follow_up, settle_attempt

__all__ = [
    "attach_method",
    "collect",
    "finish_copy",
    "follow_up",
    "list_methods",
    "reconcile_stale",
    "record_from_gateway",
    "record_method",
    "settle_attempt",
    "settle_from_gateway",
]

# Recover, push, pay and a look at the end, with room for two runs that meet.
STEPS_MAX = 8
STALE_AFTER = timedelta(minutes=2)
_PAID = PayOutcome(PayState.PAID)

End = Callable[[Tx], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Work:
    """What one look at the rows has found: the next step of an invoice and what it needs."""

    step: Step
    customer: Customer
    invoice: Invoice
    push: Push | None
    last: Attempt | None
    is_over: bool

    @property
    def pushed(self) -> Push:
        """The record of the copy, which stands before any attempt."""
        assert self.push is not None, "an attempt follows its push"
        return self.push

    @property
    def gateway_invoice_id(self) -> str:
        """The copy's id, known before any attempt."""
        assert self.pushed.gateway_invoice_id is not None, "a pushed copy has an id"
        return self.pushed.gateway_invoice_id


async def collect(
    db: Database,
    gateway: PaymentGateway,
    call: Call,
    *,
    customer_id: CustomerId,
    invoice_id: InvoiceId,
    end: End | None = None,
) -> Attempt | None:
    """Bring an open invoice as far as it goes: push its copy, charge it, or find out what became of a charge.

    Returns the newest attempt. Safe to repeat, to run twice at once, and to be killed anywhere: the invoice is charged
    once. `end` is called in the transaction that found nothing more to do, under the invoice's lock: a job that is
    marked done there misses no payment method attached meanwhile.

    Raises GatewayUnavailable where the outcome is unknown (try again later), GatewayRefused, GatewayCopyDiffers,
    GatewayEnvironmentDiffers, InvoiceNotFound.
    """
    for _ in range(STEPS_MAX):
        work = await _look(db, gateway, call, customer_id=customer_id, invoice_id=invoice_id, end=end)
        act = _ACTIONS.get(work.step)
        if act is None:
            return work.last
        await act(db, gateway, call, work)
    raise GatewayUnavailable("unsettled")


async def finish_copy(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, invoice_id: InvoiceId
) -> None:
    """End the copy of an invoice of which nothing is to be collected any more, as its job would. Nothing is charged.

    Safe to repeat. Raises GatewayUnavailable, GatewayRefused, GatewayEnvironmentDiffers, InvoiceNotFound.
    """
    for _ in range(STEPS_MAX):
        work = await _look(db, gateway, call, customer_id=customer_id, invoice_id=invoice_id, is_collected=False)
        if work.step not in _ENDING:
            return
        await _ACTIONS[work.step](db, gateway, call, work)


async def settle_from_gateway(
    db: Database, gateway: PaymentGateway, call: Call, gateway_invoice_id: str
) -> CustomerId | None:
    """Fetch an invoice from the gateway and converge on it; None where it is not a copy of ours. Safe to repeat."""
    seen = await gateway.fetch_invoice(gateway_invoice_id)
    async with db.transaction() as tx:
        push = await store.find_push_of(tx, gateway_invoice_id)
        if seen is not None and push is not None:
            await _converge(tx, call, push.customer_id, push.invoice_id, seen)
        if push is None:
            # A copy that was paid before its invoice was asked for again has no news.
            return next((owner for owner, _ in (await past.past_of(tx, [gateway_invoice_id])).values()), None)
        return push.customer_id


async def reconcile_stale(db: Database, gateway: PaymentGateway, call: Call, *, limit: int) -> int:
    """Find out what became of attempts whose answer is overdue (real time); return how many were told of.

    One of which nothing is told is looked at later each time, so that those after it have their turn.
    """
    async with db.transaction() as tx:
        sent_before = call.at - STALE_AFTER
        stale = await orders.list_stale_attempts(tx, sent_before=sent_before, at=call.at, limit=limit)

    async def look(attempt: Attempt) -> None:
        await collect(db, gateway, call, customer_id=attempt.customer_id, invoice_id=attempt.invoice_id)

    return await overdue.look_at(db, call, stale, look)


async def _look(
    db: Database,
    gateway: PaymentGateway,
    call: Call,
    *,
    customer_id: CustomerId,
    invoice_id: InvoiceId,
    end: End | None = None,
    is_collected: bool = True,
) -> _Work:
    """Decide the next step in one transaction, and write what has to stand before it, where it is to be collected."""
    async with db.transaction() as tx:
        invoice = await store.lock_invoice(tx, customer_id, invoice_id)
        customer = await customers.load_customer(tx, call, customer_id)
        check_environment(gateway, customer)
        push = await store.find_push(tx, customer_id, invoice_id)
        attempts = await _attempts(tx, invoice)
        methods = await store.list_methods(tx, customer_id, limit=METHODS_MAX)
        now = await customers.business_now(tx, call, customer_id)
        standing = Standing(invoice, attempts, methods)
        is_over = invoice.state is State.OPEN and await ordering.is_over(tx, standing, push)
        step, _ = step_of(invoice, push, attempts, methods, now, is_over=is_over)
        if is_collected and step is Step.NO_METHOD:
            step = Step.NOTHING if await copies.ask_for_method(tx, call, invoice, push) else Step.PUSH
        if is_collected and step is Step.PUSH:
            push = await copies.begin(tx, call, invoice, push)
        if step not in _ACTIONS and end is not None:
            await end(tx)
        return _Work(step, customer, invoice, push, attempts[0] if attempts else None, is_over)


async def _push(db: Database, gateway: PaymentGateway, call: Call, work: _Work) -> None:
    assert work.push is not None, "a push is begun before it is made"
    seen = await copies.push(db, gateway, call, customer=work.customer, invoice=work.invoice, begun=work.push)
    if seen is not None and seen.state is GatewayInvoiceState.PAID:
        # What its customer had transferred before has paid it as it was opened there.
        async with db.transaction() as tx:
            await _converge(tx, call, work.invoice.customer_id, work.invoice.id, seen)


async def _credit(db: Database, gateway: PaymentGateway, call: Call, work: _Work) -> None:
    del call
    await endings.credit(db, gateway, invoice=work.invoice, record=work.pushed)


async def _close(db: Database, gateway: PaymentGateway, call: Call, work: _Work) -> None:
    seen = await endings.close(db, gateway, call, invoice=work.invoice, record=work.pushed)
    async with db.transaction() as tx:
        if seen is not None and seen.state is GatewayInvoiceState.PAID:
            # Its customer paid at the gateway while it was taken back, given up or recorded as paid here.
            await _converge(tx, call, work.invoice.customer_id, work.invoice.id, seen)
        # A copy under way may still be finished by another run, which then writes its own version over this one.
        await store.save_push(tx, work.pushed, replace(work.pushed, state=PushState.CLOSED))


async def _pay(db: Database, gateway: PaymentGateway, call: Call, work: _Work) -> None:
    """Begin an attempt, after a last look that the copy is open and all of it is due."""
    seen = await gateway.fetch_invoice(work.gateway_invoice_id)
    if seen is not None and seen.state is GatewayInvoiceState.PAID:
        async with db.transaction() as tx:
            await _converge(tx, call, work.invoice.customer_id, work.invoice.id, seen)
        return
    wrong = differences(work.invoice, work.pushed, seen, before_pay=True) if seen else ["existence"]
    if wrong:
        await copies.refuse(db, gateway, call, invoice=work.invoice, record=work.pushed, wrong=wrong)
    async with db.transaction() as tx:
        attempt = await _begin_attempt(tx, call, work)
    if attempt is not None:
        await _charge(db, gateway, call, work, attempt)


async def _begin_attempt(tx: Tx, call: Call, work: _Work) -> Attempt | None:
    """Write the attempt as sent, unless another run was first. It is committed before the gateway is called."""
    invoice = await store.lock_invoice(tx, work.invoice.customer_id, work.invoice.id)
    attempts = await _attempts(tx, invoice)
    methods = await store.list_methods(tx, invoice.customer_id, limit=METHODS_MAX)
    now = await customers.business_now(tx, call, invoice.customer_id)
    last = attempts[0] if attempts else None
    step, method = step_of(invoice, work.push, attempts, methods, now, is_over=work.is_over)
    if step is not Step.PAY or method is None:
        return None
    invoice = await invoices.hold_for_payment(tx, invoice)
    if last is not None and last.state is AttemptState.PLANNED:
        attempt = send(replace(last, amount=invoice.outstanding), call.at)
        await store.save_attempt(tx, last, attempt)
        return attempt
    attempt = send(planned(call, now, invoice, last, method_id=method.id, trigger=_trigger(last)), call.at)
    await store.insert_attempt(tx, attempt)
    return attempt


def _trigger(last: Attempt | None) -> Trigger:
    """Say why collection begins an attempt by itself: the invoice is new, the last try was none, or a method is."""
    if last is None:
        return Trigger.BILLING
    return last.trigger if is_lost(last) else Trigger.NEW_METHOD


async def _charge(db: Database, gateway: PaymentGateway, call: Call, work: _Work, attempt: Attempt) -> None:
    """Send an attempt under its key, for the first time or again, and settle it. Raises GatewayUnavailable."""
    assert attempt.method_id is not None, "an attempt of ours has a method"
    async with db.transaction() as tx:
        methods = await store.methods_by_id(tx, [attempt.method_id], scope=attempt.customer_id)
    try:
        method_id = methods[attempt.method_id].gateway_method_id
        outcome = await gateway.pay(work.gateway_invoice_id, method_id, key=attempt.key)
    except GatewayUnavailable:
        await _settle(db, call, attempt, PayOutcome(PayState.UNKNOWN))
        raise
    except GatewayRefused as refusal:
        # The gateway refuses to pay what is paid already, and has no code for it: the invoice itself decides.
        seen = await gateway.fetch_invoice(work.gateway_invoice_id)
        news = news_of(attempt, seen.outcome if seen else None)
        outcome = news or PayOutcome(PayState.DECLINED, classify(refusal.reason))
    await _settle(db, call, attempt, outcome)


async def _recover(db: Database, gateway: PaymentGateway, call: Call, work: _Work) -> None:
    """Find out what became of an attempt: look, else send the same key again, else close it once the key is old."""
    attempt = work.last
    assert attempt is not None, "there is an attempt to recover"
    assert attempt.sent_at is not None, "it was sent"
    seen = await gateway.fetch_invoice(work.gateway_invoice_id)
    trace = seen.outcome if seen else None
    news = news_of(attempt, trace)
    if news is None and not key_expired(attempt.sent_at, call.at):
        await _charge(db, gateway, call, work, attempt)
        return
    await _settle(db, call, attempt, news or trace or lost())


async def _supersede(db: Database, gateway: PaymentGateway, call: Call, work: _Work) -> None:
    """Close an attempt that waits for the customer, after a look whether it was confirmed meanwhile."""
    assert work.last is not None, "there is an attempt that waits"
    seen = await gateway.fetch_invoice(work.gateway_invoice_id)
    news = news_of(work.last, seen.outcome if seen else None)
    if news is not None:
        await _settle(db, call, work.last, news)
        return
    async with db.transaction() as tx:
        await store.lock_invoice(tx, work.invoice.customer_id, work.invoice.id)
        before = await store.find_attempt(tx, work.last.customer_id, work.last.id)
        assert before is not None, "an attempt is never deleted"
        now = await customers.business_now(tx, call, before.customer_id)
        after = supersede(before, call.at, now)
        if after != before:
            await store.save_attempt(tx, before, after)
            await invoices.release_from_payment(tx, call, customer_id=after.customer_id, invoice_id=after.invoice_id)


async def _withdraw(db: Database, _: PaymentGateway, call: Call, work: _Work) -> None:
    """Close an ordered attempt that was never sent: nothing is owed any more, or its method is gone."""
    assert work.last is not None, "there is an ordered attempt"
    async with db.transaction() as tx:
        invoice = await store.lock_invoice(tx, work.invoice.customer_id, work.invoice.id)
        before = await store.find_attempt(tx, work.last.customer_id, work.last.id)
        assert before is not None, "an attempt is never deleted"
        now = await customers.business_now(tx, call, before.customer_id)
        if invoice.state is State.OPEN and before.state is AttemptState.PLANNED:
            gone = Decline(DeclineClass.DATA, METHOD_DETACHED)
            await settle_attempt(tx, call, now, before, PayOutcome(PayState.DECLINED, gone))
        elif before.state is AttemptState.PLANNED:
            await store.save_attempt(tx, before, supersede(before, call.at, now))


_Action = Callable[[Database, PaymentGateway, Call, _Work], Awaitable[None]]
_ACTIONS: dict[Step, _Action] = {
    Step.PUSH: _push,
    Step.CREDIT: _credit,
    Step.CLOSE: _close,
    Step.PAY: _pay,
    Step.RECOVER: _recover,
    Step.WITHDRAW: _withdraw,
    Step.SUPERSEDE: _supersede,
}
_ENDING = frozenset((Step.CREDIT, Step.CLOSE))


async def _converge(tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId, seen: GatewayInvoice) -> None:
    """Apply what a fetched copy proves. Money that no attempt of ours brought gets an attempt of its own.

    A copy that another one followed while it was looked at proves nothing: it stays paid there for ever.
    """
    invoice = await store.lock_invoice(tx, customer_id, invoice_id)
    push = await store.find_push(tx, customer_id, invoice_id)
    if push is None or push.gateway_invoice_id != seen.id:
        return
    now = await customers.business_now(tx, call, customer_id)
    attempts = await _attempts(tx, invoice)
    last = attempts[0] if attempts else None
    if last is not None and last.state in LIVE:
        news = news_of(last, seen.outcome)
        if news is not None:
            await settle_attempt(tx, call, now, last, news)
    elif is_news_of_money(invoice, last, seen):
        found = external(planned(call, now, invoice, last, method_id=None, trigger=Trigger.CUSTOMER), invoice, seen)
        await store.insert_attempt(tx, found)
        await settle_attempt(tx, call, now, found, seen.outcome or _PAID)


async def _settle(db: Database, call: Call, attempt: Attempt, outcome: PayOutcome) -> None:
    async with db.transaction() as tx:
        now = await customers.business_now(tx, call, attempt.customer_id)
        await settle_attempt(tx, call, now, attempt, outcome)


async def _attempts(tx: Tx, invoice: Invoice) -> list[Attempt]:
    """Return the attempts of an invoice, the newest first."""
    return (await store.list_attempts_of(tx, [(invoice.customer_id, invoice.id)]))[invoice.id]
