"""Record money that came another way: the invoice is paid by it, and the gateway's copy is closed as paid so.

The recorded payment is an attempt of its own, without a method, that succeeded as it was written: dunning, mails,
events and the ledger follow it as they follow any other.
"""

from datetime import datetime

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, InvoiceNotFound
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import InvoiceId, encode
from domain.kernel.money import Money
from domain.payments import store
from domain.payments.attempt import Attempt, AttemptState, Trigger, supersede
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import Standing, planned, stage
from domain.payments.port import PaymentGateway, PayOutcome, PayState
from domain.payments.push import unclosed
from domain.payments.receiving import store as receipts
from domain.payments.receiving.receipt import ReceiptMethod, Received, check_owed, check_reference
from domain.payments.service import settle_from_gateway
from domain.payments.settling.service import settle_attempt


async def look_first(db: Database, gateway: PaymentGateway, call: Call, invoice_id: InvoiceId) -> Invoice:
    """Return an invoice of which the caller may record a payment, after a look at one that waits for its customer.

    What was confirmed meanwhile is settled by it, so that it is not paid twice. Raises Forbidden, InvoiceNotFound,
    GatewayUnavailable.
    """
    async with db.transaction() as tx:
        invoice = await _find(tx, call, invoice_id)
        last = (await orders.look(tx, invoice.customer_id, invoice.id)).last
        push = await store.find_push(tx, invoice.customer_id, invoice.id)
    waits = last is not None and last.state is AttemptState.ACTION_REQUIRED
    if waits and push is not None and push.gateway_invoice_id is not None:
        await settle_from_gateway(db, gateway, call, push.gateway_invoice_id)
    return invoice


async def record_payment(
    tx: Tx,
    call: Call,
    *,
    invoice_id: InvoiceId,
    amount: Money,
    method: ReceiptMethod,
    reference: str,
    received_at: datetime,
) -> Received:
    """Record that all that is owed of an open or written-off invoice came another way, and mark it paid.

    `amount` is what came: a part is refused, as the gateway knows no part payment of an invoice. `received_at` is
    business time. Dunning ends as on any success, and a job closes the gateway's copy. Not repeatable by itself: the
    caller holds an idempotency key. Raises Forbidden, InvoiceNotFound, CustomerErased, InvoiceStateRefused,
    PaymentUnderWay, PaymentDiffers, ReceiptMalformed.
    """
    wanted = await _find(tx, call, invoice_id)
    await erasing.hold_present(tx, wanted.customer_id)
    now = await customers.business_now(tx, call, wanted.customer_id)
    said = check_reference(reference, received_at, now)
    standing = await orders.look(tx, wanted.customer_id, invoice_id)
    check_owed(standing.invoice, standing.last, amount)
    attempt, invoice = await begin(tx, call, now, standing), standing.invoice
    new = Received(
        customer_id=invoice.customer_id,
        attempt_id=attempt.id,
        invoice_id=invoice.id,
        amount=attempt.amount,
        method=method,
        reference=said,
        received_at=received_at,
        recorded_at=now,
        created_at=call.at,
    )
    await receipts.insert_received(tx, new)
    await end(tx, call, now, attempt)
    await _note(tx, call, new)
    return new


async def begin(tx: Tx, call: Call, now: datetime, standing: Standing) -> Attempt:
    """Write the attempt that stands for money which is here, for all that is owed. What waits for it gives way."""
    await _withdraw(tx, call, now, standing)
    attempt = planned(call, now, standing.invoice, standing.last, method_id=None, trigger=Trigger.STAFF)
    await store.insert_attempt(tx, attempt)
    return attempt


async def end(tx: Tx, call: Call, now: datetime, attempt: Attempt) -> None:
    """Settle it, and have the copy closed, also one that was written off there."""
    await settle_attempt(tx, call, now, attempt, PayOutcome(PayState.PAID))
    push = await store.find_push(tx, attempt.customer_id, attempt.invoice_id)
    if push is not None and unclosed(push) != push:
        await store.save_push(tx, push, unclosed(push))
    await stage(tx, call, jobs.CollectInvoice(attempt.customer_id, attempt.invoice_id), attempt.customer_id)


async def _find(tx: Tx, call: Call, invoice_id: InvoiceId) -> Invoice:
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    found = await invoices.find_invoice(tx, call, invoice_id)
    if found is None:
        raise InvoiceNotFound
    return found


async def _withdraw(tx: Tx, call: Call, now: datetime, standing: Standing) -> None:
    """Close an attempt that was never sent, or waits for its customer: the money has come."""
    before = standing.under_way
    if before is not None:
        await store.save_attempt(tx, before, supersede(before, call.at, now))
        await invoices.release_from_payment(tx, call, customer_id=before.customer_id, invoice_id=before.invoice_id)


async def _note(tx: Tx, call: Call, new: Received) -> None:
    """Keep an audit entry: ids, no reference."""
    facts = {
        "attempt_id": encode("attempt", new.attempt_id),
        "amount_minor": new.amount.minor,
        "currency": new.amount.currency,
        "method": new.method,
    }
    about = encode("invoice", new.invoice_id)
    await journal.audit(tx, call, "record_payment", about, customer_id=new.customer_id, facts=facts)
