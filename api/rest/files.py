"""Files of documents: by right, for whoever may read the invoice, or by a signed link, for whoever has it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import bearer
from api.context import Serving
from domain.access.roles import Permission
from domain.invoices.documents import service as documents
from domain.invoices.documents.store import Document
from domain.kernel.ids import CreditNoteId, DocumentId, InvoiceId, decode


async def get_invoice_pdf(request: Request) -> Response:
    """Answer with the PDF of an invoice. Nobody keeps it: the credential may be revoked."""
    serving: Serving = request.app.state.serving
    credential = bearer(request.headers.get("authorization"))
    call = serving.runtime.call(await serving.authenticator.authenticate(credential, serving.runtime.now()))
    call.need(Permission.INVOICE_READ)
    invoice_id = InvoiceId(decode("invoice", request.path_params["id"]))
    async with serving.runtime.db.transaction() as tx:
        return _answer(*await documents.file_of_invoice(tx, call, invoice_id))


async def get_credit_note_pdf(request: Request) -> Response:
    """Answer with the PDF of a credit note, as of an invoice."""
    serving: Serving = request.app.state.serving
    credential = bearer(request.headers.get("authorization"))
    call = serving.runtime.call(await serving.authenticator.authenticate(credential, serving.runtime.now()))
    call.need(Permission.INVOICE_READ)
    note_id = CreditNoteId(decode("credit_note", request.path_params["id"]))
    async with serving.runtime.db.transaction() as tx:
        return _answer(*await documents.file_of_credit_note(tx, call, note_id))


async def get_document(request: Request) -> Response:
    """Answer with the PDF that a link was signed for, to whoever has the link, until it expires."""
    runtime = request.app.state.runtime
    document_id = DocumentId(decode("document", request.path_params["id"]))
    query = request.query_params
    async with runtime.db.transaction() as tx:
        found = await documents.file_by_link(
            tx,
            runtime.link_keys,
            runtime.now(),
            document_id,
            expires=query.get("expires", ""),
            signature=query.get("signature", ""),
        )
    return _answer(*found)


def _answer(document: Document, file: bytes) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{document.name}.pdf"',
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(file, headers=headers, media_type="application/pdf")


FILES = (
    Route("/v1/invoices/{id}/pdf", get_invoice_pdf, methods=["GET"]),
    Route("/v1/credit-notes/{id}/pdf", get_credit_note_pdf, methods=["GET"]),
    Route("/documents/{id}", get_document, methods=["GET"]),
)
