"""Payment attempts of all customers are listed, the last ones first.

Revision ID: 0063
"""

from migrations import statements

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

_INDEX = "CREATE INDEX payment_attempt_id_idx ON payment_attempt (id);"


def upgrade() -> None:
    """Until now they were found through their invoice alone."""
    statements.run(_INDEX)
