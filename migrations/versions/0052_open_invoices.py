"""An index of open invoices, for the look at those that nobody follows.

Revision ID: 0052
"""

from migrations import statements

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    statements.run("CREATE INDEX invoice_open_idx ON invoice (customer_id, id) WHERE state = 'open';")
