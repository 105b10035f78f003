"""What becomes of mail: delivered, bounced, complained about; what mail servers report, and addresses that are stopped.

Revision ID: 0032
"""

from migrations import statements

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_MAIL = """
ALTER TABLE mail ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE mail ALTER COLUMN attempts DROP DEFAULT;
ALTER TABLE mail ADD COLUMN last_error text;
ALTER TABLE mail ADD COLUMN settled_at timestamptz;
ALTER TABLE mail DROP CONSTRAINT mail_state_check;
ALTER TABLE mail DROP CONSTRAINT mail_sent_check;
ALTER TABLE mail ADD CONSTRAINT mail_state_check CHECK (
    state IN ('queued', 'sent', 'delivered', 'bounced', 'complained', 'failed', 'withheld', 'suppressed'));
ALTER TABLE mail ADD CONSTRAINT mail_sent_check
    CHECK ((state IN ('sent', 'delivered', 'bounced', 'complained')) = (sent_at IS NOT NULL));
ALTER TABLE mail ADD CONSTRAINT mail_attempts_check CHECK (attempts >= 0);
COMMENT ON COLUMN mail.attempts IS 'how often the mail server was asked';
COMMENT ON COLUMN mail.last_error IS 'why the last try failed, without the address';
COMMENT ON COLUMN mail.settled_at IS 'real time; when the newest report about it was made';
CREATE UNIQUE INDEX mail_message_id_key ON mail (message_id);
"""

_REPORTS = """
CREATE TABLE mail_report (
    id text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT mail_report_pkey PRIMARY KEY (id),
    CONSTRAINT mail_report_kind_check
        CHECK (kind IN ('delivered', 'deferred', 'soft_bounced', 'hard_bounced', 'complained'))
);
COMMENT ON TABLE mail_report IS 'what the mail provider reported, each once';
COMMENT ON COLUMN mail_report.id IS 'the provider''s own';
CREATE INDEX mail_report_message_id_idx ON mail_report (message_id);
CREATE INDEX mail_report_received_at_idx ON mail_report (received_at);
CREATE TABLE mail_stop (
    customer_id uuid NOT NULL,
    address_hash bytea NOT NULL,
    reason text NOT NULL,
    stopped_at timestamptz NOT NULL,
    CONSTRAINT mail_stop_pkey PRIMARY KEY (customer_id, address_hash),
    CONSTRAINT mail_stop_reason_check CHECK (reason IN ('hard_bounced', 'complained')),
    CONSTRAINT mail_stop_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT
);
COMMENT ON TABLE mail_stop IS 'addresses that get nothing but what must be told';
COMMENT ON COLUMN mail_stop.address_hash IS 'keyed hash of the address in folded case';
"""


def upgrade() -> None:
    """Follow mail after it was sent."""
    for block in (_MAIL, _REPORTS):
        statements.run(block)
