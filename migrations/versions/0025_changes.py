"""Changes of subscriptions that were asked for.

Revision ID: 0025
"""

from migrations import statements

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_CHANGE = """
CREATE TABLE subscription_change (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    state text NOT NULL,
    direction text NOT NULL,
    plan_version_id uuid NOT NULL,
    interval text NOT NULL,
    quantity integer NOT NULL,
    asked_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    invoice_id uuid,
    CONSTRAINT subscription_change_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT subscription_change_subscription_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT subscription_change_plan_version_id_fkey FOREIGN KEY (plan_version_id)
        REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT subscription_change_state_check CHECK (
        state IN ('scheduled', 'pending', 'applied', 'replaced', 'canceled', 'lapsed', 'refused')),
    CONSTRAINT subscription_change_direction_check CHECK (direction IN ('upgrade', 'downgrade')),
    CONSTRAINT subscription_change_interval_check CHECK (interval IN ('month', 'year')),
    CONSTRAINT subscription_change_quantity_check CHECK (quantity > 0),
    CONSTRAINT subscription_change_pending_check CHECK (
        state <> 'pending' OR (expires_at IS NOT NULL AND invoice_id IS NOT NULL))
);
COMMENT ON COLUMN subscription_change.asked_at IS 'business time, as all instants here';
COMMENT ON COLUMN subscription_change.expires_at IS 'when a pending one lapses';
COMMENT ON COLUMN subscription_change.invoice_id IS 'what a pending one waits for';
CREATE UNIQUE INDEX subscription_change_waiting_key ON subscription_change (customer_id, subscription_id, state)
    WHERE state IN ('scheduled', 'pending');
"""


def upgrade() -> None:
    """Create the table."""
    statements.run(_CHANGE)
