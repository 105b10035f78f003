"""Alerts about limits, and what customers want to be told.

Revision ID: 0013
"""

from migrations import statements

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ALERT = """
CREATE TABLE alert (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    kind text NOT NULL,
    limit_key text NOT NULL,
    description text NOT NULL,
    policy text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    step integer NOT NULL,
    severity text NOT NULL,
    used numeric(38, 18) NOT NULL,
    amount numeric(38, 18) NOT NULL,
    unit text NOT NULL,
    resets_at timestamptz,
    due_at timestamptz,
    upgrade text,
    wish text NOT NULL,
    raised_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    read_at timestamptz,
    CONSTRAINT alert_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT alert_once UNIQUE (customer_id, subscription_id, kind, limit_key, period_start, amount, step),
    CONSTRAINT alert_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT alert_kind_check CHECK (kind IN ('threshold', 'forecast', 'grace')),
    CONSTRAINT alert_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT alert_wish_check CHECK (wish IN ('wanted', 'superseded', 'unwanted')),
    CONSTRAINT alert_period_check CHECK (period_start < period_end),
    CONSTRAINT alert_step_check CHECK (step >= 0)
);
COMMENT ON COLUMN alert.description IS 'of the limit, as the plan words it';
COMMENT ON COLUMN alert.step IS 'percent of the limit; of a grace the hours left';
COMMENT ON COLUMN alert.amount IS 'the limit';
COMMENT ON COLUMN alert.due_at IS 'business time; the limit is reached, or the grace ends';
COMMENT ON COLUMN alert.upgrade IS 'the key of a larger plan';
COMMENT ON COLUMN alert.wish IS 'whether it is mailed';
COMMENT ON COLUMN alert.raised_at IS 'business time';
COMMENT ON COLUMN alert.created_at IS 'real time';
COMMENT ON COLUMN alert.read_at IS 'real time';
CREATE INDEX alert_id_idx ON alert (id);
"""

_PREFERENCE = """
CREATE TABLE alert_preference (
    customer_id uuid NOT NULL,
    thresholds integer[],
    unsubscribed text[] NOT NULL,
    weekly_digest boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT alert_preference_pkey PRIMARY KEY (customer_id),
    CONSTRAINT alert_preference_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
        ON DELETE RESTRICT
);
COMMENT ON COLUMN alert_preference.thresholds IS 'percentages; null: those of each product';
COMMENT ON COLUMN alert_preference.unsubscribed IS 'kinds of mail that are not wanted';
COMMENT ON COLUMN alert_preference.updated_at IS 'real time';
"""


def upgrade() -> None:
    """Create the tables."""
    statements.run(_ALERT)
    statements.run(_PREFERENCE)
