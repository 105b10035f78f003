"""Journal: outbox jobs, audit entries, billing events, idempotency rows, schedules.

Revision ID: 0001
"""

from migrations import statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_OUTBOX = """
CREATE TABLE outbox_job (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    key text,
    clock_id uuid,
    run_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT outbox_job_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT outbox_job_state_check CHECK (state IN ('pending', 'done', 'failed')),
    CONSTRAINT outbox_job_attempts_check CHECK (attempts >= 0)
);
COMMENT ON COLUMN outbox_job.clock_id IS 'null: due by real time';
COMMENT ON COLUMN outbox_job.run_at IS 'business time of the clock';
COMMENT ON COLUMN outbox_job.retry_at IS 'real time; also the end of the present offer';
CREATE INDEX outbox_job_due_idx ON outbox_job (run_at, retry_at) WHERE state = 'pending';
CREATE UNIQUE INDEX outbox_job_key ON outbox_job (kind, key) WHERE state = 'pending';
CREATE INDEX outbox_job_id_idx ON outbox_job (id);
"""

_AUDIT = """
CREATE TABLE audit_entry (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    call_id uuid NOT NULL,
    principal_kind text NOT NULL,
    principal_id text NOT NULL,
    action text NOT NULL,
    about text NOT NULL,
    facts jsonb NOT NULL,
    digest bytea NOT NULL,
    number bigint,
    chain bytea,
    CONSTRAINT audit_entry_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT audit_entry_number_key UNIQUE (number)
);
COMMENT ON COLUMN audit_entry.number IS 'given by the sealer after commit';
COMMENT ON COLUMN audit_entry.chain IS 'digest of the chain up to this entry';
CREATE INDEX audit_entry_unsealed_idx ON audit_entry (id) WHERE number IS NULL;

CREATE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.number IS NULL AND NEW.number IS NOT NULL
       AND (to_jsonb(OLD) - 'number' - 'chain') = (to_jsonb(NEW) - 'number' - 'chain') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit entries are append-only';
END $$;
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_is_append_only();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_append_only();
"""

_BILLING_EVENT = """
CREATE TABLE billing_event (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    type text NOT NULL,
    amount_minor bigint,
    currency text,
    description text NOT NULL,
    metadata jsonb NOT NULL,
    CONSTRAINT billing_event_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT billing_event_money_check CHECK ((amount_minor IS NULL) = (currency IS NULL))
);
COMMENT ON COLUMN billing_event.at IS 'business time';
"""

_IDEMPOTENCY = """
CREATE TABLE idempotency (
    customer_id uuid NOT NULL,
    principal_id text NOT NULL,
    mutation text NOT NULL,
    key text NOT NULL,
    input_digest bytea NOT NULL,
    outcome jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_pkey PRIMARY KEY (customer_id, principal_id, mutation, key)
);
COMMENT ON COLUMN idempotency.outcome IS 'type and ids, or the problem; never rendered data';
CREATE INDEX idempotency_age_idx ON idempotency (created_at);
"""

_SCHEDULE = """
CREATE TABLE schedule (
    name text NOT NULL,
    every_s integer NOT NULL,
    next_run_at timestamptz NOT NULL,
    CONSTRAINT schedule_pkey PRIMARY KEY (name),
    CONSTRAINT schedule_every_check CHECK (every_s > 0)
);
"""


def upgrade() -> None:
    """Create the journal."""
    for block in (_OUTBOX, _AUDIT, _BILLING_EVENT, _IDEMPOTENCY, _SCHEDULE):
        statements.run(block)
