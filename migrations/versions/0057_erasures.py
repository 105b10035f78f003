"""Customers are erased; what the law wants kept is kept until its time is over.

Revision ID: 0057
"""

from migrations import statements

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

_KEY = """
ALTER TABLE data_key
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN retained bytea,
    ADD CONSTRAINT data_key_retained_check CHECK (retained IS NULL OR erased_at IS NOT NULL);
COMMENT ON COLUMN data_key.erased_at IS 'real time; the key before is retained, or gone';
COMMENT ON COLUMN data_key.retained IS
    'the key before, wrapped, until what the law wants kept is deleted';
"""

_ERASURE = """
CREATE TABLE erasure (
    customer_id uuid NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    keep_until timestamptz,
    cleared_at timestamptz,
    ended_at timestamptz,
    looked_to uuid,
    CONSTRAINT erasure_pkey PRIMARY KEY (customer_id),
    CONSTRAINT erasure_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT erasure_state_check CHECK (state IN ('clearing', 'restricted', 'ending', 'done')),
    CONSTRAINT erasure_reason_check CHECK (reason IN ('requested', 'unused', 'mistake')),
    CONSTRAINT erasure_cleared_check CHECK ((state = 'clearing') = (cleared_at IS NULL)),
    CONSTRAINT erasure_ended_check CHECK ((state = 'done') = (ended_at IS NOT NULL))
);
COMMENT ON COLUMN erasure.requested_at IS 'real time, as all here';
COMMENT ON COLUMN erasure.requested_by IS 'the principal''s id';
COMMENT ON COLUMN erasure.keep_until IS 'null: nothing has to be kept';
COMMENT ON COLUMN erasure.cleared_at IS 'all but what is kept was gone';
COMMENT ON COLUMN erasure.ended_at IS 'what was kept was gone too';
COMMENT ON COLUMN erasure.looked_to IS 'the newest inbound event that was looked through for copies';
CREATE INDEX erasure_keep_until_idx ON erasure (keep_until) WHERE state = 'restricted';
CREATE INDEX erasure_cleared_at_idx ON erasure (cleared_at);
"""

# What is immutable stays so but for the words on it, and for these only once its customer is erased.
_WORDS = """
CREATE FUNCTION is_erased(whose uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM data_key WHERE customer_id = whose AND erased_at IS NOT NULL)
$$;

CREATE OR REPLACE FUNCTION invoice_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving text[] := ARRAY['state', 'paid_at', 'version', 'offset_minor', 'charging', 'voided_at', 'void_reason',
                           'written_off_at', 'disputed_minor', 'kept_minor', 'reopened'];
    words text[] := ARRAY['memo', 'purchase_order'];
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state = 'draft' OR (to_jsonb(OLD) - moving) = (to_jsonb(NEW) - moving)) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - words) = (to_jsonb(NEW) - words) AND is_erased(NEW.customer_id) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND OLD.state = 'draft' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an opened invoice is immutable';
END $$;

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
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'description') = (to_jsonb(NEW) - 'description')
       AND is_erased(NEW.customer_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the lines of an opened invoice are immutable';
END $$;

CREATE FUNCTION credit_note_line_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'description') = (to_jsonb(NEW) - 'description')
       AND is_erased(NEW.customer_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'credit notes and customer credit are append-only';
END $$;
DROP TRIGGER credit_note_line_append_only ON credit_note_line;
CREATE TRIGGER credit_note_line_append_only BEFORE UPDATE OR DELETE ON credit_note_line
    FOR EACH ROW EXECUTE FUNCTION credit_note_line_stays();

CREATE OR REPLACE FUNCTION derived_credit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'void') = (to_jsonb(NEW) - 'void') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'description') = (to_jsonb(NEW) - 'description')
       AND is_erased(NEW.customer_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a credit on a credit note is immutable';
END $$;
"""


def upgrade() -> None:
    """Create the table, keep the key before an erasure apart, and let words be taken off what is immutable."""
    for block in (_KEY, _ERASURE, _WORDS):
        statements.run(block)
