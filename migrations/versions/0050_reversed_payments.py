"""Payments recorded by staff that were taken back.

Revision ID: 0050
"""

from migrations import statements

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

_RECEIVED = """
ALTER TABLE received_payment
    ADD COLUMN reversed_at timestamptz,
    ADD COLUMN reversal text,
    ADD CONSTRAINT received_payment_reversal_check CHECK (reversal IN ('bounced', 'mistake', 'other')),
    ADD CONSTRAINT received_payment_reversed_at_check CHECK ((reversed_at IS NULL) = (reversal IS NULL));
COMMENT ON COLUMN received_payment.reversed_at IS 'business time; when it was taken back';
COMMENT ON COLUMN received_payment.reversal IS 'why it was taken back';
CREATE INDEX received_payment_attempt_idx ON received_payment (attempt_id);
"""


def upgrade() -> None:
    """Add the columns."""
    statements.run(_RECEIVED)
