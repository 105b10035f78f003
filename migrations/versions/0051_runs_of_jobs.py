"""How often a job was begun: one whose workers die is not begun for ever.

Revision ID: 0051
"""

from migrations import statements

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_RUNS = """
ALTER TABLE outbox_job ADD COLUMN runs integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN outbox_job.runs IS 'tries that were begun';
COMMENT ON COLUMN outbox_job.attempts IS 'tries that failed';
"""


def upgrade() -> None:
    """Add the column."""
    statements.run(_RUNS)
