"""A use of a coupon may be below zero: more went back to it than was taken.

Revision ID: 0020
"""

from migrations import statements

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_USE = """
ALTER TABLE coupon_use DROP CONSTRAINT coupon_use_amount_check;
ALTER TABLE coupon_use ADD CONSTRAINT coupon_use_amount_check CHECK (amount_minor <> 0);
"""


def upgrade() -> None:
    """Replace the check."""
    statements.run(_USE)
