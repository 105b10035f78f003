"""Money that no invoice could take, made the customer's credit.

Revision ID: 0053
"""

from migrations import statements

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

_PAYMENT = """
ALTER TABLE unapplied_payment
    ADD COLUMN credited_minor bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT unapplied_payment_left_check,
    ADD CONSTRAINT unapplied_payment_left_check
        CHECK (LEAST(applied_minor, refunded_minor, withheld_minor, credited_minor) >= 0
        AND applied_minor + refunded_minor + withheld_minor + credited_minor <= amount_minor);
ALTER TABLE unapplied_payment ALTER COLUMN credited_minor DROP DEFAULT;
COMMENT ON COLUMN unapplied_payment.credited_minor IS 'became the customer''s credit';
DROP INDEX unapplied_payment_left_idx;
CREATE INDEX unapplied_payment_left_idx ON unapplied_payment (environment, id)
    WHERE applied_minor + refunded_minor + withheld_minor + credited_minor < amount_minor;
"""

_CREDIT = """
CREATE TABLE unapplied_credit (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    unapplied_payment_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    credited_at timestamptz NOT NULL,
    CONSTRAINT unapplied_credit_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT unapplied_credit_payment_fkey FOREIGN KEY (customer_id, unapplied_payment_id)
        REFERENCES unapplied_payment (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unapplied_credit_amount_check CHECK (amount_minor > 0)
);
COMMENT ON TABLE unapplied_credit IS 'each is a movement of its customer''s credit, with an entry in the books';
COMMENT ON COLUMN unapplied_credit.credited_at IS 'business time';
CREATE INDEX unapplied_credit_payment_idx ON unapplied_credit (customer_id, unapplied_payment_id);
"""

_MOVEMENT = """
ALTER TABLE customer_credit
    DROP CONSTRAINT customer_credit_reason_check,
    ADD CONSTRAINT customer_credit_reason_check
        CHECK (reason IN ('credit_note', 'applied', 'returned', 'net_credit', 'unapplied'));
COMMENT ON COLUMN customer_credit.about IS 'the credit note, invoice or unapplied credit that caused it';
"""


def upgrade() -> None:
    """Create the table, and count what became credit."""
    statements.run(_PAYMENT)
    statements.run(_CREDIT)
    statements.run(_MOVEMENT)
