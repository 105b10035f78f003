"""Credits of changes that stand on credit notes of unpaid invoices.

Revision ID: 0027
"""

from migrations import statements

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_CREDIT = """
CREATE TABLE derived_credit (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    credit_note_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    price_id uuid NOT NULL,
    kind text NOT NULL,
    service_start_at timestamptz NOT NULL,
    service_end_at timestamptz NOT NULL,
    dimension_key text NOT NULL,
    revision integer NOT NULL,
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit text NOT NULL,
    amount_minor bigint NOT NULL,
    derivation jsonb NOT NULL,
    void boolean NOT NULL,
    CONSTRAINT derived_credit_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT derived_credit_note_fkey FOREIGN KEY (customer_id, credit_note_id)
        REFERENCES credit_note (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT derived_credit_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT derived_credit_subscription_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT derived_credit_price_id_fkey FOREIGN KEY (price_id) REFERENCES price (id) ON DELETE RESTRICT,
    CONSTRAINT derived_credit_kind_check CHECK (kind IN ('fee', 'proration')),
    CONSTRAINT derived_credit_service_check CHECK (service_start_at < service_end_at),
    CONSTRAINT derived_credit_revision_check CHECK (revision >= 0),
    CONSTRAINT derived_credit_amount_check CHECK (amount_minor < 0)
);
COMMENT ON TABLE derived_credit IS 'what a change takes back of a fee that is not paid: a derived line on a note';
COMMENT ON COLUMN derived_credit.invoice_id IS 'the unpaid invoice that the note lowers';
COMMENT ON COLUMN derived_credit.dimension_key IS 'which side of a proration it is';
COMMENT ON COLUMN derived_credit.derivation IS 'how the amount came about';
COMMENT ON COLUMN derived_credit.void IS 'its invoice is void: the identity is free again';
CREATE UNIQUE INDEX derived_credit_identity_key ON derived_credit
    (customer_id, subscription_id, price_id, kind, service_start_at, service_end_at, dimension_key, revision)
    WHERE NOT void;
CREATE INDEX derived_credit_invoice_idx ON derived_credit (customer_id, invoice_id);

CREATE FUNCTION derived_credit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'void') = (to_jsonb(NEW) - 'void') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a credit on a credit note is immutable';
END $$;
CREATE TRIGGER derived_credit_stays BEFORE UPDATE OR DELETE ON derived_credit
    FOR EACH ROW EXECUTE FUNCTION derived_credit_stays();
"""


def upgrade() -> None:
    """Create the table."""
    statements.run(_CREDIT)
