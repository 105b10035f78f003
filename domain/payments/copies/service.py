"""Make the gateway's copy of an opened invoice. What is half done is finished; what differs is refused."""

import dataclasses
from collections.abc import Sequence

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.payments import push as copies
from domain.payments import store
from domain.payments.copies import store as past
from domain.payments.methods.service import ensure_gateway_customer
from domain.payments.ordering.service import stage
from domain.payments.pages import service as pages
from domain.payments.port import GatewayInvoice, GatewayInvoiceState, PaymentGateway, PushedInvoice
from domain.payments.push import GatewayCopyDiffers, Push, PushState
from domain.payments.transferring import service as transferring

INVOICE_SENT = "invoice_sent"


async def begin(tx: Tx, call: Call, invoice: Invoice, before: Push | None) -> Push:
    """Write that a copy is begun, with the age of its keys, before the gateway is called."""
    if before is None:
        new = Push(invoice.customer_id, invoice.id, 1, PushState.PUSHING, None, call.at)
        await store.insert_push(tx, new)
        return new
    after = copies.begin(before, call.at)
    if after != before:
        await store.save_push(tx, before, after)
    return await store.find_push(tx, invoice.customer_id, invoice.id) or after


async def ask_for_method(tx: Tx, call: Call, invoice: Invoice, before: Push | None) -> bool:
    """Have the customer of a due invoice asked for a method; False where its copy has to be made first.

    Only then a mail can say where to pay. The caller holds the invoice: a method that is attached meanwhile has the
    invoice collected again. Safe to repeat: a case is opened once.
    """
    if invoice.top_up_id is not None:
        # It is void as soon as it lapses, and nobody may be paying a copy of it then: there is none.
        await _wait(tx, call, invoice)
        return True
    if before is None or before.state is not PushState.PUSHED:
        return False
    await stage(tx, call, jobs.PaymentMethodMissing(invoice.customer_id, invoice.id), invoice.customer_id)
    return True


async def _wait(tx: Tx, call: Call, invoice: Invoice) -> None:
    """Tell once that the open invoice of a top-up has nothing to be charged to."""
    if not await store.insert_push(tx, Push(invoice.customer_id, invoice.id, 1, PushState.WAITING, None, call.at)):
        return
    await journal.tell(
        tx,
        call,
        await customers.business_now(tx, call, invoice.customer_id),
        invoice.customer_id,
        "payment_method_missing",
        description="There is no payment method to collect the invoice from",
        amount=invoice.outstanding,
        metadata={"invoice_id": encode("invoice", invoice.id)},
    )


async def retire(tx: Tx, call: Call, invoice: Invoice) -> None:
    """Let a paid copy stand for what it was, and have another one made: the invoice is asked for again.

    The caller holds the invoice, which is open again already. Without a copy nothing happens.
    """
    before = await store.find_push(tx, invoice.customer_id, invoice.id)
    if before is None:
        return
    if before.gateway_invoice_id is not None:
        await past.insert_past(tx, before, before.gateway_invoice_id, at=call.at)
    saved = await store.save_push(tx, before, copies.begin_again(before, invoice, call.at))
    assert saved, "a paid copy is not written beside its invoice"


