"""A product that its operator has published is told from a default one, which seeding keeps up to date.

Revision ID: 0059
"""

from migrations import statements

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

_OWN = """
ALTER TABLE product ADD COLUMN own boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN product.own IS 'the operator publishes it';
"""


def upgrade() -> None:
    """Until now only defaults could be published."""
    statements.run(_OWN)
