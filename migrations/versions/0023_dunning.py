"""Dunning: policies and who follows them, cases, the subscriptions on them, and their steps.

Revision ID: 0023
"""

from migrations import statements

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_POLICY = """
CREATE TABLE dunning_policy (
    id uuid NOT NULL,
    name text NOT NULL,
    number integer NOT NULL,
    state text NOT NULL,
    rules jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    activated_at timestamptz,
    CONSTRAINT dunning_policy_pkey PRIMARY KEY (id),
    CONSTRAINT dunning_policy_name_number_key UNIQUE (name, number),
    CONSTRAINT dunning_policy_state_check CHECK (state IN ('draft', 'active', 'retired')),
    CONSTRAINT dunning_policy_activated_check CHECK ((state = 'draft') = (activated_at IS NULL))
);
COMMENT ON COLUMN dunning_policy.number IS 'counts the versions of a name';
COMMENT ON COLUMN dunning_policy.rules IS 'never changed once active';
COMMENT ON COLUMN dunning_policy.created_at IS 'real time';
COMMENT ON COLUMN dunning_policy.activated_at IS 'real time';
CREATE UNIQUE INDEX dunning_policy_active_key ON dunning_policy (name) WHERE state = 'active';
CREATE FUNCTION refuse_changed_dunning_policy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.rules IS DISTINCT FROM NEW.rules OR OLD.name <> NEW.name OR OLD.number <> NEW.number
    THEN
        RAISE EXCEPTION 'a version of a dunning policy is never changed';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER dunning_policy_unchanged BEFORE UPDATE OR DELETE ON dunning_policy
    FOR EACH ROW WHEN (OLD.state <> 'draft') EXECUTE FUNCTION refuse_changed_dunning_policy();
INSERT INTO dunning_policy (id, name, number, state, rules, created_at, activated_at) VALUES (
    '00000000-0000-7000-8000-000000000001', 'default', 1, 'active',
    '{"retry_days": [2, 5, 7], "grace_days": 7, "debit_retries_max": 2, "local_hour": null, "after_last": "unpaid",
      "last_notice_days": 2,
      "mails": ["access_restricted", "ended", "last_notice", "payment_failed", "retry_failed"],
      "caps": [{"brand": null, "hours": 24, "tries_max": 1, "automatic": true},
               {"brand": null, "hours": 720, "tries_max": 8, "automatic": false},
               {"brand": "visa", "hours": 720, "tries_max": 20, "automatic": false},
               {"brand": "mastercard", "hours": 24, "tries_max": 10, "automatic": false},
               {"brand": "mastercard", "hours": 720, "tries_max": 35, "automatic": false}]}',
    '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
CREATE TABLE dunning_assignment (
    customer_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT dunning_assignment_pkey PRIMARY KEY (customer_id, plan_id)
);
COMMENT ON COLUMN dunning_assignment.customer_id IS 'nobody''s id where it is a plan''s';
COMMENT ON COLUMN dunning_assignment.plan_id IS 'all zero where it is a customer''s';
COMMENT ON COLUMN dunning_assignment.name IS 'the policy whose active version new cases follow';
COMMENT ON COLUMN dunning_assignment.created_at IS 'real time';
"""

_CASE = """
CREATE TABLE dunning_case (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    environment text NOT NULL,
    clock_id uuid,
    policy_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL,
    first_failed_at timestamptz NOT NULL,
    counted integer NOT NULL,
    skipped integer NOT NULL,
    next_attempt_at timestamptz,
    waits_until timestamptz,
    notice_at timestamptz,
    charging_since timestamptz,
    paused_at timestamptz,
    closed_at timestamptz,
    due_at timestamptz,
    noted_number integer NOT NULL,
    noted_ended boolean NOT NULL,
    recovered_by text,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT dunning_case_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT dunning_case_customer_id_invoice_id_key UNIQUE (customer_id, invoice_id),
    CONSTRAINT dunning_case_customer_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT dunning_case_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES dunning_policy (id) ON DELETE RESTRICT,
    CONSTRAINT dunning_case_state_check
        CHECK (state IN ('open', 'recovered', 'given_up', 'dropped', 'written_off')),
    CONSTRAINT dunning_case_closed_check CHECK ((state = 'open') = (closed_at IS NULL)),
    CONSTRAINT dunning_case_planned_check CHECK (next_attempt_at IS NULL OR waits_until IS NULL),
    CONSTRAINT dunning_case_due_check CHECK (due_at IS NULL OR state = 'open')
);
COMMENT ON COLUMN dunning_case.clock_id IS 'null: due by real time';
COMMENT ON COLUMN dunning_case.first_failed_at IS 'business time, as all but created_at';
COMMENT ON COLUMN dunning_case.counted IS 'failures that use up retries';
COMMENT ON COLUMN dunning_case.skipped IS 'days of the calendar that passed without a retry';
COMMENT ON COLUMN dunning_case.notice_at IS 'when the last notice is mailed';
COMMENT ON COLUMN dunning_case.charging_since IS 'an attempt is under way, and both clocks stand';
COMMENT ON COLUMN dunning_case.due_at IS 'when something happens by time; null: nothing does';
COMMENT ON COLUMN dunning_case.noted_number IS 'number of the newest attempt that was followed';
COMMENT ON COLUMN dunning_case.noted_ended IS 'whether it had ended';
COMMENT ON COLUMN dunning_case.recovered_by IS 'who started the attempt that was paid';
COMMENT ON COLUMN dunning_case.created_at IS 'real time';
CREATE INDEX dunning_case_due_idx ON dunning_case (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX dunning_case_owed_idx ON dunning_case (customer_id, invoice_id) WHERE state IN ('open', 'given_up');
CREATE INDEX dunning_case_first_failed_at_idx ON dunning_case (environment, first_failed_at);
CREATE INDEX dunning_case_id_idx ON dunning_case (id);
CREATE TABLE dunning_holding (
    customer_id uuid NOT NULL,
    case_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    policy_id uuid NOT NULL,
    grace_ends_at timestamptz NOT NULL,
    CONSTRAINT dunning_holding_pkey PRIMARY KEY (customer_id, case_id, subscription_id),
    CONSTRAINT dunning_holding_policy_id_fkey FOREIGN KEY (policy_id)
        REFERENCES dunning_policy (id) ON DELETE RESTRICT,
    CONSTRAINT dunning_holding_customer_id_case_id_fkey FOREIGN KEY (customer_id, case_id)
        REFERENCES dunning_case (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT dunning_holding_customer_id_subscription_id_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT
);
COMMENT ON TABLE dunning_holding IS
    'a subscription with a line on the invoice of a case, under its own policy of access';
COMMENT ON COLUMN dunning_holding.grace_ends_at IS 'business time; access is restricted from then on';
CREATE TABLE dunning_step (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    case_id uuid NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    facts jsonb NOT NULL,
    CONSTRAINT dunning_step_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT dunning_step_customer_id_fkey FOREIGN KEY (customer_id, case_id)
        REFERENCES dunning_case (customer_id, id) ON DELETE RESTRICT
);
COMMENT ON COLUMN dunning_step.at IS 'business time';
CREATE INDEX dunning_step_case_id_idx ON dunning_step (case_id, id);
"""


def upgrade() -> None:
    """Create the tables, and the default policy."""
    statements.run(_POLICY)
    statements.run(_CASE)
