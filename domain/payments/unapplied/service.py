"""Book money that no invoice can take, and follow what becomes of it. Each payment is booked once, by its attempt.

What is booked stands as cash against cash not applied to any invoice, as what a customer has transferred does.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices.invoice import Invoice
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import AttemptId, CustomerId, UnappliedPaymentId, encode
from domain.kernel.money import Money
from domain.ledger import account as books
from domain.ledger import service as ledger
from domain.payments.attempt import Attempt
from domain.payments.dispute import Dispute
from domain.payments.ordering.service import stage
from domain.payments.unapplied import payment as rules
from domain.payments.unapplied import store
from domain.payments.unapplied.payment import Cause, UnappliedPayment

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


async def book(tx: Tx, call: Call, now: datetime, invoice: Invoice, attempt: Attempt) -> None:
    """Book what an attempt has brought for an invoice that cannot take it, and have staff told. Safe to repeat.

    The caller holds the invoice.
    """
    new = UnappliedPayment(
        customer_id=attempt.customer_id,
        id=UnappliedPaymentId(call.new_id()),
        environment=invoice.environment,
        invoice_id=invoice.id,
        attempt_id=attempt.id,
        cause=Cause.CLOSED,
        amount=attempt.amount,
        gateway_payment_id=attempt.gateway_payment_id,
        booked_at=now,
        created_at=call.at,
    )
    if not await store.insert_payment(tx, new):
        return
    await ledger.post(
        tx,
        call,
        now,
        customer_id=new.customer_id,
        environment=new.environment,
        reason="payment_unapplied",
        about=encode("attempt", attempt.id),
        lines=books.transferred(new.amount),
    )
    await _tell(tx, call, new)


async def keep_won_back(tx: Tx, call: Call, now: datetime, dispute: Dispute, amount: Money) -> None:
    """Note money that a bank gave back and its invoice does not miss any more, and have staff told. Safe to repeat.

    Its entry is posted with the dispute's; the caller holds the invoice.
    """
    new = UnappliedPayment(
        customer_id=dispute.customer_id,
        id=UnappliedPaymentId(call.new_id()),
        environment=dispute.environment,
        invoice_id=dispute.invoice_id,
        attempt_id=dispute.attempt_id,
        cause=Cause.REINSTATED,
        amount=amount,
        gateway_payment_id=dispute.gateway_payment_id,
        booked_at=now,
        created_at=call.at,
        dispute_id=dispute.id,
    )
    if amount.minor and await store.insert_payment(tx, new):
        await _tell(tx, call, new)


async def withhold(tx: Tx, customer_id: CustomerId, attempt_id: AttemptId, *, minor: int) -> int | None:
    """Take what a bank has taken off the unapplied payment of an attempt; return how much of that was left of it.

    None where the attempt's money went to its invoice: then it is taken off that.
    """
    before = await store.lock_payment_of(tx, customer_id, attempt_id)
    if before is None:
        return None
    after, taken = rules.withheld(before, minor)
    await store.save_payment(tx, before, after)
    return taken


async def release(tx: Tx, customer_id: CustomerId, attempt_id: AttemptId, *, minor: int) -> None:
    """Put back what a bank had taken and gave back; nothing where nothing had been left to take."""
    before = await store.lock_payment_of(tx, customer_id, attempt_id) if minor else None
    if before is not None:
        await store.save_payment(tx, before, rules.released(before, minor))


async def put_back(tx: Tx, customer_id: CustomerId, payment_id: UnappliedPaymentId, *, minor: int) -> None:
    """Note that a refund did not come off, or came back; the caller does it once for a refund."""
    before = await store.lock_payment(tx, customer_id, payment_id)
    await store.save_payment(tx, before, rules.refund_failed(before, minor))


async def list_payments(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId | None = None,
    open_only: bool = False,
    before: UUID | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[UnappliedPayment]:
    """Return the unapplied payments that the caller may see, the newest first, at most PAGE_MAX.

    Raises Forbidden, CustomerNotFound.
    """
    call.need(Permission.PAYMENT_READ)
    if customer_id is not None:
        await customers.load_customer(tx, call, customer_id)
    return await store.list_payments(
        tx,
        sight=Sight(call.scope, call.principal.environment),
        customer_id=customer_id,
        open_only=open_only,
        before=before,
        limit=max(0, min(limit, PAGE_MAX)),
    )


async def load_payment(tx: Tx, customer_id: CustomerId, payment_id: UnappliedPaymentId) -> UnappliedPayment:
    """Return an unapplied payment to a job that names it."""
    found = await store.find_payment(tx, payment_id, sight=Sight(customer_id))
    assert found is not None, "an unapplied payment is never deleted"
    return found


async def _tell(tx: Tx, call: Call, new: UnappliedPayment) -> None:
    about = encode("unapplied_payment", new.id)
    facts = {
        "unapplied_payment_id": about,
        "invoice_id": encode("invoice", new.invoice_id),
        "attempt_id": encode("attempt", new.attempt_id),
    }
    text = f"{new.amount.major} {new.amount.currency} came that no invoice takes"
    await journal.tell(
        tx,
        call,
        new.booked_at,
        new.customer_id,
        "payment_unapplied",
        description=text,
        amount=new.amount,
        metadata=facts,
    )
    more = {"cause": new.cause, "amount_minor": new.amount.minor, "currency": new.amount.currency}
    await journal.audit(tx, call, "book_unapplied_payment", about, customer_id=new.customer_id, facts=facts | more)
    await stage(tx, call, jobs.PaymentUnapplied(new.customer_id, new.id), new.customer_id)
