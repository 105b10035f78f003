"""The deletion of a customer at the gateway has a stored idempotency key, as every other call has.

Revision ID: 0060
"""

from migrations import statements

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

_KEY = """
ALTER TABLE gateway_customer ADD COLUMN deletion_key text;
COMMENT ON COLUMN gateway_customer.deletion_key IS 'idempotency key of its deletion; null: none was ordered';
"""


def upgrade() -> None:
    """Add the column; what was deleted before has none, and is not deleted again."""
    statements.run(_KEY)
