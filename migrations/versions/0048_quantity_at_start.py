"""How many units of its fee a scheduled start will sell.

Revision ID: 0048
"""

from migrations import statements

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_QUANTITY = """
ALTER TABLE scheduled_start
    ADD COLUMN quantity integer NOT NULL DEFAULT 1,
    ADD CONSTRAINT scheduled_start_quantity_check CHECK (quantity > 0);
ALTER TABLE scheduled_start ALTER COLUMN quantity DROP DEFAULT;
COMMENT ON COLUMN scheduled_start.quantity IS 'units of the fee';
"""


def upgrade() -> None:
    """Sell one unit by each start that waits already."""
    statements.run(_QUANTITY)
