"""Billing profiles, tax rates and registrations, and what invoices state of taxes.

Revision ID: 0017
"""

from migrations import statements

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_PROFILE = """
CREATE TABLE billing_profile (
    customer_id uuid NOT NULL,
    address bytea NOT NULL,
    country text,
    region text,
    vat_number bytea,
    status text NOT NULL,
    certificate bytea,
    version integer NOT NULL,
    CONSTRAINT billing_profile_pkey PRIMARY KEY (customer_id),
    CONSTRAINT billing_profile_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
        ON DELETE RESTRICT,
    CONSTRAINT billing_profile_status_check CHECK (status IN ('taxable', 'exempt', 'reverse_charge')),
    CONSTRAINT billing_profile_certificate_check CHECK ((status = 'exempt') = (certificate IS NOT NULL)),
    CONSTRAINT billing_profile_vat_number_check CHECK (status <> 'reverse_charge' OR vat_number IS NOT NULL),
    CONSTRAINT billing_profile_region_check CHECK (region IS NULL OR country IS NOT NULL)
);
COMMENT ON COLUMN billing_profile.address IS 'JSON: lines, city, postal code';
COMMENT ON COLUMN billing_profile.country IS 'ISO 3166';
COMMENT ON COLUMN billing_profile.region IS 'ISO 3166-2 without the country';
COMMENT ON COLUMN billing_profile.certificate IS 'text of an exemption';
"""

_SETTINGS = """
ALTER TABLE plan_version ADD COLUMN tax_code text;
COMMENT ON COLUMN plan_version.tax_code IS 'what is sold, to taxes; null: nothing in particular';

CREATE TABLE merchant_tax (
    environment text NOT NULL,
    country text NOT NULL,
    source text NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT merchant_tax_pkey PRIMARY KEY (environment),
    CONSTRAINT merchant_tax_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT merchant_tax_source_check CHECK (source IN ('table', 'stripe'))
);
COMMENT ON COLUMN merchant_tax.country IS 'where the merchant sits; ISO 3166';
COMMENT ON COLUMN merchant_tax.source IS 'what computes taxes';
COMMENT ON COLUMN merchant_tax.updated_at IS 'real time';

CREATE TABLE tax_registration (
    id uuid NOT NULL,
    country text NOT NULL,
    region text,
    number text,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    CONSTRAINT tax_registration_pkey PRIMARY KEY (id),
    CONSTRAINT tax_registration_valid_check CHECK (valid_from < valid_to)
);
COMMENT ON COLUMN tax_registration.region IS 'null: the whole country';
COMMENT ON COLUMN tax_registration.number IS 'the merchant''s own number there';
COMMENT ON COLUMN tax_registration.valid_to IS 'null: open';
CREATE UNIQUE INDEX tax_registration_key ON tax_registration (country, region, valid_from) NULLS NOT DISTINCT;
"""

# Ranges of one text each let a rate's key stand in an exclusion constraint without any extension.
_RATE = """
CREATE TYPE tax_rate_key_range AS RANGE (subtype = text, collation = "C");
CREATE TABLE tax_rate (
    id uuid NOT NULL,
    country text NOT NULL,
    region text,
    tax_code text,
    name text NOT NULL,
    percent numeric(7, 4) NOT NULL,
    inclusive boolean NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    CONSTRAINT tax_rate_pkey PRIMARY KEY (id),
    CONSTRAINT tax_rate_percent_check CHECK (percent BETWEEN 0 AND 100),
    CONSTRAINT tax_rate_valid_check CHECK (valid_from < valid_to),
    CONSTRAINT tax_rate_overlap_excl EXCLUDE USING gist (
        tax_rate_key_range(
            country || '/' || coalesce(region, '') || '/' || coalesce(tax_code, '') || '/' || name,
            country || '/' || coalesce(region, '') || '/' || coalesce(tax_code, '') || '/' || name,
            '[]'
        ) WITH &&,
        tstzrange(valid_from, valid_to) WITH &&
    )
);
COMMENT ON COLUMN tax_rate.region IS 'null: the whole country';
COMMENT ON COLUMN tax_rate.tax_code IS 'null: whatever has no rate of its own';
COMMENT ON COLUMN tax_rate.inclusive IS 'whether prices contain it';
COMMENT ON COLUMN tax_rate.valid_to IS 'null: open';
CREATE UNIQUE INDEX tax_rate_key ON tax_rate (country, region, tax_code, name, valid_from) NULLS NOT DISTINCT;
"""

