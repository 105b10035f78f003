"""The routes of files, described; docs/taxes.md says what is in them."""

from api.rest.describing import Operation, Parameter
from domain.access.roles import Permission

_PDF = "%PDF-1.7 …"
_TEXT = {"type": "string"}

FILES = (
    Operation(
        "GET",
        "/v1/invoices/{id}/pdf",
        "readInvoicePdf",
        "An invoice as a PDF file, as it was issued.",
        "The file; 404 for drafts and statements, and until it is written, moments after the opening.",
        _PDF,
        Permission.INVOICE_READ,
        parameters=(Parameter("id", "path", "The invoice, `inv_…`.", _TEXT, "inv_01m8gtnvtvf3ev7mfxw2tgpb3z"),),
        refusals=(401, 403, 404, 422, 503),
        answers_as="application/pdf",
    ),
    Operation(
        "GET",
        "/v1/credit-notes/{id}/pdf",
        "readCreditNotePdf",
        "A credit note as a PDF file.",
        "The file; 404 until it is written, moments after the credit note was issued.",
        _PDF,
        Permission.INVOICE_READ,
        parameters=(Parameter("id", "path", "The credit note, `cn_…`.", _TEXT, "cn_01m8gtnvtvf3ev7mfxw2tgpb3z"),),
        refusals=(401, 403, 404, 422, 503),
        answers_as="application/pdf",
    ),
    Operation(
        "GET",
        "/documents/{id}",
        "readDocument",
        "A document by a signed link, which GraphQL gives as `invoice.document.url`: no credential is asked for.",
        "The file; 403 where the link was not signed so, or has expired.",
        _PDF,
        parameters=(
            Parameter("id", "path", "The document, `doc_…`.", _TEXT, "doc_01m8gtnvtvf3ev7mfxw2tgpb3z"),
            Parameter("expires", "query", "When the link ends, in seconds since 1970.", _TEXT, "1775823300"),
            Parameter("signature", "query", "64 hexadecimal digits.", _TEXT, "5257a869e7" + "0" * 54),
        ),
        refusals=(403, 404, 422, 503),
        answers_as="application/pdf",
    ),
    Operation(
        "GET",
        "/exports/{id}",
        "readExport",
        "Everything of one customer by a signed link, which GraphQL gives as `customerExports.download.url`: no "
        "credential is asked for.",
        "JSON Lines: first `export`, last `end`, between them one object for each row; 403 where the link was not "
        "signed so, or has expired; 404 once the file is deleted.",
        '{"record":"export","format":1,"customer_id":"cus_01m8gtnvtvf3ev7mfxw2tgpb3z"}',
        parameters=(
            Parameter("id", "path", "The export, `exp_…`.", _TEXT, "exp_01m8gtnvtvf3ev7mfxw2tgpb3z"),
            Parameter("expires", "query", "When the link ends, in seconds since 1970.", _TEXT, "1775823300"),
            Parameter("signature", "query", "64 hexadecimal digits.", _TEXT, "5257a869e7" + "0" * 54),
        ),
        refusals=(403, 404, 422, 503),
        answers_as="application/x-ndjson",
    ),
)
