"""Settle attempts, and carry their ends to the invoice and the subscriptions on it."""

from datetime import datetime

from domain.contracts import service as contracts
from domain.contracts.desk.service import Desk
from domain.customers import service as customers
from domain.db import Tx
from domain.invoices import service as invoices
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import AttemptId, CustomerId, encode
from domain.payments import store
from domain.payments.attempt import ENDED, Attempt, AttemptState, is_lost, settle
from domain.payments.collection import is_early
from domain.payments.ordering.service import stage
from domain.payments.port import PayOutcome
from domain.payments.unapplied import service as unapplied
from domain.payments.unapplied.payment import takes_money

# What an attempt can have come to that moves subscriptions.
_TOLD = frozenset((AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.ACTION_REQUIRED, AttemptState.RETURNED))


async def settle_attempt(tx: Tx, call: Call, now: datetime, attempt: Attempt, outcome: PayOutcome) -> Attempt:
    """Apply an outcome to an attempt, and its effects: the only place where a payment has any.

    Safe to repeat: an ended attempt absorbs late news. Success marks the invoice paid at business time `now`; where
    that is void, or was paid otherwise, the money is kept unapplied. Either end, and waiting for the customer, stages
    PaymentSettled.
    """
    await store.lock_invoice(tx, attempt.customer_id, attempt.invoice_id)
    before = await store.find_attempt(tx, attempt.customer_id, attempt.id)
    assert before is not None, "an attempt is never deleted"
    after = settle(before, outcome, call.at, now)
    if after == before:
        return before
    await store.save_attempt(tx, before, after)
    if after.state in ENDED:
        await _follow_end(tx, call, now, after)
        await invoices.release_from_payment(tx, call, customer_id=after.customer_id, invoice_id=after.invoice_id)
    elif after.state is AttemptState.ACTION_REQUIRED:
        await _tell(tx, call, now, after, "payment_action_required", text="The payment waits for its customer")
        await stage(tx, call, jobs.PaymentSettled(after.customer_id, after.id), after.customer_id)
    return after


async def follow_up(
    tx: Tx, call: Call, *, customer_id: CustomerId, attempt_id: AttemptId, desk: Desk | None = None
) -> Attempt:
    """Carry what became of an attempt to the subscriptions on its invoice, and stage the mail of a success.

    Waiting for the customer counts as a failure until it ends; failures are told by dunning, which knows what follows.
    A failure at an invoice that was sent and is not due is none.
    An attempt that left no trace is none: the next one is begun.
    """
    attempt = await store.find_attempt(tx, customer_id, attempt_id)
    assert attempt is not None, "a settled attempt is kept"
    if is_lost(attempt):
        await stage(tx, call, jobs.CollectInvoice(customer_id, attempt.invoice_id), customer_id)
    elif attempt.state in _TOLD:
        succeeded = attempt.state is AttemptState.SUCCEEDED
        if succeeded or not await _is_early(tx, call, attempt):
            await contracts.note_payment(tx, call, customer_id, attempt.invoice_id, succeeded=succeeded, desk=desk)
        if succeeded:
            await stage(tx, call, jobs.SendNotice(customer_id, "payment_received", str(attempt_id)), customer_id)
    return attempt


async def _is_early(tx: Tx, call: Call, attempt: Attempt) -> bool:
    invoice = await store.lock_invoice(tx, attempt.customer_id, attempt.invoice_id)
    return is_early(invoice, await customers.business_now(tx, call, attempt.customer_id))


async def _follow_end(tx: Tx, call: Call, now: datetime, attempt: Attempt) -> None:
    succeeded = attempt.state is AttemptState.SUCCEEDED
    if succeeded:
        await _receive(tx, call, now, attempt)
    event_type = "payment_succeeded" if succeeded else "payment_failed"
    await _tell(tx, call, now, attempt, event_type, text="Payment received" if succeeded else "Payment failed")
    await stage(tx, call, jobs.PaymentSettled(attempt.customer_id, attempt.id), attempt.customer_id)


async def _receive(tx: Tx, call: Call, now: datetime, attempt: Attempt) -> None:
    """Pay the invoice with what an attempt has brought; it is real money also where the invoice cannot take it."""
    invoice = await store.lock_invoice(tx, attempt.customer_id, attempt.invoice_id)
    if not takes_money(invoice):
        await unapplied.book(tx, call, now, invoice, attempt)
        return
    about, owner = encode("attempt", attempt.id), attempt.customer_id
    await invoices.mark_paid(
        tx, call, now, customer_id=owner, invoice_id=invoice.id, amount=attempt.amount, about=about
    )


async def _tell(tx: Tx, call: Call, now: datetime, attempt: Attempt, event_type: str, *, text: str) -> None:
    facts = {"invoice_id": encode("invoice", attempt.invoice_id), "attempt_id": encode("attempt", attempt.id)}
    await journal.tell(
        tx,
        call,
        now,
        attempt.customer_id,
        event_type,
        description=text,
        amount=attempt.amount,
        metadata=facts | ({"decline_class": attempt.decline.kind} if attempt.decline else {}),
    )
