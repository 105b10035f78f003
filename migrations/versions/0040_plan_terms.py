"""What a plan version says of ends and of when its invoices are due.

Revision ID: 0040
"""

from migrations import statements

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_VERSION = """
ALTER TABLE plan_version ADD COLUMN cancel_credit text NOT NULL DEFAULT 'none';
ALTER TABLE plan_version ALTER COLUMN cancel_credit DROP DEFAULT;
ALTER TABLE plan_version ADD COLUMN net_days integer;
ALTER TABLE plan_version ADD CONSTRAINT plan_version_cancel_credit_check CHECK (cancel_credit IN ('none', 'prorate'));
ALTER TABLE plan_version ADD CONSTRAINT plan_version_net_days_check CHECK (net_days BETWEEN 0 AND 365);
COMMENT ON COLUMN plan_version.net_days IS 'days from issue to due; null: at once';
"""


def upgrade() -> None:
    """Versions of before give no credit and are due at once, as they were."""
    statements.run(_VERSION)
