"""Comparisons with the payment provider, and what they found.

Revision ID: 0036
"""

from migrations import statements

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_RUN = """
CREATE TABLE reconciliation_run (
    id uuid NOT NULL,
    environment text NOT NULL,
    trigger text NOT NULL,
    started_at timestamptz NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    stage text NOT NULL,
    after text,
    compared bigint NOT NULL,
    ended_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT reconciliation_run_pkey PRIMARY KEY (id),
    CONSTRAINT reconciliation_run_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT reconciliation_run_trigger_check CHECK (trigger IN ('schedule', 'staff', 'command')),
    CONSTRAINT reconciliation_run_window_check CHECK (window_start < window_end)
);
COMMENT ON COLUMN reconciliation_run.started_at IS 'real time, as all instants here';
COMMENT ON COLUMN reconciliation_run.after IS 'the last id of the stage that was compared';
CREATE UNIQUE INDEX reconciliation_run_running_key ON reconciliation_run (environment) WHERE ended_at IS NULL;
"""

_FINDING = """
CREATE TABLE drift_finding (
    id uuid NOT NULL,
    environment text NOT NULL,
    kind text NOT NULL,
    about text NOT NULL,
    customer_id uuid,
    ours text NOT NULL,
    theirs text NOT NULL,
    outcome text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    closed_at timestamptz,
    note text,
    CONSTRAINT drift_finding_pkey PRIMARY KEY (id),
    CONSTRAINT drift_finding_run_id_fkey FOREIGN KEY (run_id) REFERENCES reconciliation_run (id) ON DELETE RESTRICT,
    CONSTRAINT drift_finding_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT drift_finding_outcome_check CHECK (outcome IN ('open', 'healed', 'gone', 'closed')),
    CONSTRAINT drift_finding_closed_check CHECK ((outcome = 'open') = (closed_at IS NULL))
);
COMMENT ON COLUMN drift_finding.about IS 'the gateway''s id of the thing';
COMMENT ON COLUMN drift_finding.first_seen_at IS 'real time, as all instants here';
CREATE UNIQUE INDEX drift_finding_open_key ON drift_finding (environment, kind, about) WHERE outcome = 'open';
CREATE INDEX drift_finding_run_id_idx ON drift_finding (run_id);
"""

_PAYMENTS = """
CREATE INDEX payment_attempt_gateway_payment_id_idx ON payment_attempt (gateway_payment_id);
CREATE INDEX gateway_invoice_invoice_id_idx ON gateway_invoice (invoice_id);
"""


def upgrade() -> None:
    """Create the tables."""
    for block in (_RUN, _FINDING, _PAYMENTS):
        statements.run(block)