async def push(
    db: Database, gateway: PaymentGateway, call: Call, *, customer: Customer, invoice: Invoice, begun: Push
) -> GatewayInvoice | None:
    """Make the copy, or finish one under way, and open it once its sums are ours; return it as it then is.

    The draft's id is committed before it has lines, so an unknown draft is always empty. Raises GatewayCopyDiffers,
    GatewayRefused, GatewayUnavailable.
    """
    gateway_customer_id = await ensure_gateway_customer(db, gateway, call, customer)
    async with db.transaction() as tx:
        lines = await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=invoice.customer_id)
    wanted = copies.pushed_invoice(invoice, lines[invoice.id], gateway_customer_id, settled_minor=begun.settled_minor)
    record, seen = await _resume(db, gateway, call, begun, gateway_customer_id)
    record = await _create(db, gateway, record, wanted)
    copy_id = record.gateway_invoice_id
    if copy_id is None:
        return None  # Another run has closed it meanwhile: what was made stays an empty draft, which charges nothing.
    if seen is None or seen.state is GatewayInvoiceState.DRAFT:
        for number, batch in enumerate(copies.batches(wanted.lines)):
            await gateway.add_lines(copy_id, batch, key=copies.key(wanted.environment, record, f"lines:{number}"))
        seen = await gateway.fetch_invoice(copy_id)
    wrong = copies.differences(invoice, record, seen) if seen else ["existence"]
    if wrong:
        await refuse(db, gateway, call, invoice=invoice, record=record, wrong=wrong)
    if seen and seen.state is GatewayInvoiceState.DRAFT:
        seen = await gateway.finalise_invoice(copy_id, key=copies.key(wanted.environment, record, "finalise"))
    if invoice.is_sent:
        # Its mail names the account; the whole of it is shown where it is asked for.
        await transferring.remember(db, gateway, customer, gateway_customer_id, invoice.currency)
    async with db.transaction() as tx:
        page = (
            await pages.seal_page(tx, invoice.customer_id, invoice.id, seen.hosted_url)
            if seen and seen.hosted_url
            else None
        )
        await store.save_push(tx, record, dataclasses.replace(record, state=PushState.PUSHED, sealed_page=page))
        if invoice.is_sent:
            # Only now can a mail say where to pay. Staged again after a crash, it is sent once all the same.
            notice = jobs.SendNotice(invoice.customer_id, INVOICE_SENT, str(invoice.id))
            await stage(tx, call, notice, invoice.customer_id)
    return seen


async def refuse(
    db: Database, gateway: PaymentGateway, call: Call, *, invoice: Invoice, record: Push, wrong: Sequence[str]
) -> None:
    """Delete a draft that is not our invoice, tell the operator, and raise GatewayCopyDiffers."""
    if record.state is PushState.PUSHING and record.gateway_invoice_id is not None:
        await gateway.delete_draft(record.gateway_invoice_id)
        await _save(db, record, copies.begin_anew(record, call.at))
    fields = ", ".join(wrong)
    facts = {"fields": fields, "gateway_invoice_id": record.gateway_invoice_id}
    async with db.transaction() as tx:
        about = encode("invoice", invoice.id)
        await journal.audit(tx, call, "gateway_copy_differs", about, customer_id=invoice.customer_id, facts=facts)
    raise GatewayCopyDiffers(fields)


async def _create(db: Database, gateway: PaymentGateway, record: Push, wanted: PushedInvoice) -> Push:
    if record.gateway_invoice_id is not None:
        return record
    made = await gateway.create_invoice(wanted, key=copies.key(wanted.environment, record, "create"))
    return await _save(db, record, dataclasses.replace(record, gateway_invoice_id=made))


async def _resume(
    db: Database, gateway: PaymentGateway, call: Call, record: Push, gateway_customer_id: str
) -> tuple[Push, GatewayInvoice | None]:
    """Return how far an earlier run came. A draft whose keys are too old to be repeated is deleted and begun anew."""
    is_stale = copies.is_stale(record, call.at)
    seen = await gateway.fetch_invoice(record.gateway_invoice_id) if record.gateway_invoice_id else None
    if seen is None and record.gateway_invoice_id is None and is_stale:
        seen = await gateway.find_draft(gateway_customer_id, record.invoice_id)
    if seen is not None and is_stale and seen.state is GatewayInvoiceState.DRAFT:
        await gateway.delete_draft(seen.id)
        seen = None
    if seen is None and (is_stale or record.gateway_invoice_id is not None):
        record = await _save(db, record, copies.begin_anew(record, call.at))
    return record, seen


async def _save(db: Database, before: Push, after: Push) -> Push:
    """Write the record, or return what another run has written: both send the same keys and get the same copy."""
    async with db.transaction() as tx:
        await store.save_push(tx, before, after)
        found = await store.find_push(tx, before.customer_id, before.invoice_id)
    assert found is not None, "the record is never deleted"
    return found
