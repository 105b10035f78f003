"""Mails, and events that have left quarantine, are deleted when their time is over.

Revision ID: 0058
"""

from migrations import statements

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

_FOUND = """
CREATE INDEX mail_created_at_idx ON mail (created_at);
CREATE INDEX quarantined_event_resolved_idx ON quarantined_event (resolved_at) WHERE resolved_at IS NOT NULL;
"""


def upgrade() -> None:
    """Find them by their age."""
    statements.run(_FOUND)
