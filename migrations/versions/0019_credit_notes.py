"""What becomes of an invoice after it was opened: void, written off, credit notes, customer credit.

Revision ID: 0019
"""

from migrations import statements

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_INVOICE = """
ALTER TABLE invoice
    ADD COLUMN applied_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN offset_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN charging boolean NOT NULL DEFAULT false,
    ADD COLUMN voided_at timestamptz,
    ADD COLUMN void_reason text,
    ADD COLUMN written_off_at timestamptz;
ALTER TABLE invoice
    ALTER COLUMN applied_minor DROP DEFAULT,
    ALTER COLUMN offset_minor DROP DEFAULT,
    ALTER COLUMN charging DROP DEFAULT,
    DROP CONSTRAINT invoice_total_check,
    ADD CONSTRAINT invoice_applied_minor_check
        CHECK (applied_minor BETWEEN 0 AND
            greatest(subtotal_minor - discount_minor + tax_minor - tax_included_minor, 0)),
    ADD CONSTRAINT invoice_offset_minor_check
        CHECK (offset_minor BETWEEN 0 AND
            greatest(subtotal_minor - discount_minor + tax_minor - tax_included_minor, 0) - applied_minor),
    ADD CONSTRAINT invoice_charging_check CHECK (NOT charging OR state = 'open'),
    ADD CONSTRAINT invoice_voided_at_check CHECK ((voided_at IS NOT NULL) = (state = 'void')),
    ADD CONSTRAINT invoice_void_reason_check CHECK ((void_reason IS NOT NULL) = (state = 'void')),
    ADD CONSTRAINT invoice_written_off_at_check CHECK (written_off_at IS NOT NULL OR state <> 'uncollectible');
COMMENT ON COLUMN invoice.applied_minor IS 'paid by the customer''s balances at opening';
COMMENT ON COLUMN invoice.offset_minor IS 'what credit notes took off before it was paid';
COMMENT ON COLUMN invoice.charging IS 'while an attempt is under way, what is due stays';
COMMENT ON COLUMN number_series.kind IS 'invoice or credit_note';

CREATE OR REPLACE FUNCTION invoice_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving text[] := ARRAY['state', 'paid_at', 'version', 'offset_minor', 'charging', 'voided_at', 'void_reason',
                           'written_off_at'];
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state = 'draft' OR (to_jsonb(OLD) - moving) = (to_jsonb(NEW) - moving)) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND OLD.state = 'draft' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an opened invoice is immutable';
END $$;
"""

_NOTE = """
CREATE TABLE credit_note (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    environment text NOT NULL,
    currency text NOT NULL,
    number text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    issued_at timestamptz NOT NULL,
    subtotal_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    tax_included_minor bigint NOT NULL,
    offset_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    refund_minor bigint NOT NULL,
    CONSTRAINT credit_note_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT credit_note_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_note_number_key UNIQUE (customer_id, number),
    CONSTRAINT credit_note_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT credit_note_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT credit_note_kind_check CHECK (kind IN ('refund', 'customer_credit', 'offset')),
    CONSTRAINT credit_note_reason_check CHECK (reason IN
        ('correction', 'goodwill', 'duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory')),
    CONSTRAINT credit_note_parts_check CHECK (offset_minor >= 0 AND credit_minor >= 0 AND refund_minor >= 0
        AND offset_minor + credit_minor + refund_minor
            = subtotal_minor - discount_minor + tax_minor - tax_included_minor),
    CONSTRAINT credit_note_total_check CHECK (subtotal_minor - discount_minor + tax_minor - tax_included_minor > 0)
);
COMMENT ON COLUMN credit_note.kind IS 'what becomes of the part that was paid; what is still due is taken off first';
COMMENT ON COLUMN credit_note.issued_at IS 'business time';
COMMENT ON COLUMN credit_note.tax_included_minor IS 'what of the tax the lines contain';
COMMENT ON COLUMN credit_note.offset_minor IS 'taken off what was due';
COMMENT ON COLUMN credit_note.credit_minor IS 'kept as customer credit';
COMMENT ON COLUMN credit_note.refund_minor IS 'to be paid back';
CREATE INDEX credit_note_invoice_idx ON credit_note (customer_id, invoice_id);
CREATE INDEX credit_note_id_idx ON credit_note (id);

CREATE TABLE credit_note_line (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    credit_note_id uuid NOT NULL,
    line_id uuid NOT NULL,
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit text NOT NULL,
    amount_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    tax_inclusive boolean NOT NULL,
    CONSTRAINT credit_note_line_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT credit_note_line_note_fkey FOREIGN KEY (customer_id, credit_note_id)
        REFERENCES credit_note (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_note_line_line_fkey FOREIGN KEY (customer_id, line_id)
        REFERENCES invoice_line (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT credit_note_line_line_key UNIQUE (customer_id, credit_note_id, line_id)
);
COMMENT ON COLUMN credit_note_line.quantity IS 'the line''s whole quantity, also where a part of its amount goes back';
COMMENT ON COLUMN credit_note_line.amount_minor IS 'before discounts; has the sign of the line';
CREATE INDEX credit_note_line_line_idx ON credit_note_line (customer_id, line_id);
"""

_CREDIT = """
CREATE TABLE customer_credit (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    environment text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    reason text NOT NULL,
    about uuid NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT customer_credit_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT customer_credit_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT customer_credit_about_key UNIQUE (customer_id, reason, about),
    CONSTRAINT customer_credit_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT customer_credit_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT customer_credit_reason_check CHECK (reason IN ('credit_note', 'applied', 'returned', 'net_credit')),
    CONSTRAINT customer_credit_amount_check
        CHECK (CASE WHEN reason = 'applied' THEN amount_minor < 0 ELSE amount_minor > 0 END)
);
COMMENT ON TABLE customer_credit IS 'a customer''s balance is the sum of these rows; each has its ledger entry';
COMMENT ON COLUMN customer_credit.about IS 'the credit note or invoice that caused it';
COMMENT ON COLUMN customer_credit.at IS 'business time';
"""

_COPY = """
ALTER TABLE gateway_invoice
    ADD COLUMN credited_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE gateway_invoice
    ALTER COLUMN credited_minor DROP DEFAULT,
    DROP CONSTRAINT gateway_invoice_state_check,
    ADD CONSTRAINT gateway_invoice_state_check CHECK (state IN ('waiting', 'pushing', 'pushed', 'closed'));
COMMENT ON COLUMN gateway_invoice.credited_minor IS 'what credit notes took off the copy';
"""

_APPEND_ONLY = """
CREATE FUNCTION credit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'credit notes and customer credit are append-only';
END $$;
CREATE TRIGGER credit_note_append_only BEFORE UPDATE OR DELETE ON credit_note
    FOR EACH ROW EXECUTE FUNCTION credit_is_append_only();
CREATE TRIGGER credit_note_line_append_only BEFORE UPDATE OR DELETE ON credit_note_line
    FOR EACH ROW EXECUTE FUNCTION credit_is_append_only();
CREATE TRIGGER customer_credit_append_only BEFORE UPDATE OR DELETE ON customer_credit
    FOR EACH ROW EXECUTE FUNCTION credit_is_append_only();
"""


def upgrade() -> None:
    """Let an opened invoice move on, and keep what was given back; none of it is ever changed."""
    for block in (_INVOICE, _NOTE, _CREDIT, _COPY, _APPEND_ONLY):
        statements.run(block)
