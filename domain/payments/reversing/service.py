"""Take back a payment that staff recorded: its invoice is due again, and another copy of it is made at the gateway.

The attempt that stood for it is returned, as one whose bank took the money back: where the invoice is due by now,
dunning follows that as a failure of this instant.
"""

from datetime import datetime

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.invoices.crediting import service as crediting
from domain.invoices.forfeiting import service as forfeiting
from domain.invoices.invoice import Invoice, State
from domain.invoices.reversing import service as reopening
from domain.invoices.service import find_invoice
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import AttemptId, encode
from domain.kernel.values import dataclass
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.attempt import Attempt, give_back
from domain.payments.copies import service as copies
from domain.payments.declines import PAYMENT_REVERSED, Decline, DeclineClass
from domain.payments.ordering.service import stage
from domain.payments.port import PaymentGateway
from domain.payments.receiving import receipt as rules
from domain.payments.receiving import store as receipts
from domain.payments.receiving.receipt import Received, RecordedPaymentNotFound, ReversalReason

_WHY = Decline(DeclineClass.SOFT, PAYMENT_REVERSED)


@dataclass(frozen=True, slots=True)
class Reversed:
    """What was taken back, and its invoice, which is open again."""

    received: Received
    invoice: Invoice


async def find_received(tx: Tx, call: Call, attempt_id: AttemptId) -> Received:
    """Return a recorded payment that the caller may take back. Raises Forbidden, RecordedPaymentNotFound."""
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    found = await receipts.find_received(tx, attempt_id)
    if found is None or await find_invoice(tx, call, found.invoice_id) is None:
        raise RecordedPaymentNotFound
    return found


async def look_first(db: Database, gateway: PaymentGateway, call: Call, attempt_id: AttemptId) -> Received:
    """Return the payment that is to be taken back, once nothing is left to do about its invoice's copy.

    A copy that is open still is closed by it: afterwards another one is made, and only one may ask for money. Raises
    Forbidden, RecordedPaymentNotFound, GatewayUnavailable.
    """
    async with db.transaction() as tx:
        found = await find_received(tx, call, attempt_id)
        invoice = await find_invoice(tx, call, found.invoice_id)
    if invoice is not None and invoice.state is State.PAID:
        await collection.finish_copy(db, gateway, call, customer_id=found.customer_id, invoice_id=found.invoice_id)
    return found


async def reverse(tx: Tx, call: Call, attempt_id: AttemptId, *, reason: ReversalReason) -> Reversed:
    """Take a recorded payment back: the invoice is due again, by its own due date, and dunned once that has passed.

    Of a top-up what is not used is taken back by a credit note. Not repeatable by itself: the caller holds an
    idempotency key. Raises Forbidden, RecordedPaymentNotFound, CustomerErased, PaymentAlreadyReversed,
    PaymentGivenBack, CopyNotClosed, InvoiceStateRefused, InvoiceDisputed, TooLittleToCollect.
    """
    known = await find_received(tx, call, attempt_id)
    await erasing.hold_present(tx, known.customer_id)
    before = await payments.lock_invoice(tx, known.customer_id, known.invoice_id)
    found = await receipts.find_received(tx, attempt_id)
    attempt = await payments.find_attempt(tx, known.customer_id, attempt_id)
    assert found is not None, "a recorded payment is never deleted"
    assert attempt is not None, "nor is its attempt"
    push = await payments.find_push(tx, known.customer_id, known.invoice_id)
    notes = await crediting.notes_by_invoice_ids(tx, [before.id], scope=before.customer_id)
    rules.check_reversible(found, before, push, notes[before.id])
    now = await customers.business_now(tx, call, known.customer_id)
    after = give_back(attempt, _WHY, call.at, now)
    await payments.save_attempt(tx, attempt, after)
    invoice = await _open_again(tx, call, now, before, after)
    undone = rules.undone(found, now, reason)
    await receipts.save_received(tx, undone)
    await copies.retire(tx, call, invoice)
    await _follow(tx, call, now, invoice, after)
    await _note(tx, call, now, undone)
    return Reversed(undone, invoice)


async def _open_again(tx: Tx, call: Call, now: datetime, before: Invoice, attempt: Attempt) -> Invoice:
    """Have the invoice due again, and take back what is not used of what a top-up has bought."""
    about, minor = encode("attempt", attempt.id), attempt.amount.minor
    taken = await forfeiting.withhold(tx, call, now, before, minor=minor, about=about)
    locked = await payments.lock_invoice(tx, before.customer_id, before.id)
    invoice = await reopening.take_back(tx, call, now, locked, attempt.amount, about=about)
    if taken is not None and taken.minor:
        await forfeiting.forfeit(tx, call, now, invoice, minor=taken.minor)
    return await payments.lock_invoice(tx, invoice.customer_id, invoice.id)


async def _follow(tx: Tx, call: Call, now: datetime, invoice: Invoice, attempt: Attempt) -> None:
    """Have dunning follow what is due by now; what is sent has its copy made, and its calendar goes on."""
    owner = invoice.customer_id
    if invoice.due_at is None or invoice.due_at <= now:
        await stage(tx, call, jobs.PaymentSettled(owner, attempt.id), owner)
    if invoice.is_sent:
        await stage(tx, call, jobs.CollectInvoice(owner, invoice.id), owner)
        await stage(tx, call, jobs.FollowSentInvoice(owner, invoice.id, now.isoformat()), owner)


async def _note(tx: Tx, call: Call, now: datetime, undone: Received) -> None:
    """Append the billing event and an audit entry: ids, no reference."""
    about = encode("invoice", undone.invoice_id)
    facts = {"invoice_id": about, "attempt_id": encode("attempt", undone.attempt_id), "reason": str(undone.reversal)}
    text = f"Payment of {undone.amount.major} {undone.amount.currency} taken back"
    await journal.tell(
        tx,
        call,
        now,
        undone.customer_id,
        "payment_reversed",
        description=text,
        amount=undone.amount,
        metadata=facts,
    )
    more = {"amount_minor": undone.amount.minor, "currency": undone.amount.currency, "method": undone.method}
    await journal.audit(tx, call, "reverse_payment", about, customer_id=undone.customer_id, facts=facts | more)
