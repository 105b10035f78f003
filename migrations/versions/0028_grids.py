"""Subscriptions go over to other grids: bill days that move, zones that change.

Revision ID: 0028
"""

from migrations import statements

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_SUBSCRIPTION = """
ALTER TABLE subscription
    ADD COLUMN moves_at timestamptz,
    ADD COLUMN moves_to timestamptz,
    ADD COLUMN moves_asked_at timestamptz,
    ADD CONSTRAINT subscription_moves_check CHECK (num_nulls(moves_at, moves_to, moves_asked_at) IN (0, 3));
COMMENT ON COLUMN subscription.moves_at IS 'where its bill day moves';
COMMENT ON COLUMN subscription.moves_to IS 'the anchor of the grid that it moves to';
"""

_TERM = """
ALTER TABLE subscription_term ADD COLUMN known_at timestamptz;
COMMENT ON COLUMN subscription_term.known_at IS 'when its start was known, where that was before';
"""

_SEGMENT = """
ALTER TABLE segment ADD COLUMN zone text;
COMMENT ON COLUMN segment.zone IS 'of its hours and days; null: the customer''s';
UPDATE segment g SET zone = s.zone FROM subscription s
    WHERE s.customer_id = g.customer_id AND s.id = g.subscription_id AND s.source = 'tollgate';
"""


def upgrade() -> None:
    """Add what says where a grid ends and another begins."""
    for block in (_SUBSCRIPTION, _TERM, _SEGMENT):
        statements.run(block)
