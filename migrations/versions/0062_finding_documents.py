"""Invoices and credit notes of all customers are found by their number and by when they were issued.

Revision ID: 0062
"""

from migrations import statements

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

_INDEXES = """
CREATE INDEX invoice_number_idx ON invoice (number) WHERE number IS NOT NULL;
CREATE INDEX invoice_issued_idx ON invoice (environment, issued_at) WHERE issued_at IS NOT NULL;
CREATE INDEX credit_note_number_idx ON credit_note (number);
CREATE INDEX credit_note_issued_idx ON credit_note (environment, issued_at);
"""


def upgrade() -> None:
    """Until now they were found through their customer alone."""
    statements.run(_INDEXES)
