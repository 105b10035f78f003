"""Take credit notes off the gateway's copy, and end the copy of what is not to be collected any more.

Each call looks at the copy first, so a lost reply is answered by the next look: what has happened there is not done
again, whatever the age of its key.
"""

import dataclasses

from domain.customers import service as customers
from domain.db import Database
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice, State
from domain.kernel.call import Call
from domain.payments import push as copies
from domain.payments import store
from domain.payments.methods.service import ensure_gateway_customer
from domain.payments.port import GatewayInvoice, GatewayInvoiceState, PaymentGateway, PushedCredit
from domain.payments.push import Push

_CREDITABLE = frozenset((GatewayInvoiceState.OPEN, GatewayInvoiceState.UNCOLLECTIBLE))


async def credit(db: Database, gateway: PaymentGateway, *, invoice: Invoice, record: Push) -> None:
    """Take off an open copy what our credit notes took off the invoice, note by note; then write that it was done.

    A copy that is closed there owes nothing any more: nothing is taken off it. Raises GatewayRefused,
    GatewayUnavailable, GatewayListTooLong.
    """
    copy_id = record.gateway_invoice_id
    assert copy_id is not None, "a pushed copy has an id"
    async with db.transaction() as tx:
        found = await crediting.notes_by_invoice_ids(tx, [invoice.id], scope=invoice.customer_id)
    notes = copies.notes_since(record, found[invoice.id])
    seen = await gateway.fetch_invoice(copy_id)
    if seen is not None and seen.state in _CREDITABLE:
        done = await gateway.list_credits(copy_id)
        for note in notes:
            if note.id not in done:
                wanted = PushedCredit(note.id, note.offset_minor)
                await gateway.credit_invoice(copy_id, wanted, key=copies.credit_key(note.environment, note.id))
    taken = record.credited_before_minor + sum(note.offset_minor for note in notes)
    await _save(db, record, dataclasses.replace(record, credited_minor=taken))


async def close(
    db: Database, gateway: PaymentGateway, call: Call, *, invoice: Invoice, record: Push
) -> GatewayInvoice | None:
    """End the copy of an invoice that is not to be collected any more: deleted, void, written off, or paid another way.

    Returns the copy as it was before. The caller writes that it is closed, in one transaction with what follows from
    money that it shows. Raises GatewayRefused, GatewayUnavailable.
    """
    seen = await _find(db, gateway, call, invoice, record)
    if seen is not None and seen.state is GatewayInvoiceState.DRAFT:
        await gateway.delete_draft(seen.id)
    elif seen is not None and seen.state in _CREDITABLE:
        await _end(gateway, invoice, record, seen)
    return seen


async def _end(gateway: PaymentGateway, invoice: Invoice, record: Push, seen: GatewayInvoice) -> None:
    """Bring an open or written-off copy to where our invoice stands."""
    if invoice.state is State.PAID:
        await gateway.mark_paid_outside(seen.id, key=copies.key(invoice.environment, record, "paid_outside"))
    elif invoice.state is State.VOID:
        await gateway.void_invoice(seen.id, key=copies.key(invoice.environment, record, "void"))
    elif seen.state is GatewayInvoiceState.OPEN:
        await gateway.write_off_invoice(seen.id, key=copies.key(invoice.environment, record, "write_off"))


async def _find(
    db: Database, gateway: PaymentGateway, call: Call, invoice: Invoice, record: Push
) -> GatewayInvoice | None:
    """Return the copy as it is; where its id was lost, a draft that names our invoice."""
    if record.gateway_invoice_id is not None:
        return await gateway.fetch_invoice(record.gateway_invoice_id)
    async with db.transaction() as tx:
        customer = await customers.load_customer(tx, call, invoice.customer_id)
    owner = await ensure_gateway_customer(db, gateway, call, customer)
    return await gateway.find_draft(owner, invoice.id)


async def _save(db: Database, before: Push, after: Push) -> None:
    """Write the record unless another run was first: its next look finds what is left to do."""
    async with db.transaction() as tx:
        await store.save_push(tx, before, after)
