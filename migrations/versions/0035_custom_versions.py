"""Plan versions that belong to one customer.

Revision ID: 0035
"""

from migrations import statements

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_VERSION = """
ALTER TABLE plan_version ADD COLUMN customer_id uuid;
COMMENT ON COLUMN plan_version.customer_id IS 'whose alone it is; null: everybody''s';
"""


def upgrade() -> None:
    """Say whose a version is."""
    statements.run(_VERSION)