_STATED = """
ALTER TABLE invoice ADD COLUMN tax_included_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE invoice ALTER COLUMN tax_included_minor DROP DEFAULT;
COMMENT ON COLUMN invoice.tax_included_minor IS 'what of the tax the lines contain';
ALTER TABLE invoice DROP CONSTRAINT invoice_total_check;
ALTER TABLE invoice ADD CONSTRAINT invoice_total_check
    CHECK (number IS NULL OR subtotal_minor - discount_minor + tax_minor - tax_included_minor > 0);
ALTER TABLE invoice_line ADD COLUMN tax_inclusive boolean NOT NULL DEFAULT false;
ALTER TABLE invoice_line ALTER COLUMN tax_inclusive DROP DEFAULT;
COMMENT ON COLUMN invoice_line.tax_inclusive IS 'whether the amount contains the tax';

CREATE TABLE invoice_tax (
    customer_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    position integer NOT NULL,
    name text,
    percent numeric(7, 4),
    inclusive boolean NOT NULL,
    country text,
    region text,
    reason text,
    base_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    source text NOT NULL,
    CONSTRAINT invoice_tax_pkey PRIMARY KEY (customer_id, invoice_id, position),
    CONSTRAINT invoice_tax_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT invoice_tax_reason_check CHECK (
        (reason IS NULL) = (name IS NOT NULL AND percent IS NOT NULL) AND (reason IS NULL OR tax_minor = 0)
    ),
    CONSTRAINT invoice_tax_known_reason_check CHECK (
        reason IN ('exempt', 'reverse_charge', 'not_registered', 'no_rate', 'location_unknown')
    )
);
COMMENT ON COLUMN invoice_tax.name IS 'of the rate; null: no tax is taken';
COMMENT ON COLUMN invoice_tax.reason IS 'why no tax is taken';
COMMENT ON COLUMN invoice_tax.base_minor IS 'net that it applies to';
COMMENT ON COLUMN invoice_tax.source IS 'what computed it';
CREATE INDEX invoice_tax_invoice_id_idx ON invoice_tax (invoice_id);

CREATE TABLE invoice_line_tax (
    customer_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    position integer NOT NULL,
    line_id uuid NOT NULL,
    tax_minor bigint NOT NULL,
    CONSTRAINT invoice_line_tax_pkey PRIMARY KEY (customer_id, invoice_id, position, line_id),
    CONSTRAINT invoice_line_tax_tax_fkey FOREIGN KEY (customer_id, invoice_id, position)
        REFERENCES invoice_tax (customer_id, invoice_id, position) ON DELETE CASCADE
);
COMMENT ON COLUMN invoice_line_tax.tax_minor IS 'this line''s part';
"""

_IMMUTABLE = """
CREATE FUNCTION invoice_tax_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row_now record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    invoice_state text;
BEGIN
    SELECT state INTO invoice_state FROM invoice
    WHERE customer_id = row_now.customer_id AND id = row_now.invoice_id;
    IF invoice_state = 'draft' AND TG_OP <> 'UPDATE' THEN
        RETURN row_now;
    END IF;
    RAISE EXCEPTION 'the taxes of an opened invoice are immutable';
END $$;
CREATE TRIGGER invoice_tax_immutable BEFORE INSERT OR UPDATE OR DELETE ON invoice_tax
    FOR EACH ROW EXECUTE FUNCTION invoice_tax_stays_as_opened();
CREATE TRIGGER invoice_line_tax_immutable BEFORE INSERT OR UPDATE OR DELETE ON invoice_line_tax
    FOR EACH ROW EXECUTE FUNCTION invoice_tax_stays_as_opened();
"""

_QUESTION = """
CREATE TABLE tax_question (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    digest bytea NOT NULL,
    asked_at timestamptz NOT NULL,
    taxed_at timestamptz NOT NULL,
    answered_at timestamptz,
    answer jsonb,
    CONSTRAINT tax_question_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT tax_question_once UNIQUE (customer_id, invoice_id, digest),
    CONSTRAINT tax_question_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT tax_question_answer_check CHECK ((answered_at IS NULL) = (answer IS NULL))
);
COMMENT ON COLUMN tax_question.digest IS 'keyed hash of all that the answer depends on';
COMMENT ON COLUMN tax_question.asked_at IS 'real time';
COMMENT ON COLUMN tax_question.taxed_at IS 'business time whose taxes are asked for';
COMMENT ON COLUMN tax_question.answered_at IS 'real time';
"""


def upgrade() -> None:
    """Create the tables; the database itself refuses any change of what an opened invoice states."""
    for block in (_PROFILE, _SETTINGS, _RATE, _STATED, _IMMUTABLE, _QUESTION):
        statements.run(block)
