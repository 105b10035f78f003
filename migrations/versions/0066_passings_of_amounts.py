"""The hours of grace of a soft limit run once for each of its amounts.

Revision ID: 0066
"""

from migrations import statements

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

# Processes of before name no amount and look for none: what they note holds for any, as it did until now.
_AMOUNT = """
ALTER TABLE limit_passing ADD COLUMN amount numeric(38, 18) NOT NULL DEFAULT -1;
COMMENT ON COLUMN limit_passing.amount IS 'of the limit; -1 of a row that was written without: it holds for any';
ALTER TABLE limit_passing
    DROP CONSTRAINT limit_passing_pkey,
    ADD CONSTRAINT limit_passing_pkey PRIMARY KEY (customer_id, subscription_id, key, period_start_at, amount);
"""


def upgrade() -> None:
    """Let what was noted before hold until its usage period is over."""
    statements.run(_AMOUNT)
