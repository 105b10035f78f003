"""Whether what falls due of a customer at the same instant is on one invoice.

Revision ID: 0041
"""

from migrations import statements

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_CUSTOMER = """
ALTER TABLE customer ADD COLUMN consolidates boolean NOT NULL DEFAULT false;
ALTER TABLE customer ALTER COLUMN consolidates DROP DEFAULT;
COMMENT ON COLUMN customer.consolidates IS 'what falls due together is on one invoice';
"""


def upgrade() -> None:
    """Invoices of before were apart, and stay so unless staff say otherwise."""
    statements.run(_CUSTOMER)
