"""Usage: identity, events, quarantine, totals.

Revision ID: 0006
"""

from migrations import statements

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IDENTITY_PARTS = 16
DIGEST_MODULUS = 1 << 256

_IDENTITY = """
CREATE TABLE event_identity (
    customer_id uuid NOT NULL,
    identity uuid NOT NULL,
    payload_digest uuid NOT NULL,
    verdict smallint NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT event_identity_pkey PRIMARY KEY (customer_id, identity),
    CONSTRAINT event_identity_verdict_check CHECK (verdict IN (1, 2))
) PARTITION BY HASH (customer_id);
COMMENT ON COLUMN event_identity.identity IS 'digest of customer, source and id';
COMMENT ON COLUMN event_identity.verdict IS '1 counted, 2 quarantined';
"""

_EVENT = """
CREATE TABLE usage_event (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    subscription_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    properties text NOT NULL,
    meter_set uuid NOT NULL,
    cost numeric,
    price_ids uuid[],
    corrects text,
    CONSTRAINT usage_event_pkey PRIMARY KEY (customer_id, id, received_at)
) PARTITION BY RANGE (received_at);
COMMENT ON COLUMN usage_event.properties IS 'JSON in the form that is digested';
COMMENT ON COLUMN usage_event.meter_set IS 'the meters that counted it';
COMMENT ON COLUMN usage_event.cost IS 'exact, at the provider price list of its instant';
COMMENT ON COLUMN usage_event.corrects IS 'the id of the event that this one voids or replaces';
CREATE INDEX usage_event_segment_idx ON usage_event (customer_id, segment_id, occurred_at);
CREATE TABLE usage_event_default PARTITION OF usage_event DEFAULT;
"""

_QUARANTINE = """
CREATE TABLE quarantined_event (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    environment text NOT NULL,
    product text NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    customer text NOT NULL,
    subscription text,
    sender_customer_id uuid,
    corrects text,
    occurred_at timestamptz NOT NULL,
    properties jsonb NOT NULL,
    reason text NOT NULL,
    detail text,
    resolved_at timestamptz,
    CONSTRAINT quarantined_event_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT quarantined_event_environment_check CHECK (environment IN ('live', 'test'))
);
COMMENT ON COLUMN quarantined_event.customer IS 'as sent; the row of an unknown customer belongs to nobody';
COMMENT ON COLUMN quarantined_event.properties IS 'as sent, so that it can be re-driven';
COMMENT ON COLUMN quarantined_event.sender_customer_id IS 'the only customer whom the sending key could report on';
CREATE INDEX quarantined_event_open_idx ON quarantined_event (id) WHERE resolved_at IS NULL;
"""

# Totals are updated in place over and over: the free space keeps those updates on their pages and out of the indexes.
_TOTALS = """
CREATE TABLE usage_hour (
    customer_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    hour_at timestamptz NOT NULL,
    quantity numeric NOT NULL,
    events bigint NOT NULL,
    digest numeric(78, 0) NOT NULL,
    CONSTRAINT usage_hour_pkey PRIMARY KEY (customer_id, segment_id, meter_id, dimensions, hour_at),
    CONSTRAINT usage_hour_events_check CHECK (events >= 0)
) WITH (fillfactor = 80);
COMMENT ON COLUMN usage_hour.digest IS 'sum of the digests of its events modulo 2^256';

CREATE TABLE usage_total (
    customer_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    quantity numeric NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT usage_total_pkey PRIMARY KEY (customer_id, segment_id, meter_id, dimensions),
    CONSTRAINT usage_total_events_check CHECK (events >= 0)
) WITH (fillfactor = 70);
COMMENT ON COLUMN usage_total.dimensions IS 'all zero: the sum over all combinations';

CREATE TABLE usage_level (
    customer_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    quantity numeric NOT NULL,
    CONSTRAINT usage_level_pkey PRIMARY KEY (customer_id, subscription_id, meter_id, dimensions),
    CONSTRAINT usage_level_quantity_check CHECK (quantity >= 0)
) WITH (fillfactor = 70);
COMMENT ON COLUMN usage_level.dimensions IS 'all zero: the sum over all combinations';

CREATE TABLE dimension_set (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    "values" jsonb NOT NULL,
    CONSTRAINT dimension_set_pkey PRIMARY KEY (customer_id, id)
);
COMMENT ON COLUMN dimension_set.id IS 'digest of names and values';

CREATE TABLE usage_version (
    customer_id uuid NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT usage_version_pkey PRIMARY KEY (customer_id)
) WITH (fillfactor = 70);
"""

