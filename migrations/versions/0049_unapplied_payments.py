"""Money that no invoice could take: kept, applied to other invoices, and sent back.

Revision ID: 0049
"""

from migrations import statements

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

_PAYMENT = """
CREATE TABLE unapplied_payment (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    environment text NOT NULL,
    invoice_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    cause text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    gateway_payment_id text,
    booked_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    dispute_id uuid,
    applied_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL,
    withheld_minor bigint NOT NULL,
    version integer NOT NULL,
    CONSTRAINT unapplied_payment_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT unapplied_payment_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_payment_customer_id_attempt_id_fkey FOREIGN KEY (customer_id, attempt_id)
        REFERENCES payment_attempt (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_payment_customer_id_dispute_id_fkey FOREIGN KEY (customer_id, dispute_id)
        REFERENCES dispute (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_payment_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT unapplied_payment_cause_check CHECK (cause IN ('closed', 'reinstated')),
    CONSTRAINT unapplied_payment_dispute_id_check CHECK ((cause = 'reinstated') = (dispute_id IS NOT NULL)),
    CONSTRAINT unapplied_payment_amount_check CHECK (amount_minor > 0),
    CONSTRAINT unapplied_payment_left_check CHECK (LEAST(applied_minor, refunded_minor, withheld_minor) >= 0
        AND applied_minor + refunded_minor + withheld_minor <= amount_minor)
);
COMMENT ON COLUMN unapplied_payment.invoice_id IS 'the one that could not take it';
COMMENT ON COLUMN unapplied_payment.attempt_id IS 'the payment that brought it';
COMMENT ON COLUMN unapplied_payment.gateway_payment_id IS 'where it can be sent back to';
COMMENT ON COLUMN unapplied_payment.booked_at IS 'business time';
COMMENT ON COLUMN unapplied_payment.created_at IS 'real time';
COMMENT ON COLUMN unapplied_payment.dispute_id IS 'of money that a bank gave back';
COMMENT ON COLUMN unapplied_payment.refunded_minor IS 'gone, or on its way';
COMMENT ON COLUMN unapplied_payment.withheld_minor IS 'taken by a bank for a dispute';
CREATE UNIQUE INDEX unapplied_payment_attempt_key ON unapplied_payment (customer_id, attempt_id)
    WHERE dispute_id IS NULL;
CREATE UNIQUE INDEX unapplied_payment_dispute_key ON unapplied_payment (customer_id, dispute_id);
CREATE INDEX unapplied_payment_invoice_idx ON unapplied_payment (customer_id, invoice_id);
CREATE INDEX unapplied_payment_left_idx ON unapplied_payment (environment, id)
    WHERE applied_minor + refunded_minor + withheld_minor < amount_minor;
"""

_APPLICATION = """
CREATE TABLE unapplied_application (
    customer_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    unapplied_payment_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT unapplied_application_pkey PRIMARY KEY (customer_id, attempt_id),
    CONSTRAINT unapplied_application_payment_fkey FOREIGN KEY (customer_id, unapplied_payment_id)
        REFERENCES unapplied_payment (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_application_customer_id_attempt_id_fkey FOREIGN KEY (customer_id, attempt_id)
        REFERENCES payment_attempt (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_application_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_application_amount_check CHECK (amount_minor > 0)
);
COMMENT ON COLUMN unapplied_application.attempt_id IS 'stands for it among the attempts of the invoice';
COMMENT ON COLUMN unapplied_application.applied_at IS 'business time';
CREATE INDEX unapplied_application_payment_idx ON unapplied_application (customer_id, unapplied_payment_id);
"""

_REFUND = """
ALTER TABLE refund
    ALTER COLUMN credit_note_id DROP NOT NULL,
    ADD COLUMN unapplied_payment_id uuid,
    ADD CONSTRAINT refund_unapplied_payment_fkey FOREIGN KEY (customer_id, unapplied_payment_id)
        REFERENCES unapplied_payment (customer_id, id) ON DELETE RESTRICT,
    ADD CONSTRAINT refund_pays_back_check CHECK ((credit_note_id IS NULL) <> (unapplied_payment_id IS NULL));
COMMENT ON COLUMN refund.unapplied_payment_id IS 'what it pays back where that is no credit note';
CREATE INDEX refund_unapplied_payment_idx ON refund (customer_id, unapplied_payment_id);
"""

_DISPUTE = """
ALTER TABLE dispute
    ADD COLUMN unapplied_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT dispute_unapplied_check CHECK (unapplied_minor BETWEEN 0 AND amount_minor - counted_minor);
ALTER TABLE dispute ALTER COLUMN unapplied_minor DROP DEFAULT;
COMMENT ON COLUMN dispute.unapplied_minor IS 'taken out of money that no invoice could take';
COMMENT ON COLUMN dispute.is_booked IS 'whether the bank has taken it';
"""


def upgrade() -> None:
    """Create the tables, and let refunds and disputes name what they take from."""
    statements.run(_PAYMENT)
    statements.run(_APPLICATION)
    statements.run(_REFUND)
    statements.run(_DISPUTE)
