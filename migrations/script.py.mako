"""${message}.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

from migrations import statements

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    statements.run("")