# Counters that the same events feed share their rows: an event is one row to add to, not one for each meter. A total
# holds its newest hour beside the running sums; the database itself moves that hour on when a later one begins.
SLOTS = 8
_Q = [f"q{slot}" for slot in range(SLOTS)]
_H = [f"h{slot}" for slot in range(SLOTS)]
_ALL_Q, _ALL_H, _OLD_H = ", ".join(_Q), ", ".join(_H), ", ".join(f"OLD.{name}" for name in _H)

_COUNTERS = f"""
CREATE TABLE meter_set (
    id uuid NOT NULL,
    slot smallint NOT NULL,
    meter_id uuid NOT NULL,
    CONSTRAINT meter_set_pkey PRIMARY KEY (id, slot)
);
COMMENT ON TABLE meter_set IS 'meters that count the same events; the id is a digest of theirs';

CREATE TABLE counter_total (
    customer_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    set_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    hour_at timestamptz NOT NULL,
    events bigint NOT NULL,
    hour_events bigint NOT NULL,
    hour_digest numeric(78, 0) NOT NULL,
    {", ".join(f"{name} numeric" for name in (*_Q, *_H))},
    CONSTRAINT counter_total_pkey PRIMARY KEY (customer_id, segment_id, set_id, dimensions),
    CONSTRAINT counter_total_events_check CHECK (events >= 0)
) WITH (fillfactor = 70);
COMMENT ON TABLE counter_total IS
    'running sums of counters, q0 for the meter in slot 0 and so on; h0 and so on are those of the newest hour';

CREATE TABLE counter_hour (
    customer_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    set_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    hour_at timestamptz NOT NULL,
    events bigint NOT NULL,
    digest numeric(78, 0) NOT NULL,
    {", ".join(f"{name} numeric" for name in _Q)},
    CONSTRAINT counter_hour_pkey PRIMARY KEY (customer_id, segment_id, set_id, dimensions, hour_at)
) WITH (fillfactor = 90);
COMMENT ON TABLE counter_hour IS 'sums of counters by the hour, but for the newest hour of each total';

CREATE FUNCTION keep_counter_hour() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counter_hour AS t
        (customer_id, segment_id, set_id, dimensions, hour_at, events, digest, {_ALL_Q})
    VALUES (OLD.customer_id, OLD.segment_id, OLD.set_id, OLD.dimensions, OLD.hour_at, OLD.hour_events, OLD.hour_digest,
            {_OLD_H})
    ON CONFLICT (customer_id, segment_id, set_id, dimensions, hour_at) DO UPDATE
    SET events = t.events + excluded.events, digest = mod(t.digest + excluded.digest, {DIGEST_MODULUS}),
        {", ".join(f"{name} = t.{name} + excluded.{name}" for name in _Q)};
    RETURN NEW;
END $$;
CREATE TRIGGER counter_total_hour BEFORE UPDATE ON counter_total
    FOR EACH ROW WHEN (NEW.hour_at > OLD.hour_at) EXECUTE FUNCTION keep_counter_hour();

CREATE VIEW hour_of_meter AS
SELECT customer_id, segment_id, meter_id, dimensions, hour_at, quantity, events, digest FROM usage_hour
UNION ALL
SELECT h.customer_id, h.segment_id, m.meter_id, h.dimensions, h.hour_at,
       (ARRAY[{_ALL_Q}])[m.slot + 1], h.events, h.digest
FROM counter_hour h JOIN meter_set m ON m.id = h.set_id
UNION ALL
SELECT t.customer_id, t.segment_id, m.meter_id, t.dimensions, t.hour_at,
       (ARRAY[{_ALL_H}])[m.slot + 1], t.hour_events, t.hour_digest
FROM counter_total t JOIN meter_set m ON m.id = t.set_id;
COMMENT ON VIEW hour_of_meter IS 'what each meter counted in each hour, however it is kept';
"""  # noqa: S608 -- made of constants of this module

