"""Payment methods that cannot be charged any more, and those whose owners were warned of their expiry.

Revision ID: 0033
"""

from migrations import statements

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_METHOD = """
ALTER TABLE payment_method ADD COLUMN blocked text, ADD COLUMN warned_month integer;
COMMENT ON COLUMN payment_method.blocked IS 'why it cannot be charged any more';
COMMENT ON COLUMN payment_method.warned_month IS 'expiry that its owner was warned of: 12 * year + month';
"""


def upgrade() -> None:
    """Add the columns."""
    statements.run(_METHOD)
