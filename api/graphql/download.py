"""Links to documents."""

from datetime import datetime

import strawberry

from api.graphql.context import Context
from api.graphql.permissions import guarded_type
from domain.access.roles import Permission
from domain.invoices.documents import link as links
from domain.invoices.documents.store import Document


@guarded_type(Permission.INVOICE_READ, "An invoice as a file, as it was issued: later payments are not on it.")
class InvoiceDocument:
    """A PDF file."""

    url: str = strawberry.field(
        description="Whoever has it can read the file until `expiresAt`, without any credential. A path on this "
        "server, unless TOLLGATE_PUBLIC_URL says where it is reached."
    )
    expires_at: datetime = strawberry.field(description="15 minutes from now; ask again for another link.")
    name: str = strawberry.field(description="Of the file.")
    sha256: str = strawberry.field(description="Of the file, in hexadecimal: it never changes.")


@guarded_type(Permission.INVOICE_READ, "A credit note as a file, as it was issued.")
class CreditNoteDocument:
    """A PDF file."""

    url: str = strawberry.field(
        description="Whoever has it can read the file until `expiresAt`, without any credential. A path on this "
        "server, unless TOLLGATE_PUBLIC_URL says where it is reached."
    )
    expires_at: datetime = strawberry.field(description="15 minutes from now; ask again for another link.")
    name: str = strawberry.field(description="Of the file.")
    sha256: str = strawberry.field(description="Of the file, in hexadecimal: it never changes.")


def document_of(context: Context, value: Document) -> InvoiceDocument:
    """Sign a link to an invoice from now on."""
    url, expires_at = _signed(context, value)
    return InvoiceDocument(url=url, expires_at=expires_at, name=f"{value.name}.pdf", sha256=value.digest.hex())


def note_document_of(context: Context, value: Document) -> CreditNoteDocument:
    """Sign a link to a credit note from now on."""
    url, expires_at = _signed(context, value)
    return CreditNoteDocument(url=url, expires_at=expires_at, name=f"{value.name}.pdf", sha256=value.digest.hex())


def _signed(context: Context, value: Document) -> tuple[str, datetime]:
    runtime = context.runtime
    link = links.sign(runtime.link_keys[0], value.id, runtime.now())
    return f"{runtime.settings.public_url.rstrip('/')}{link.path}", link.expires_at
