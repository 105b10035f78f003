"""Outgoing webhooks: numbers of billing events, endpoints with their secrets, lanes, replays and deliveries.

Revision ID: 0029
"""

from migrations import statements

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_NUMBERS = """
ALTER TABLE billing_event ADD COLUMN written bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE billing_event ADD COLUMN number bigint;
ALTER TABLE billing_event ADD COLUMN sequence bigint;
ALTER TABLE billing_event ADD CONSTRAINT billing_event_number_key UNIQUE (number);
ALTER TABLE billing_event ADD CONSTRAINT billing_event_customer_id_sequence_key UNIQUE (customer_id, sequence);
ALTER TABLE billing_event ADD CONSTRAINT billing_event_sequence_check CHECK ((number IS NULL) = (sequence IS NULL));
CREATE INDEX billing_event_unnumbered_idx ON billing_event (written) WHERE number IS NULL;
CREATE INDEX billing_event_customer_id_number_idx ON billing_event (customer_id, number);
COMMENT ON COLUMN billing_event.written IS 'order within a transaction';
COMMENT ON COLUMN billing_event.number IS 'its place among all, given by the sealer after commit';
COMMENT ON COLUMN billing_event.sequence IS 'its place among its customer''s, without gaps';
"""

_ENDPOINTS = """
CREATE TABLE webhook_endpoint (
    id uuid NOT NULL,
    environment text NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    events jsonb NOT NULL,
    schema_version text NOT NULL,
    state text NOT NULL,
    disabled_by text,
    disabled_at timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT webhook_endpoint_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoint_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT webhook_endpoint_state_check CHECK (state IN ('enabled', 'disabled')),
    CONSTRAINT webhook_endpoint_disabled_check CHECK (
        (state = 'disabled') = (disabled_by IS NOT NULL) AND (disabled_by IS NULL) = (disabled_at IS NULL))
);
COMMENT ON COLUMN webhook_endpoint.events IS 'types, groups such as invoice.*, or *';
COMMENT ON COLUMN webhook_endpoint.created_at IS 'real time, as all instants here';
CREATE TABLE webhook_secret (
    endpoint_id uuid NOT NULL,
    id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT webhook_secret_pkey PRIMARY KEY (endpoint_id, id),
    CONSTRAINT webhook_secret_endpoint_id_fkey FOREIGN KEY (endpoint_id)
        REFERENCES webhook_endpoint (id) ON DELETE RESTRICT
);
COMMENT ON COLUMN webhook_secret.expires_at IS 'null: the present one; two sign while they overlap';
CREATE UNIQUE INDEX webhook_secret_present_key ON webhook_secret (endpoint_id) WHERE expires_at IS NULL;
CREATE TABLE webhook_replay (
    endpoint_id uuid NOT NULL,
    id uuid NOT NULL,
    first_number bigint NOT NULL,
    last_number bigint NOT NULL,
    customer_id uuid,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    CONSTRAINT webhook_replay_pkey PRIMARY KEY (endpoint_id, id),
    CONSTRAINT webhook_replay_endpoint_id_fkey FOREIGN KEY (endpoint_id)
        REFERENCES webhook_endpoint (id) ON DELETE RESTRICT,
    CONSTRAINT webhook_replay_range_check CHECK (first_number <= last_number)
);
COMMENT ON COLUMN webhook_replay.customer_id IS 'null: every customer''s';
"""

_LANES = """
CREATE TABLE webhook_lane (
    customer_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    replay_id uuid NOT NULL,
    done bigint NOT NULL,
    wanted bigint NOT NULL,
    next_at timestamptz,
    attempts integer NOT NULL,
    failing_since timestamptz,
    held_at timestamptz,
    leased_until timestamptz,
    lease uuid,
    CONSTRAINT webhook_lane_pkey PRIMARY KEY (customer_id, endpoint_id, replay_id),
    CONSTRAINT webhook_lane_endpoint_id_fkey FOREIGN KEY (endpoint_id)
        REFERENCES webhook_endpoint (id) ON DELETE RESTRICT,
    CONSTRAINT webhook_lane_range_check CHECK (done <= wanted),
    CONSTRAINT webhook_lane_attempts_check CHECK (attempts >= 0),
    CONSTRAINT webhook_lane_held_check CHECK (held_at IS NULL OR next_at IS NULL),
    CONSTRAINT webhook_lane_leased_check CHECK ((leased_until IS NULL) = (lease IS NULL))
);
COMMENT ON COLUMN webhook_lane.replay_id IS 'all zero for the lane that follows what happens';
COMMENT ON COLUMN webhook_lane.done IS 'number of the last event that is done';
COMMENT ON COLUMN webhook_lane.wanted IS 'number of the last event that is to be sent';
COMMENT ON COLUMN webhook_lane.next_at IS 'null: nothing waits, or it is held for staff';
CREATE INDEX webhook_lane_due_idx ON webhook_lane (endpoint_id, next_at) WHERE next_at IS NOT NULL;
CREATE TABLE webhook_delivery (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    replay_id uuid NOT NULL,
    type text NOT NULL,
    number bigint,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL,
    status integer,
    latency_ms integer NOT NULL,
    excerpt bytea NOT NULL,
    CONSTRAINT webhook_delivery_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT webhook_delivery_endpoint_id_fkey FOREIGN KEY (endpoint_id)
        REFERENCES webhook_endpoint (id) ON DELETE RESTRICT,
    CONSTRAINT webhook_delivery_outcome_check
        CHECK (outcome IN ('delivered', 'refused', 'timed_out', 'unreachable', 'target_refused')),
    CONSTRAINT webhook_delivery_latency_check CHECK (latency_ms >= 0)
);
COMMENT ON TABLE webhook_delivery IS 'one try to hand an event to an endpoint';
COMMENT ON COLUMN webhook_delivery.number IS 'null for one that tries the endpoint and is about no customer';
COMMENT ON COLUMN webhook_delivery.excerpt IS 'the beginning of the answer, sealed: what it holds is not ours';
CREATE INDEX webhook_delivery_endpoint_idx ON webhook_delivery (endpoint_id, id);
CREATE INDEX webhook_delivery_at_idx ON webhook_delivery (at);
"""

_STAFF = """
CREATE TABLE staff_alert (
    id uuid NOT NULL,
    kind text NOT NULL,
    about text NOT NULL,
    environment text,
    facts jsonb NOT NULL,
    raised_at timestamptz NOT NULL,
    read_at timestamptz,
    mailed_at timestamptz,
    CONSTRAINT staff_alert_pkey PRIMARY KEY (id),
    CONSTRAINT staff_alert_environment_check CHECK (environment IN ('live', 'test'))
);
COMMENT ON COLUMN staff_alert.about IS 'the id of the row that it tells of';
COMMENT ON COLUMN staff_alert.environment IS 'null: it concerns both';
COMMENT ON COLUMN staff_alert.raised_at IS 'real time';
CREATE UNIQUE INDEX staff_alert_unread_key ON staff_alert (kind, about) WHERE read_at IS NULL;
"""


def upgrade() -> None:
    """Make numbers of events, what sends them, and what tells staff."""
    for block in (_NUMBERS, _ENDPOINTS, _LANES, _STAFF):
        statements.run(block)
