"""Catalogue: products, plans, versions, prices, meters, entitlements, the provider price list.

Revision ID: 0003
"""

from migrations import statements

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PRODUCTS = """
CREATE TABLE product (
    id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    CONSTRAINT product_pkey PRIMARY KEY (id),
    CONSTRAINT product_key_key UNIQUE (key)
);

CREATE TABLE plan (
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    rank integer NOT NULL,
    CONSTRAINT plan_pkey PRIMARY KEY (id),
    CONSTRAINT plan_product_id_key_key UNIQUE (product_id, key),
    CONSTRAINT plan_product_id_fkey FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE RESTRICT
);
COMMENT ON COLUMN plan.rank IS 'a higher rank is an upgrade';

CREATE TABLE meter (
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    event_type text NOT NULL,
    aggregation text NOT NULL,
    value_properties text[] NOT NULL,
    when_missing text NOT NULL,
    dimensions text[] NOT NULL,
    event_filter jsonb,
    unit text NOT NULL,
    dimension_combinations_max integer NOT NULL,
    operation_property text,
    percent numeric(21, 18),
    carries_over boolean NOT NULL,
    by_days boolean NOT NULL,
    CONSTRAINT meter_pkey PRIMARY KEY (id),
    CONSTRAINT meter_product_id_key_key UNIQUE (product_id, key),
    CONSTRAINT meter_product_id_fkey FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE RESTRICT,
    CONSTRAINT meter_aggregation_check CHECK
        (aggregation IN ('count', 'sum', 'max', 'min', 'average', 'unique_count', 'latest', 'weighted_sum',
         'percentile', 'cost', 'level')),
    CONSTRAINT meter_when_missing_check CHECK (when_missing IN ('refuse', 'skip', 'one')),
    CONSTRAINT meter_value_check CHECK ((aggregation IN ('count', 'cost')) = (cardinality(value_properties) = 0)),
    CONSTRAINT meter_percent_check CHECK ((aggregation = 'percentile') = (percent IS NOT NULL)),
    CONSTRAINT meter_dimensions_check CHECK (cardinality(dimensions) <= 5),
    CONSTRAINT meter_combinations_check CHECK (dimension_combinations_max > 0)
);
CREATE INDEX meter_event_type_idx ON meter (event_type);
"""

_VERSIONS = """
CREATE TABLE plan_version (
    id uuid NOT NULL,
    plan_id uuid NOT NULL,
    number integer NOT NULL,
    published_at timestamptz NOT NULL,
    invoice_grace_s integer NOT NULL,
    features jsonb NOT NULL,
    support text NOT NULL,
    existing text NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT plan_version_pkey PRIMARY KEY (id),
    CONSTRAINT plan_version_plan_id_number_key UNIQUE (plan_id, number),
    CONSTRAINT plan_version_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES plan (id) ON DELETE RESTRICT,
    CONSTRAINT plan_version_number_check CHECK (number > 0),
    CONSTRAINT plan_version_grace_check CHECK (invoice_grace_s >= 0),
    CONSTRAINT plan_version_existing_check CHECK (existing IN ('stay', 'move_at_renewal'))
);
COMMENT ON COLUMN plan_version.digest IS 'SHA-256 of the definition';

CREATE TABLE price (
    id uuid NOT NULL,
    plan_version_id uuid NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    currency text NOT NULL,
    interval text,
    meter_id uuid,
    model text NOT NULL,
    definition jsonb NOT NULL,
    description text NOT NULL,
    CONSTRAINT price_pkey PRIMARY KEY (id),
    CONSTRAINT price_plan_version_id_key_key UNIQUE (plan_version_id, key),
    CONSTRAINT price_plan_version_id_fkey FOREIGN KEY (plan_version_id) REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT price_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES meter (id) ON DELETE RESTRICT,
    CONSTRAINT price_kind_check CHECK (kind IN ('fee', 'usage')),
    CONSTRAINT price_interval_check CHECK (interval IN ('month', 'year')),
    CONSTRAINT price_fee_check CHECK ((kind = 'fee') = (interval IS NOT NULL)),
    CONSTRAINT price_usage_check CHECK ((kind = 'usage') = (meter_id IS NOT NULL)),
    CONSTRAINT price_model_check CHECK
        (model IN ('flat', 'per_unit', 'graduated', 'volume', 'package', 'percentage', 'graduated_percentage',
         'matrix', 'dynamic'))
);

CREATE TABLE entitlement (
    id uuid NOT NULL,
    plan_version_id uuid NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    meter_id uuid,
    money boolean NOT NULL,
    dimension_filter jsonb,
    amount numeric(38, 18),
    currency text,
    policy text,
    soft_percent integer,
    grace_hours integer,
    on_failure text NOT NULL,
    source text NOT NULL,
    description text NOT NULL,
    CONSTRAINT entitlement_pkey PRIMARY KEY (id),
    CONSTRAINT entitlement_plan_version_id_key_key UNIQUE (plan_version_id, key),
    CONSTRAINT entitlement_plan_version_id_fkey FOREIGN KEY (plan_version_id)
        REFERENCES plan_version (id) ON DELETE RESTRICT,
    CONSTRAINT entitlement_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES meter (id) ON DELETE RESTRICT,
    CONSTRAINT entitlement_kind_check CHECK (kind IN ('limit', 'feature')),
    CONSTRAINT entitlement_limit_check CHECK
        ((kind = 'limit') = (meter_id IS NOT NULL) AND (kind = 'limit') = (policy IS NOT NULL)),
    CONSTRAINT entitlement_money_check CHECK (money = (currency IS NOT NULL)),
    CONSTRAINT entitlement_amount_check CHECK (amount >= 0),
    CONSTRAINT entitlement_policy_check CHECK (policy IN ('hard', 'soft', 'observe')),
    CONSTRAINT entitlement_soft_check CHECK
        ((policy IS NOT DISTINCT FROM 'soft') = (soft_percent IS NOT NULL AND grace_hours IS NOT NULL)),
    CONSTRAINT entitlement_on_failure_check CHECK (on_failure IN ('open', 'closed')),
    CONSTRAINT entitlement_source_check CHECK (source IN ('requirements', 'ours'))
);
COMMENT ON COLUMN entitlement.amount IS 'null: unlimited; 0: nothing';
"""

