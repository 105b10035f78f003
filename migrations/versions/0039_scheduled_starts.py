"""Starts of subscriptions that lie ahead.

Revision ID: 0039
"""

from migrations import statements

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_START = """
CREATE TABLE scheduled_start (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    environment text NOT NULL,
    state text NOT NULL,
    plan_version_id uuid NOT NULL,
    interval text NOT NULL,
    currency text NOT NULL,
    starts_at timestamptz NOT NULL,
    trial_days integer,
    bill_day integer,
    calendar boolean NOT NULL,
    promotion_code text,
    asked_at timestamptz NOT NULL,
    subscription_id uuid,
    refusal text,
    CONSTRAINT scheduled_start_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT scheduled_start_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT scheduled_start_product_id_fkey FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE RESTRICT,
    CONSTRAINT scheduled_start_plan_version_id_fkey FOREIGN KEY (plan_version_id)
        REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT scheduled_start_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT scheduled_start_state_check CHECK (state IN ('scheduled', 'started', 'canceled', 'refused')),
    CONSTRAINT scheduled_start_interval_check CHECK (interval IN ('month', 'year')),
    CONSTRAINT scheduled_start_started_check CHECK ((state = 'started') = (subscription_id IS NOT NULL)),
    CONSTRAINT scheduled_start_refused_check CHECK ((state = 'refused') = (refusal IS NOT NULL))
);
COMMENT ON COLUMN scheduled_start.starts_at IS 'business time, as all instants here';
COMMENT ON COLUMN scheduled_start.trial_days IS 'null: the plan''s own trial';
COMMENT ON COLUMN scheduled_start.subscription_id IS 'what came of it';
COMMENT ON COLUMN scheduled_start.refusal IS 'the code of why nothing came of it';
CREATE UNIQUE INDEX scheduled_start_waiting_key ON scheduled_start (customer_id, product_id) WHERE state = 'scheduled';
CREATE INDEX scheduled_start_id_idx ON scheduled_start (id);
"""


def upgrade() -> None:
    """Keep starts that lie ahead."""
    statements.run(_START)
