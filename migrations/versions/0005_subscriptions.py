"""Subscriptions and segments.

Revision ID: 0005
"""

from migrations import statements

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# There is no gist operator class for uuid in a bare server: a range of one id stands in for equality.
_UUID_RANGE = """
CREATE TYPE uuidrange AS RANGE (SUBTYPE = uuid);
"""

_SUBSCRIPTION = """
CREATE TABLE subscription (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    plan_version_id uuid NOT NULL,
    environment text NOT NULL,
    status text NOT NULL,
    source text NOT NULL,
    gateway_id text,
    anchor_at timestamptz NOT NULL,
    zone text NOT NULL,
    interval text NOT NULL,
    currency text NOT NULL,
    quantity integer NOT NULL,
    started_at timestamptz NOT NULL,
    period_start_at timestamptz NOT NULL,
    period_end_at timestamptz NOT NULL,
    fee_period_start_at timestamptz NOT NULL,
    fee_period_end_at timestamptz NOT NULL,
    cancel_at timestamptz,
    canceled_at timestamptz,
    ended_at timestamptz,
    settles_at timestamptz,
    cancel_reason text,
    cancel_feedback bytea,
    failed_invoice_ids uuid[] NOT NULL,
    epoch bigint NOT NULL,
    version integer NOT NULL,
    CONSTRAINT subscription_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT subscription_customer_id_gateway_id_key UNIQUE (customer_id, gateway_id),
    CONSTRAINT subscription_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT subscription_product_id_fkey FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE RESTRICT,
    CONSTRAINT subscription_plan_version_id_fkey FOREIGN KEY (plan_version_id)
        REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT subscription_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT subscription_status_check CHECK (
        status IN ('incomplete', 'trialing', 'active', 'past_due', 'paused', 'unpaid', 'canceled')),
    CONSTRAINT subscription_source_check CHECK (source IN ('tollgate', 'stripe')),
    CONSTRAINT subscription_gateway_id_check CHECK ((source = 'stripe') = (gateway_id IS NOT NULL)),
    CONSTRAINT subscription_interval_check CHECK (interval IN ('month', 'year')),
    CONSTRAINT subscription_quantity_check CHECK (quantity > 0),
    CONSTRAINT subscription_period_check CHECK (period_start_at < period_end_at),
    CONSTRAINT subscription_fee_period_check CHECK (fee_period_start_at < fee_period_end_at),
    CONSTRAINT subscription_ended_at_check CHECK ((status = 'canceled') = (ended_at IS NOT NULL))
);
COMMENT ON COLUMN subscription.period_start_at IS 'usage period, always one month';
COMMENT ON COLUMN subscription.cancel_at IS 'where it ends or ended';
COMMENT ON COLUMN subscription.canceled_at IS 'when its end was asked for';
COMMENT ON COLUMN subscription.settles_at IS 'when what arrived late is billed for the last time';
COMMENT ON COLUMN subscription.failed_invoice_ids IS 'open invoices whose last attempt failed';
COMMENT ON COLUMN subscription.epoch IS 'raised by every change of a border';
CREATE UNIQUE INDEX subscription_live_key ON subscription (customer_id, product_id)
    WHERE status NOT IN ('incomplete', 'canceled');
CREATE INDEX subscription_due_idx ON subscription (period_end_at)
    WHERE status NOT IN ('incomplete', 'canceled');
CREATE INDEX subscription_settles_at_idx ON subscription (settles_at) WHERE settles_at IS NOT NULL;
CREATE INDEX subscription_id_idx ON subscription (id);
CREATE INDEX subscription_gateway_id_idx ON subscription (gateway_id);
"""

_SEGMENT = """
CREATE TABLE segment (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    plan_version_id uuid NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    period_start_at timestamptz NOT NULL,
    period_end_at timestamptz NOT NULL,
    final boolean NOT NULL,
    CONSTRAINT segment_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT segment_customer_id_subscription_id_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT segment_plan_version_id_fkey FOREIGN KEY (plan_version_id)
        REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT segment_stretch_check CHECK (
        period_start_at <= start_at AND start_at < end_at AND end_at <= period_end_at),
    CONSTRAINT segment_overlap_excl EXCLUDE USING gist (
        uuidrange(subscription_id, subscription_id, '[]') WITH &&, tstzrange(start_at, end_at) WITH &&)
);
COMMENT ON COLUMN segment.period_start_at IS 'the whole usage period it is a stretch of';
CREATE INDEX segment_subscription_id_idx ON segment (subscription_id, start_at);
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    for block in (_UUID_RANGE, _SUBSCRIPTION, _SEGMENT):
        statements.run(block)