# A version is closed by the transaction that published it: what is inserted for it later would edit it.
_IMMUTABLE = """
CREATE FUNCTION published_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is published is immutable: publish a new version instead of changing %', TG_TABLE_NAME;
END $$;

CREATE FUNCTION published_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM plan_version WHERE id = NEW.plan_version_id AND xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'what is published is immutable: publish a new version instead of adding to %', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER plan_version_immutable BEFORE UPDATE OR DELETE ON plan_version
    FOR EACH ROW EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER plan_version_no_truncate BEFORE TRUNCATE ON plan_version
    FOR EACH STATEMENT EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER meter_immutable BEFORE UPDATE OR DELETE ON meter
    FOR EACH ROW EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER meter_no_truncate BEFORE TRUNCATE ON meter
    FOR EACH STATEMENT EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER price_immutable BEFORE UPDATE OR DELETE ON price
    FOR EACH ROW EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER price_no_truncate BEFORE TRUNCATE ON price
    FOR EACH STATEMENT EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER price_closed BEFORE INSERT ON price
    FOR EACH ROW EXECUTE FUNCTION published_is_closed();
CREATE TRIGGER entitlement_immutable BEFORE UPDATE OR DELETE ON entitlement
    FOR EACH ROW EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER entitlement_no_truncate BEFORE TRUNCATE ON entitlement
    FOR EACH STATEMENT EXECUTE FUNCTION published_is_immutable();
CREATE TRIGGER entitlement_closed BEFORE INSERT ON entitlement
    FOR EACH ROW EXECUTE FUNCTION published_is_closed();
"""

# No extension offers an exclusion on text: a range of one text stands for it.
_PROVIDER_PRICES = """
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");

CREATE TABLE provider (
    key text NOT NULL,
    name text NOT NULL,
    aliases text[] NOT NULL,
    CONSTRAINT provider_pkey PRIMARY KEY (key)
);

CREATE TABLE model_alias (
    provider text NOT NULL,
    alias text NOT NULL,
    model text NOT NULL,
    CONSTRAINT model_alias_pkey PRIMARY KEY (provider, alias),
    CONSTRAINT model_alias_provider_fkey FOREIGN KEY (provider) REFERENCES provider (key) ON DELETE RESTRICT
);

CREATE TABLE provider_price (
    id uuid NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    pool text NOT NULL,
    amount numeric(38, 18) NOT NULL,
    per numeric(38, 18) NOT NULL,
    currency text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    source text NOT NULL,
    CONSTRAINT provider_price_pkey PRIMARY KEY (id),
    CONSTRAINT provider_price_provider_model_pool_valid_from_key UNIQUE (provider, model, pool, valid_from),
    CONSTRAINT provider_price_provider_fkey FOREIGN KEY (provider) REFERENCES provider (key) ON DELETE RESTRICT,
    CONSTRAINT provider_price_amount_check CHECK (amount >= 0),
    CONSTRAINT provider_price_per_check CHECK (per > 0),
    CONSTRAINT provider_price_hour_check CHECK (mod(extract(epoch FROM valid_from), 3600) = 0),
    CONSTRAINT provider_price_period_check CHECK (valid_from < valid_to),
    CONSTRAINT provider_price_overlap_excl EXCLUDE USING gist (
        textrange(provider || ' ' || model || ' ' || pool, provider || ' ' || model || ' ' || pool, '[]') WITH &&,
        tstzrange(valid_from, valid_to) WITH &&)
);
COMMENT ON COLUMN provider_price.amount IS 'for every so many (per) units of the pool';

CREATE FUNCTION provider_price_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.valid_to IS NULL AND NEW.valid_to IS NOT NULL
       AND (to_jsonb(OLD) - 'valid_to') = (to_jsonb(NEW) - 'valid_to') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a provider price is only ever closed: add a row with another valid_from';
END $$;
CREATE TRIGGER provider_price_append_only BEFORE UPDATE OR DELETE ON provider_price
    FOR EACH ROW EXECUTE FUNCTION provider_price_is_append_only();
CREATE TRIGGER provider_price_no_truncate BEFORE TRUNCATE ON provider_price
    FOR EACH STATEMENT EXECUTE FUNCTION provider_price_is_append_only();
"""


def upgrade() -> None:
    """Create the catalogue."""
    for block in (_PRODUCTS, _VERSIONS, _IMMUTABLE, _PROVIDER_PRICES):
        statements.run(block)
