"""Payments that came another way than through the payment provider, recorded by staff.

Revision ID: 0043
"""

from migrations import statements

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_RECEIVED = """
CREATE TABLE received_payment (
    customer_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    method text NOT NULL,
    reference text NOT NULL,
    received_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT received_payment_pkey PRIMARY KEY (customer_id, attempt_id),
    CONSTRAINT received_payment_customer_id_attempt_id_fkey FOREIGN KEY (customer_id, attempt_id)
        REFERENCES payment_attempt (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT received_payment_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT received_payment_method_check CHECK (method IN ('bank_transfer', 'cheque', 'cash', 'other')),
    CONSTRAINT received_payment_reference_check CHECK (length(reference) BETWEEN 1 AND 140),
    CONSTRAINT received_payment_received_at_check CHECK (received_at <= recorded_at)
);
COMMENT ON COLUMN received_payment.reference IS 'what names it at the bank or on the cheque';
COMMENT ON COLUMN received_payment.received_at IS 'business time; when the money came';
COMMENT ON COLUMN received_payment.recorded_at IS 'business time; when staff wrote it down';
COMMENT ON COLUMN received_payment.created_at IS 'real time of that';
CREATE INDEX received_payment_invoice_idx ON received_payment (customer_id, invoice_id);
"""


def upgrade() -> None:
    """Create the table."""
    statements.run(_RECEIVED)
