"""Render the documents of invoices that were opened, and of credit notes, each once."""

from collections.abc import Sequence
from dataclasses import replace

from domain.customers import service as customers
from domain.customers.profiles import service as profiles
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices import document
from domain.invoices import store as invoice_store
from domain.invoices.crediting import store as credit_notes
from domain.invoices.documents import service as documents
from domain.invoices.documents.content import Credited, Seller, Sold, credit_note_content, invoice_content
from domain.invoices.documents.port import Renderer
from domain.invoices.invoice import Invoice, InvoiceKind, State
from domain.invoices.taxing import service as taxing
from domain.invoices.taxing import store as taxing_store
from domain.kernel.call import Call
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId

FILE_BYTES_MAX = 50_000_000


async def render_invoice(
    db: Database,
    renderer: Renderer,
    call: Call,
    *,
    customer_id: CustomerId,
    invoice_id: InvoiceId,
    merchant: str,
    address: tuple[str, ...] = (),
    pay_to: Sequence[tuple[str, str]] = (),
) -> bool:
    """Write the document of an opened invoice. False where there is nothing to write: it has one, or gets none.

    `pay_to` is where its customer transfers to: printed on it, and kept nowhere but in the sealed file. Pages are made
    outside of any transaction. Safe to repeat and to run twice at once: the first file stays.
    """
    async with db.transaction() as tx:
        loaded = await _load(tx, call, customer_id, invoice_id, Seller(merchant, address))
    if loaded is None:
        return False
    sold = replace(loaded, pay_to=pay_to)
    invoice = sold.invoice
    assert invoice.issued_at is not None, "an opened invoice was issued"
    assert invoice.number is not None, "and has a number"
    file = await renderer.render(invoice_content(sold), created_at=invoice.issued_at)
    assert len(file) <= FILE_BYTES_MAX, "an invoice has a bounded number of lines"
    async with db.transaction() as tx:
        await documents.keep(
            tx,
            call,
            customer_id=customer_id,
            kind=documents.INVOICE,
            about=invoice_id,
            name=invoice.number,
            file=file,
        )
    return True


async def render_credit_note(
    db: Database,
    renderer: Renderer,
    call: Call,
    *,
    customer_id: CustomerId,
    credit_note_id: CreditNoteId,
    merchant: str,
    address: tuple[str, ...] = (),
) -> bool:
    """Write the document of a credit note, as `render_invoice` does. False where it has one already."""
    async with db.transaction() as tx:
        credited = await _load_note(tx, call, customer_id, credit_note_id, Seller(merchant, address))
    if credited is None:
        return False
    note = credited.note
    file = await renderer.render(credit_note_content(credited), created_at=note.issued_at)
    assert len(file) <= FILE_BYTES_MAX, "a credit note has a bounded number of lines"
    async with db.transaction() as tx:
        await documents.keep(
            tx,
            call,
            customer_id=customer_id,
            kind=documents.CREDIT_NOTE,
            about=credit_note_id,
            name=note.number,
            file=file,
        )
    return True


async def _load(tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId, seller: Seller) -> Sold | None:
    """Load what the document says, unless it is there or the invoice has none."""
    invoice = await invoice_store.find_invoice(tx, invoice_id, sight=Sight(customer_id))
    if invoice is None or invoice.state is State.DRAFT or invoice.kind is not InvoiceKind.INVOICE:
        return None
    if await documents.documents_of_invoices(tx, [invoice_id], scope=customer_id):
        return None
    return await _sold(tx, call, invoice, seller)


async def _load_note(
    tx: Tx, call: Call, customer_id: CustomerId, note_id: CreditNoteId, seller: Seller
) -> Credited | None:
    """Load what the document of a credit note says, unless it is there."""
    note = await credit_notes.find_note(tx, note_id, sight=Sight(customer_id))
    if note is None or await documents.documents_of_credit_notes(tx, [note_id], scope=customer_id):
        return None
    lines = (await credit_notes.lines_by_note_ids(tx, [note_id], scope=customer_id))[note_id]
    invoice = await invoice_store.find_invoice(tx, note.invoice_id, sight=Sight(customer_id))
    assert invoice is not None, "a credit note is about an invoice"
    return Credited(await _sold(tx, call, invoice, seller), note, lines)


async def _sold(tx: Tx, call: Call, invoice: Invoice, seller: Seller) -> Sold:
    """Load an invoice with its parties, lines and taxes."""
    customer_id, sight = invoice.customer_id, Sight(invoice.customer_id)
    lines = (await invoice_store.lines_by_invoice_ids(tx, [invoice.id], sight=sight))[invoice.id]
    stated = (await taxing.statements_by_invoice_ids(tx, [invoice.id], scope=customer_id))[invoice.id]
    merchant = await taxing_store.find_merchant(tx, invoice.environment)
    return Sold(
        seller=Seller(seller.name, seller.address, merchant.registrations if merchant else ()),
        customer=await customers.load_customer(tx, call, customer_id),
        profile=await profiles.load_profile(tx, customer_id),
        invoice=invoice,
        lines=document.in_order(lines),
        taxes=taxing.stated_or_none(invoice, stated),
    )
