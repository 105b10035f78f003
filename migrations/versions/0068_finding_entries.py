"""Ledger entries of all customers are listed, payments are found by when they ended, and plans can be archived.

Revision ID: 0068
"""

from migrations import statements

revision = "0068"
down_revision = "0064"
branch_labels = None
depends_on = None

_INDEXES = """
CREATE INDEX ledger_entry_id_idx ON ledger_entry (environment, id);
CREATE INDEX payment_attempt_ended_idx ON payment_attempt (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX subscription_version_idx ON subscription (plan_version_id, id);
"""
# A process of before goes on selling an archived plan until it ends.
_ARCHIVED = """
ALTER TABLE plan ADD COLUMN archived_at timestamptz;
COMMENT ON COLUMN plan.archived_at IS 'real time; since then nobody takes it';
"""


def upgrade() -> None:
    """Until now a page of entries sorted all of them, and payments of a stretch of time were looked for among all."""
    statements.run(_INDEXES)
    statements.run(_ARCHIVED)
