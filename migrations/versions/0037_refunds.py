"""Refunds: what credit notes have to pay back, sent through the payment provider.

Revision ID: 0037
"""

from migrations import statements

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_REFUND = """
CREATE TABLE refund (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    credit_note_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    environment text NOT NULL,
    gateway_payment_id text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    reason text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    ordered_at timestamptz NOT NULL,
    gateway_refund_id text,
    failure text,
    sent_at timestamptz,
    settled_at timestamptz,
    ended_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT refund_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT refund_customer_id_credit_note_id_fkey FOREIGN KEY (customer_id, credit_note_id)
        REFERENCES credit_note (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT refund_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT refund_key_key UNIQUE (key),
    CONSTRAINT refund_gateway_refund_id_key UNIQUE (gateway_refund_id),
    CONSTRAINT refund_amount_check CHECK (amount_minor > 0),
    CONSTRAINT refund_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT refund_reason_check CHECK (reason IN ('duplicate', 'fraudulent', 'requested_by_customer')),
    CONSTRAINT refund_state_check
        CHECK (state IN ('planned', 'sent', 'unknown', 'pending', 'succeeded', 'failed')),
    CONSTRAINT refund_sent_check CHECK (state = 'planned' OR sent_at IS NOT NULL),
    CONSTRAINT refund_settled_check CHECK ((state IN ('succeeded', 'failed')) = (settled_at IS NOT NULL))
);
COMMENT ON COLUMN refund.gateway_payment_id IS 'the payment that it is taken from';
COMMENT ON COLUMN refund.key IS 'idempotency key of the call';
COMMENT ON COLUMN refund.created_at IS 'real time';
COMMENT ON COLUMN refund.ordered_at IS 'business time';
COMMENT ON COLUMN refund.failure IS 'the gateway''s word for why it failed';
COMMENT ON COLUMN refund.sent_at IS 'real time; the age of the key';
COMMENT ON COLUMN refund.settled_at IS 'real time';
COMMENT ON COLUMN refund.ended_at IS 'business time';
CREATE INDEX refund_invoice_id_idx ON refund (customer_id, invoice_id);
CREATE INDEX refund_credit_note_id_idx ON refund (customer_id, credit_note_id);
CREATE INDEX refund_unresolved_idx ON refund (sent_at) WHERE state IN ('sent', 'unknown');
"""


def upgrade() -> None:
    """Keep refunds."""
    statements.run(_REFUND)
