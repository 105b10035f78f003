"""Discounts on invoices and their lines; the lines of a draft may be changed.

Revision ID: 0014
"""

from migrations import statements

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_DISCOUNTS = """
ALTER TABLE invoice ADD COLUMN discount_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE invoice ALTER COLUMN discount_minor DROP DEFAULT;
COMMENT ON COLUMN invoice.discount_minor IS 'what coupons take off the lines';
ALTER TABLE invoice DROP CONSTRAINT invoice_statement_check;
ALTER TABLE invoice ADD CONSTRAINT invoice_statement_check
    CHECK (kind = 'invoice' OR (state = 'paid' AND subtotal_minor = discount_minor));
ALTER TABLE invoice DROP CONSTRAINT invoice_total_check;
ALTER TABLE invoice ADD CONSTRAINT invoice_total_check
    CHECK (number IS NULL OR subtotal_minor - discount_minor + tax_minor > 0);
ALTER TABLE invoice_line ADD COLUMN discount_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE invoice_line ALTER COLUMN discount_minor DROP DEFAULT;
ALTER TABLE invoice_line ADD COLUMN discounts jsonb NOT NULL DEFAULT '[]';
ALTER TABLE invoice_line ALTER COLUMN discounts DROP DEFAULT;
COMMENT ON COLUMN invoice_line.discount_minor IS 'has the sign of the amount and never passes it';
COMMENT ON COLUMN invoice_line.discounts IS 'each coupon and what it takes off, in order';
ALTER TABLE invoice_line ADD CONSTRAINT invoice_line_discount_check
    CHECK (discount_minor BETWEEN least(amount_minor, 0) AND greatest(amount_minor, 0));
"""

_DRAFTS_CHANGE = """
CREATE OR REPLACE FUNCTION invoice_line_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row_now record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    invoice_state text;
BEGIN
    SELECT state INTO invoice_state FROM invoice
    WHERE customer_id = row_now.customer_id AND id = row_now.invoice_id;
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'void') = (to_jsonb(NEW) - 'void') AND NEW.void
       AND invoice_state = 'void' THEN
        RETURN NEW;
    END IF;
    IF invoice_state = 'draft' AND (TG_OP <> 'UPDATE' OR NEW.invoice_id = OLD.invoice_id) THEN
        RETURN row_now;
    END IF;
    RAISE EXCEPTION 'the lines of an opened invoice are immutable';
END $$;
"""


def upgrade() -> None:
    """Add the columns, with nothing taken off what stands; a draft's lines are discounted after they were made."""
    for block in (_DISCOUNTS, _DRAFTS_CHANGE):
        statements.run(block)
