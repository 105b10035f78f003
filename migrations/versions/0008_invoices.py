"""Invoices, lines, number series.

Revision ID: 0008
"""

from migrations import statements

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INVOICE = """
CREATE TABLE invoice (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    environment text NOT NULL,
    currency text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    number text,
    created_at timestamptz NOT NULL,
    grace_ends_at timestamptz NOT NULL,
    issued_at timestamptz,
    due_at timestamptz,
    paid_at timestamptz,
    subtotal_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    version integer NOT NULL,
    CONSTRAINT invoice_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT invoice_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT invoice_number_key UNIQUE (customer_id, number),
    CONSTRAINT invoice_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT invoice_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT invoice_kind_check CHECK (kind IN ('invoice', 'statement')),
    CONSTRAINT invoice_state_check CHECK (state IN ('draft', 'open', 'paid', 'void', 'uncollectible')),
    CONSTRAINT invoice_number_check CHECK ((number IS NOT NULL) = (kind = 'invoice' AND state <> 'draft')),
    CONSTRAINT invoice_issued_at_check CHECK ((issued_at IS NULL) = (state = 'draft')),
    CONSTRAINT invoice_paid_at_check CHECK ((paid_at IS NOT NULL) = (state = 'paid')),
    CONSTRAINT invoice_statement_check CHECK (kind = 'invoice' OR (state = 'paid' AND subtotal_minor = 0)),
    CONSTRAINT invoice_total_check CHECK (number IS NULL OR subtotal_minor + tax_minor > 0)
);
COMMENT ON COLUMN invoice.kind IS 'a statement shows lines that are all zero';
COMMENT ON COLUMN invoice.number IS 'gap-free by environment, kind and year; given when it is opened';
COMMENT ON COLUMN invoice.created_at IS 'business time, as all instants here';
COMMENT ON COLUMN invoice.grace_ends_at IS 'when a draft may be opened';
COMMENT ON COLUMN invoice.subtotal_minor IS 'sum of the lines';
CREATE UNIQUE INDEX invoice_draft_key ON invoice (customer_id, environment, currency) WHERE state = 'draft';
CREATE INDEX invoice_id_idx ON invoice (id);
"""

_LINE = """
CREATE TABLE invoice_line (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    origin text NOT NULL,
    subscription_id uuid NOT NULL,
    price_id uuid,
    segment_id uuid,
    service_start_at timestamptz NOT NULL,
    service_end_at timestamptz NOT NULL,
    kind text NOT NULL,
    dimension_key text NOT NULL,
    revision integer NOT NULL,
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit text NOT NULL,
    amount_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    derivation jsonb NOT NULL,
    void boolean NOT NULL,
    CONSTRAINT invoice_line_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT invoice_line_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT invoice_line_subscription_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT invoice_line_price_id_fkey FOREIGN KEY (price_id) REFERENCES price (id) ON DELETE RESTRICT,
    CONSTRAINT invoice_line_kind_check CHECK (kind IN ('fee', 'usage', 'cap')),
    CONSTRAINT invoice_line_service_check CHECK (service_start_at < service_end_at),
    CONSTRAINT invoice_line_revision_check CHECK (revision >= 0)
);
COMMENT ON COLUMN invoice_line.origin IS 'derived, or the id of a one-off charge';
COMMENT ON COLUMN invoice_line.price_id IS 'null: a cap';
COMMENT ON COLUMN invoice_line.segment_id IS 'null: a fee';
COMMENT ON COLUMN invoice_line.dimension_key IS 'digest of the dimensions, or a cap''s key';
COMMENT ON COLUMN invoice_line.revision IS '0: the first; each later difference takes the next';
COMMENT ON COLUMN invoice_line.quantity IS 'exact, however many digits a kept cost has';
COMMENT ON COLUMN invoice_line.derivation IS 'how the amount came about';
COMMENT ON COLUMN invoice_line.void IS 'its invoice is void: the identity is free again';
CREATE UNIQUE INDEX invoice_line_identity_key ON invoice_line (
    customer_id, subscription_id, segment_id, kind, price_id, service_start_at, service_end_at, dimension_key, origin,
    revision
) NULLS NOT DISTINCT WHERE NOT void;
CREATE INDEX invoice_line_invoice_id_idx ON invoice_line (invoice_id);
"""

_IMMUTABLE = """
CREATE FUNCTION invoice_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving text[] := ARRAY['state', 'paid_at', 'version'];
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state = 'draft' OR (to_jsonb(OLD) - moving) = (to_jsonb(NEW) - moving)) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND OLD.state = 'draft' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an opened invoice is immutable';
END $$;
CREATE TRIGGER invoice_immutable BEFORE UPDATE OR DELETE ON invoice
    FOR EACH ROW EXECUTE FUNCTION invoice_stays_as_opened();

CREATE FUNCTION invoice_line_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF TG_OP <> 'UPDATE' AND invoice_state = 'draft' THEN
        RETURN row_now;
    END IF;
    RAISE EXCEPTION 'the lines of an opened invoice are immutable';
END $$;
CREATE TRIGGER invoice_line_immutable BEFORE INSERT OR UPDATE OR DELETE ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION invoice_line_stays_as_opened();
"""

_SERIES = """
CREATE TABLE number_series (
    environment text NOT NULL,
    kind text NOT NULL,
    year integer NOT NULL,
    last bigint NOT NULL,
    CONSTRAINT number_series_pkey PRIMARY KEY (environment, kind, year),
    CONSTRAINT number_series_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT number_series_last_check CHECK (last > 0)
);
COMMENT ON COLUMN number_series.kind IS 'invoice; credit notes will have their own';
"""


def upgrade() -> None:
    """Create invoices; the database itself refuses any change of what was opened but its state."""
    for block in (_INVOICE, _LINE, _IMMUTABLE, _SERIES):
        statements.run(block)
