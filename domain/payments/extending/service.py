"""Give a customer more time: the charge, the reminders and the dunning of an invoice follow its new due date.

What waits for the old one is not moved: it looks once that has come, finds the invoice not due, and waits again.
"""

from datetime import datetime

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.extending import service as extending
from domain.invoices.extending.due_date import DueDateRefused
from domain.invoices.invoice import Invoice, InvoiceNotFound, State
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import InvoiceId
from domain.payments import store
from domain.payments.push import PushState


async def extend_due_date(tx: Tx, call: Call, invoice_id: InvoiceId, due_at: datetime) -> Invoice:
    """Have an open invoice that is not due yet be due later, at most 365 days ahead. For staff; safe to repeat.

    Raises Forbidden, InvoiceNotFound, CustomerErased, DueDateRefused, PaymentUnderWay.
    """
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    found = await invoices.find_invoice(tx, call, invoice_id)
    if found is None:
        raise InvoiceNotFound
    await erasing.hold_present(tx, found.customer_id)
    before = await store.lock_invoice(tx, found.customer_id, invoice_id)
    if before.is_sent and before.state is State.OPEN and await _is_being_copied(tx, before):
        # The gateway is told the terms with the copy: another number of days would be another call under its key.
        fault = "the invoice is on its way to the payment provider; do this again shortly"
        raise DueDateRefused(fault)
    now = await customers.business_now(tx, call, before.customer_id)
    return await extending.extend(tx, call, now, before, due_at)


async def wait_again(tx: Tx, call: Call, job: jobs.CollectWhenDue) -> None:
    """Stage the collection of an invoice once more whose due date was extended meanwhile.

    The caller has marked the job done in the same transaction.
    """
    invoice = await store.lock_invoice(tx, job.customer_id, job.invoice_id)
    clock_id, now = await customers.clock_of(tx, call, job.customer_id)
    if invoice.state is State.OPEN and invoice.due_at is not None and invoice.due_at > now:
        owner = job.customer_id
        await journal.stage(tx, call, job, customer_id=owner, clock_id=clock_id, run_at=invoice.due_at)


async def _is_being_copied(tx: Tx, invoice: Invoice) -> bool:
    push = await store.find_push(tx, invoice.customer_id, invoice.id)
    return push is None or push.state in {PushState.WAITING, PushState.PUSHING}
