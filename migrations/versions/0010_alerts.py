"""Mail.

Revision ID: 0010
"""

from migrations import statements

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MAIL = """
CREATE TABLE mail (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    notice text NOT NULL,
    about text NOT NULL,
    state text NOT NULL,
    content bytea NOT NULL,
    message_id text NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    CONSTRAINT mail_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT mail_customer_id_notice_about_key UNIQUE (customer_id, notice, about),
    CONSTRAINT mail_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT mail_state_check CHECK (state IN ('queued', 'sent', 'failed', 'withheld')),
    CONSTRAINT mail_sent_check CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);
COMMENT ON COLUMN mail.about IS 'the row that the mail tells of';
COMMENT ON COLUMN mail.content IS 'recipient, subject, text and HTML';
COMMENT ON COLUMN mail.created_at IS 'real time';
COMMENT ON COLUMN mail.sent_at IS 'real time; the mail server took it';
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    statements.run(_MAIL)
