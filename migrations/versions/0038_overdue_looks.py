"""When unanswered calls to the payment provider are looked at next.

Revision ID: 0038
"""

from migrations import statements

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_LOOKS = """
CREATE TABLE overdue_look (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    looks integer NOT NULL,
    next_at timestamptz NOT NULL,
    CONSTRAINT overdue_look_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT overdue_look_looks_check CHECK (looks >= 1)
);
COMMENT ON TABLE overdue_look IS
    'unanswered calls to the payment provider that were looked at, and when they are again';
COMMENT ON COLUMN overdue_look.id IS 'of the attempt or the refund';
COMMENT ON COLUMN overdue_look.next_at IS 'real time';
"""


def upgrade() -> None:
    """Keep looks."""
    statements.run(_LOOKS)
