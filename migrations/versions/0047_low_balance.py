"""The balance of a wallet from which on its customer is warned.

Revision ID: 0047
"""

from migrations import statements

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

_WALLET = """
ALTER TABLE wallet
    ADD COLUMN warn_below_minor bigint,
    ADD COLUMN warned_at timestamptz,
    ADD CONSTRAINT wallet_warn_below_minor_check CHECK (warn_below_minor >= 0),
    ADD CONSTRAINT wallet_warned_at_check CHECK (warned_at IS NULL OR warn_below_minor IS NOT NULL);
COMMENT ON COLUMN wallet.warn_below_minor IS 'the customer is warned once no more is left; null: never';
COMMENT ON COLUMN wallet.warned_at IS 'when it fell so low; null while it is above';
"""


def upgrade() -> None:
    """Add the columns."""
    statements.run(_WALLET)
