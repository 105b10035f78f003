"""Find documents, and read their files by link or by right."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import store as invoice_store
from domain.invoices.crediting import store as credit_notes
from domain.invoices.documents import link as links
from domain.invoices.documents import store
from domain.invoices.documents.store import Document
from domain.invoices.invoice import InvoiceNotFound
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CreditNoteId, CustomerId, DocumentId, InvoiceId, encode

INVOICE = "invoice"
CREDIT_NOTE = "credit_note"
LOOKUP_MAX = 1_000


class DocumentNotFound(DomainError):
    """There is no such document. That of an invoice is written within moments of its opening."""

    code = "document_not_found"
    kind = Kind.NOT_FOUND


async def documents_of_invoices(
    tx: Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None
) -> dict[InvoiceId, Document]:
    """Return the documents that exist of at most LOOKUP_MAX invoices in the scope: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    found = await store.documents_about(tx, INVOICE, ids, scope=scope)
    return {InvoiceId(about): document for about, document in found.items()}


async def file_of_invoice(tx: Tx, call: Call, invoice_id: InvoiceId) -> tuple[Document, bytes]:
    """Return the document of an invoice that the caller may see, with its file.

    Raises Forbidden, InvoiceNotFound, and DocumentNotFound for a draft or a statement, and until it is written.
    """
    call.need(Permission.INVOICE_READ)
    sight = Sight(call.scope, call.principal.environment)
    if await invoice_store.find_invoice(tx, invoice_id, sight=sight) is None:
        raise InvoiceNotFound
    found = await store.documents_about(tx, INVOICE, [invoice_id], scope=call.scope)
    if invoice_id not in found:
        raise DocumentNotFound
    return await _file(tx, found[invoice_id].id)


async def documents_of_credit_notes(
    tx: Tx, ids: Collection[CreditNoteId], *, scope: CustomerId | None
) -> dict[CreditNoteId, Document]:
    """Return the documents that exist of at most LOOKUP_MAX credit notes in the scope: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    found = await store.documents_about(tx, CREDIT_NOTE, ids, scope=scope)
    return {CreditNoteId(about): document for about, document in found.items()}


async def file_of_credit_note(tx: Tx, call: Call, note_id: CreditNoteId) -> tuple[Document, bytes]:
    """Return the document of a credit note that the caller may see, with its file.

    Raises Forbidden, and DocumentNotFound also where there is no such credit note.
    """
    call.need(Permission.INVOICE_READ)
    sight = Sight(call.scope, call.principal.environment)
    if await credit_notes.find_note(tx, note_id, sight=sight) is None:
        raise DocumentNotFound
    found = await store.documents_about(tx, CREDIT_NOTE, [note_id], scope=call.scope)
    if note_id not in found:
        raise DocumentNotFound
    return await _file(tx, found[note_id].id)


async def restricted_file(tx: Tx, call: Call, invoice_id: InvoiceId) -> tuple[Document, bytes]:
    """Return the document of an invoice of an erased customer, while the law wants it kept. Only for staff; audited.

    Raises Forbidden, and DocumentNotFound also where its customer is not erased.
    """
    call.need(Permission.PRIVACY_EXPORT)
    if call.scope is not None:
        raise Forbidden(Permission.PRIVACY_EXPORT)
    about = (await store.documents_about(tx, INVOICE, [invoice_id], scope=None)).get(invoice_id)
    found = await store.find_file(tx, about.id, is_restricted=True) if about is not None else None
    if about is None or found is None:
        raise DocumentNotFound
    named = encode("invoice", invoice_id)
    await journal.audit(tx, call, "read_restricted_document", named, customer_id=about.customer_id)
    return found


async def file_by_link(
    tx: Tx, keys: Sequence[bytes], at: datetime, document_id: DocumentId, *, expires: str, signature: str
) -> tuple[Document, bytes]:
    """Return the document that a link was signed for, with its file. Nothing is looked up before the link is checked.

    Raises LinkRefused, DocumentNotFound.
    """
    links.check(keys, document_id, expires, signature, at)
    return await _file(tx, document_id)


async def keep(tx: Tx, call: Call, *, customer_id: CustomerId, kind: str, about: UUID, name: str, file: bytes) -> None:
    """Keep a file under its digest. The first one stays: run twice, nothing changes."""
    new = Document(
        customer_id=customer_id,
        id=DocumentId(call.new_id()),
        kind=kind,
        about=about,
        name=name,
        digest=hashlib.sha256(file).digest(),
        created_at=call.at,
    )
    await store.insert_document(tx, await customers.data_key(tx, customer_id), new, file)


async def _file(tx: Tx, document_id: DocumentId) -> tuple[Document, bytes]:
    found = await store.find_file(tx, document_id)
    if found is None:
        raise DocumentNotFound
    document, file = found
    assert hashlib.sha256(file).digest() == document.digest, "a file is what was rendered"
    return document, file