# What totals that are not sums of their events are made from.
_READINGS = """
CREATE TABLE usage_reading (
    customer_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    key uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    id uuid NOT NULL,
    segment_id uuid NOT NULL,
    hour_at timestamptz NOT NULL,
    sets boolean NOT NULL,
    value numeric NOT NULL,
    delta numeric NOT NULL,
    CONSTRAINT usage_reading_pkey PRIMARY KEY
        (customer_id, subscription_id, meter_id, dimensions, key, occurred_at, id)
);
COMMENT ON COLUMN usage_reading.key IS 'digest of what a unique count counts, else all zero';
COMMENT ON COLUMN usage_reading.id IS 'of the row of the event: the order of arrival';
COMMENT ON COLUMN usage_reading.delta IS 'what it changed in the order of time';

CREATE TABLE usage_value (
    customer_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    value numeric NOT NULL,
    hour_at timestamptz NOT NULL,
    events bigint NOT NULL,
    CONSTRAINT usage_value_pkey PRIMARY KEY (customer_id, segment_id, meter_id, dimensions, value, hour_at),
    CONSTRAINT usage_value_events_check CHECK (events >= 0)
);
COMMENT ON TABLE usage_value IS 'the exact histogram of a percentile, by the hour';

CREATE TABLE usage_beside (
    customer_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    dimensions uuid NOT NULL,
    hour_at timestamptz NOT NULL,
    quantity numeric NOT NULL,
    CONSTRAINT usage_beside_pkey PRIMARY KEY (customer_id, segment_id, meter_id, dimensions, hour_at)
) WITH (fillfactor = 80);
COMMENT ON COLUMN usage_beside.quantity IS
    'what a level rated by days lost in the hour; what a weighted level rose in the segment';

CREATE TABLE usage_correction (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    by_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    sign smallint NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT usage_correction_pkey PRIMARY KEY (customer_id, id, by_id),
    CONSTRAINT usage_correction_sign_check CHECK (sign IN (-1, 1))
);
COMMENT ON TABLE usage_correction IS 'an event stands while the signs of its corrections add up to zero';
COMMENT ON COLUMN usage_correction.id IS 'the event that was taken back (-1) or counted again (1)';
COMMENT ON COLUMN usage_correction.by_id IS 'the event that did so';
CREATE INDEX usage_correction_segment_idx ON usage_correction (customer_id, segment_id);

CREATE TABLE unpriced_model (
    provider text NOT NULL,
    model text NOT NULL,
    day date NOT NULL,
    CONSTRAINT unpriced_model_pkey PRIMARY KEY (provider, model, day)
);
COMMENT ON TABLE unpriced_model IS 'models of which the operator was told that calls have no price, once a day';
"""


def upgrade() -> None:
    """Create identity, events, quarantine and totals, and the view that reads hours by meter."""
    for block in (_IDENTITY, _EVENT, _QUARANTINE, _TOTALS, _COUNTERS, _READINGS):
        statements.run(block)
    for part in range(IDENTITY_PARTS):
        statements.run(
            f"CREATE TABLE event_identity_{part} PARTITION OF event_identity "
            f"FOR VALUES WITH (MODULUS {IDENTITY_PARTS}, REMAINDER {part});"
        )
