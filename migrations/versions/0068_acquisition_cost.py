"""What winning a customer cost, as staff enter it by the month.

Revision ID: 0068
"""

from migrations import statements

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

_ACQUISITION_COST = """
CREATE TABLE acquisition_cost (
    month_at timestamptz NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    entered_at timestamptz NOT NULL,
    CONSTRAINT acquisition_cost_pkey PRIMARY KEY (month_at, currency),
    CONSTRAINT acquisition_cost_amount_check CHECK (amount_minor >= 0)
);
COMMENT ON COLUMN acquisition_cost.month_at IS 'where the calendar month begins, in UTC';
COMMENT ON COLUMN acquisition_cost.amount_minor IS 'what winning one customer cost';
"""


def upgrade() -> None:
    """Add the table."""
    statements.run(_ACQUISITION_COST)
