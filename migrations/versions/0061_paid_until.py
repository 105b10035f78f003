"""A subscription whose end is brought forward keeps how far its fee had been billed.

Revision ID: 0061
"""

from migrations import statements

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

_PAID_UNTIL = """
ALTER TABLE subscription ADD COLUMN paid_until timestamptz;
COMMENT ON COLUMN subscription.paid_until IS 'how far a fee was billed when the end was brought forward';
"""


def upgrade() -> None:
    """Leave it empty: what was brought forward before has been billed."""
    statements.run(_PAID_UNTIL)
