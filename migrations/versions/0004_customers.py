"""Customers, their data keys, test clocks.

Revision ID: 0004
"""

from migrations import statements

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEST_CLOCK = """
CREATE TABLE test_clock (
    id uuid NOT NULL,
    name text NOT NULL,
    now_at timestamptz NOT NULL,
    target_at timestamptz,
    state text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT test_clock_pkey PRIMARY KEY (id),
    CONSTRAINT test_clock_state_check CHECK (state IN ('ready', 'advancing', 'failed')),
    CONSTRAINT test_clock_target_check CHECK ((state = 'ready') = (target_at IS NULL)),
    CONSTRAINT test_clock_forward_check CHECK (target_at >= now_at),
    CONSTRAINT test_clock_reason_check CHECK ((state = 'failed') = (reason IS NOT NULL))
);
COMMENT ON COLUMN test_clock.now_at IS 'business time of the customers bound to it';
COMMENT ON COLUMN test_clock.created_at IS 'real time';
CREATE INDEX test_clock_advancing_idx ON test_clock (id) WHERE state = 'advancing';

CREATE FUNCTION test_clock_never_goes_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.now_at < OLD.now_at THEN
        RAISE EXCEPTION 'a test clock never goes back';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER test_clock_forward BEFORE UPDATE ON test_clock
    FOR EACH ROW EXECUTE FUNCTION test_clock_never_goes_back();
"""

_CUSTOMER = """
CREATE TABLE customer (
    customer_id uuid NOT NULL,
    environment text NOT NULL,
    external_id text,
    name bytea NOT NULL,
    email bytea NOT NULL,
    email_hash bytea NOT NULL,
    zone text NOT NULL,
    locale text NOT NULL,
    country text,
    clock_id uuid,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT customer_pkey PRIMARY KEY (customer_id),
    CONSTRAINT customer_environment_external_id_key UNIQUE (environment, external_id),
    CONSTRAINT customer_clock_id_fkey FOREIGN KEY (clock_id) REFERENCES test_clock (id) ON DELETE RESTRICT,
    CONSTRAINT customer_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT customer_clock_check CHECK (clock_id IS NULL OR environment = 'test')
);
COMMENT ON COLUMN customer.external_id IS 'the merchant''s own id';
COMMENT ON COLUMN customer.email_hash IS 'keyed hash of the address in folded case';
COMMENT ON COLUMN customer.created_at IS 'real time';
CREATE INDEX customer_email_hash_idx ON customer (email_hash);
CREATE INDEX customer_clock_id_idx ON customer (clock_id) WHERE clock_id IS NOT NULL;
"""

_DATA_KEY = """
CREATE TABLE data_key (
    customer_id uuid NOT NULL,
    wrapped bytea NOT NULL,
    CONSTRAINT data_key_pkey PRIMARY KEY (customer_id),
    CONSTRAINT data_key_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
        ON DELETE RESTRICT
);
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    for block in (_TEST_CLOCK, _CUSTOMER, _DATA_KEY):
        statements.run(block)
