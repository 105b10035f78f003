"""Customers whose invoices are sent to them, and not charged.

Revision ID: 0044
"""

from migrations import statements

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_COLLECTION = """
ALTER TABLE customer ADD COLUMN collection text;
UPDATE customer SET collection = 'charge_automatically';
ALTER TABLE customer
    ALTER COLUMN collection SET NOT NULL,
    ADD CONSTRAINT customer_collection_check CHECK (collection IN ('charge_automatically', 'send_invoice'));
COMMENT ON COLUMN customer.collection IS 'how its next invoices are paid';
ALTER TABLE invoice ADD COLUMN collection text;
UPDATE invoice SET collection = 'charge_automatically';
ALTER TABLE invoice
    ALTER COLUMN collection SET NOT NULL,
    ADD CONSTRAINT invoice_collection_check CHECK (collection IN ('charge_automatically', 'send_invoice'));
COMMENT ON COLUMN invoice.collection IS 'how it is paid; set when it is opened';
"""


def upgrade() -> None:
    """Note how each invoice is paid."""
    statements.run(_COLLECTION)
