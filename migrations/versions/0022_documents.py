"""Documents of invoices, sealed whole.

Revision ID: 0022
"""

from migrations import statements

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_DOCUMENT = """
CREATE TABLE document (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    about uuid NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    bytes integer NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT document_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT document_once UNIQUE (customer_id, kind, about),
    CONSTRAINT document_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
        ON DELETE RESTRICT,
    CONSTRAINT document_kind_check CHECK (kind IN ('invoice', 'credit_note')),
    CONSTRAINT document_digest_check CHECK (bytes > 0 AND octet_length(digest) = 32)
);
COMMENT ON COLUMN document.about IS 'the invoice, or the credit note';
COMMENT ON COLUMN document.name IS 'of the file: the number of what it is about';
COMMENT ON COLUMN document.digest IS 'SHA-256 of the file';
COMMENT ON COLUMN document.bytes IS 'of the file';
COMMENT ON COLUMN document.sealed IS 'the file, encrypted whole';
COMMENT ON COLUMN document.created_at IS 'real time';
CREATE INDEX document_id_idx ON document (id);
CREATE INDEX document_about_idx ON document (about);
-- What is encrypted cannot be compressed.
ALTER TABLE document ALTER COLUMN sealed SET STORAGE EXTERNAL;
"""


def upgrade() -> None:
    """Create the table."""
    statements.run(_DOCUMENT)
