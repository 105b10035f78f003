"""The terms of subscriptions over time, lines of proration, and what plans prorate by.

Revision ID: 0015
"""

from migrations import statements

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TERM = """
CREATE TABLE subscription_term (
    customer_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    plan_version_id uuid NOT NULL,
    interval text NOT NULL,
    quantity integer NOT NULL,
    anchor_at timestamptz NOT NULL,
    zone text NOT NULL,
    billed boolean NOT NULL,
    pending boolean NOT NULL,
    CONSTRAINT subscription_term_pkey PRIMARY KEY (customer_id, subscription_id, starts_at),
    CONSTRAINT subscription_term_subscription_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT subscription_term_plan_version_id_fkey FOREIGN KEY (plan_version_id)
        REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT subscription_term_interval_check CHECK (interval IN ('month', 'year')),
    CONSTRAINT subscription_term_quantity_check CHECK (quantity > 0)
);
COMMENT ON COLUMN subscription_term.starts_at IS 'it holds until the next one starts';
COMMENT ON COLUMN subscription_term.billed IS 'false: a trial or a pause, which owes no fees';
COMMENT ON COLUMN subscription_term.pending IS 'charged, and in effect once that is paid';
CREATE INDEX subscription_term_subscription_id_idx ON subscription_term (subscription_id, starts_at);
"""

# Until now only the version could change, at a border of segments.
_FROM_SEGMENTS = """
INSERT INTO subscription_term
SELECT own.customer_id, own.id, starts_at, moved.plan_version_id, own.interval, own.quantity, own.anchor_at, own.zone,
       true, false
FROM subscription own
JOIN (
    SELECT customer_id, subscription_id, start_at AS starts_at, plan_version_id,
           lag(plan_version_id) OVER (PARTITION BY subscription_id ORDER BY start_at) AS before_id
    FROM segment
) moved ON moved.customer_id = own.customer_id AND moved.subscription_id = own.id
WHERE own.source = 'tollgate' AND moved.plan_version_id IS DISTINCT FROM moved.before_id;
"""

_PRORATION = """
ALTER TABLE invoice_line DROP CONSTRAINT invoice_line_kind_check;
ALTER TABLE invoice_line ADD CONSTRAINT invoice_line_kind_check
    CHECK (kind IN ('fee', 'proration', 'usage', 'cap'));
"""


_BASIS = """
ALTER TABLE plan_version ADD COLUMN proration text NOT NULL DEFAULT 'second';
ALTER TABLE plan_version ALTER COLUMN proration DROP DEFAULT;
ALTER TABLE plan_version ADD CONSTRAINT plan_version_proration_check CHECK (proration IN ('second', 'day'));
"""


def upgrade() -> None:
    """Create the table, fill it from the segments, allow the new kind of line, and add the setting."""
    for block in (_TERM, _FROM_SEGMENTS, _PRORATION, _BASIS):
        statements.run(block)
