"""Plain flushes: functions that write events of counters, with all that follows from them, in one call.

Revision ID: 0021
"""

from migrations import statements

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SLOTS = 8
DIGEST_MODULUS = 1 << 256
_NUMBERS = range(SLOTS)
_Q = ", ".join(f"q{slot}" for slot in _NUMBERS)
_H = ", ".join(f"h{slot}" for slot in _NUMBERS)
_GIVEN_Q = ", ".join(f"given_q{slot}" for slot in _NUMBERS)
_SUMS = ", ".join(f"sum(q{slot}) AS q{slot}" for slot in _NUMBERS)
_RUNNING = ", ".join(f"q{slot} = t.q{slot} + excluded.q{slot}" for slot in _NUMBERS)


def _newest(column: str, same: str, later: str) -> str:
    """Write what becomes of a sum of the newest hour: it grows, or that of a later hour takes its place."""
    return (
        f"{column} = CASE WHEN excluded.hour_at = t.hour_at THEN {same} "
        f"WHEN excluded.hour_at > t.hour_at THEN {later} ELSE t.{column} END"
    )


_DIGEST = f"mod(t.hour_digest + excluded.hour_digest, {DIGEST_MODULUS})"
_HOUR = ", ".join(
    (
        _newest("hour_events", "t.hour_events + excluded.events", "excluded.events"),
        _newest("hour_digest", _DIGEST, "excluded.hour_digest"),
        *(_newest(f"h{slot}", f"t.h{slot} + excluded.q{slot}", f"excluded.q{slot}") for slot in _NUMBERS),
    )
)
# The sums of new events by total, with the number of an event of each: from it come the key and the hour.
_SUMMED = f"""
    SELECT min(number) AS number, count(*) AS events, mod(sum(digest), {DIGEST_MODULUS}) AS digest, {_SUMS}
    FROM unnest(totals, digests, {_GIVEN_Q}) WITH ORDINALITY AS k (total, digest, {_Q}, number)
    WHERE fresh IS NULL OR fresh[number] GROUP BY total ORDER BY total
"""  # noqa: S608 -- made of constants of this module

# The look comes before the insert: a row that is there is neither locked nor waited for. It is a look for each
# customer by itself, since a join would read all jobs that wait wherever the planner knows too little of them.
_STAGE = """
CREATE FUNCTION stage_missing_jobs(
    job_kind text, customers uuid[], id_head text, staged_at timestamptz, offered_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox_job
        (customer_id, id, kind, payload, key, clock_id, run_at, retry_at, state, attempts, created_at)
    SELECT n.id, (id_head || lpad(to_hex(n.position), 4, '0'))::uuid, job_kind,
           jsonb_build_object('customer_id', n.id::text), n.id::text, NULL, staged_at, offered_at, 'pending', 0,
           staged_at
    FROM unnest(customers) WITH ORDINALITY AS n (id, position)
    WHERE (SELECT o.id FROM outbox_job o WHERE o.kind = job_kind AND o.key = n.id::text AND o.state = 'pending') IS NULL
    ON CONFLICT (kind, key) WHERE state = 'pending' DO NOTHING;
END $$;
COMMENT ON FUNCTION stage_missing_jobs IS
    'stages a job that names nothing but its customer for each of some, unless one of theirs waits';
"""

# Statements of a function see what was committed before each of them, so what is read after the locks is the present.
_RECORD = f"""
CREATE FUNCTION record_plain_usage(
    bucket_lock integer, buckets integer[],
    place_customers uuid[], place_subscriptions uuid[], place_segments uuid[], epochs bigint[],
    request_sources text[], request_received timestamptz[],
    kind_types text[], kind_sets uuid[], kind_dimensions uuid[],
    hours timestamptz[], row_prices uuid[], price_starts integer[], price_ends integer[],
    places integer[], requests integer[], kinds integer[], event_hours integer[], event_prices integer[],
    totals integer[], identities uuid[], payloads uuid[], ids uuid[], event_ids text[], occurred timestamptz[],
    kept text[], costs numeric[], digests numeric[], {", ".join(f"given_q{slot} numeric[]" for slot in _NUMBERS)},
    set_customers uuid[], set_ids uuid[], set_values text[],
    room bigint, job_kind text, id_head text, staged_at timestamptz, offered_at timestamptz
) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    events CONSTANT integer := cardinality(identities);
    inserted uuid[];
    fresh boolean[];
    stored uuid[];
    movers uuid[];
    placed bigint;
    is_new boolean;
    is_late boolean;
    next_number integer := 1;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(bucket_lock, bucket) FROM unnest(buckets) AS b (bucket);
    SELECT count(*) INTO placed
    FROM unnest(place_customers, place_subscriptions, epochs) AS k (customer_id, id, epoch)
    JOIN subscription s ON s.customer_id = k.customer_id AND s.id = k.id AND s.epoch = k.epoch;
    IF placed < cardinality(epochs) THEN
        RAISE EXCEPTION 'a border has moved' USING ERRCODE = 'TG001';
    END IF;

    WITH written AS (
        INSERT INTO event_identity (customer_id, identity, payload_digest, verdict, received_at)
        SELECT place_customers[place], identity, payload, 1, request_received[request]
        FROM unnest(places, requests, identities, payloads) AS k (place, request, identity, payload)
        ON CONFLICT DO NOTHING RETURNING identity
    )
    SELECT array_agg(identity) INTO inserted FROM written;
    IF inserted IS NULL OR cardinality(inserted) < events THEN
        -- Those that were inserted are in the order in which they were given.
        fresh := array_fill(true, ARRAY[events]);
        stored := array_fill(NULL::uuid, ARRAY[events]);
        FOR number IN 1..events LOOP
            IF identities[number] = inserted[next_number] THEN
                next_number := next_number + 1;
            ELSE
                fresh[number] := false;
                stored[number] := (
                    SELECT i.payload_digest FROM event_identity i
                    WHERE i.customer_id = place_customers[places[number]] AND i.identity = identities[number]
                );
            END IF;
        END LOOP;
        IF next_number <= coalesce(cardinality(inserted), 0)
            OR cardinality(array_remove(stored, NULL)) + next_number <= events
        THEN
            RAISE EXCEPTION 'identities are in another order' USING ERRCODE = 'TG001';
        END IF;
        IF inserted IS NULL THEN
            RETURN stored;
        END IF;
    END IF;

    INSERT INTO usage_event (customer_id, id, received_at, source, event_id, type, subscription_id, segment_id,
                             occurred_at, properties, meter_set, cost, price_ids)
    SELECT place_customers[place], id, request_received[request], request_sources[request], event_id, kind_types[kind],
           place_subscriptions[place], place_segments[place], happened_at, properties, kind_sets[kind], cost,
           row_prices[price_starts[price] : price_ends[price]]
    FROM unnest(places, requests, kinds, event_prices, ids, event_ids, occurred, kept, costs) WITH ORDINALITY
         AS k (place, request, kind, price, id, event_id, happened_at, properties, cost, number)
    WHERE fresh IS NULL OR fresh[number];

    WITH written AS (
        INSERT INTO counter_total AS t (customer_id, segment_id, set_id, dimensions, hour_at, events, hour_events,
                                        hour_digest, {_Q}, {_H})
        SELECT place_customers[places[number]], place_segments[places[number]], kind_sets[kinds[number]],
               kind_dimensions[kinds[number]], hours[event_hours[number]], s.events, s.events, digest, {_Q}, {_Q}
        FROM ({_SUMMED}) s
        ON CONFLICT (customer_id, segment_id, set_id, dimensions) DO UPDATE
        SET hour_at = greatest(t.hour_at, excluded.hour_at), events = t.events + excluded.events, {_RUNNING}, {_HOUR}
        RETURNING t.hour_at, t.xmax = 0 AS inserted
    )
    SELECT bool_or(w.inserted), max(w.hour_at) > hours[1] INTO is_new, is_late FROM written w;

    movers := ARRAY(
        SELECT DISTINCT place_customers[place] AS id FROM unnest(places) WITH ORDINALITY AS k (place, number)
        WHERE fresh IS NULL OR fresh[number] ORDER BY id
    );
    INSERT INTO usage_version AS t (customer_id, version) SELECT id, 1 FROM unnest(movers) AS k (id)
    ON CONFLICT (customer_id) DO UPDATE SET version = t.version + 1;

    -- What came late is added to the hour before, which is not kept in the total any more.
    IF is_late THEN
        INSERT INTO counter_hour AS h (customer_id, segment_id, set_id, dimensions, hour_at, events, digest, {_Q})
        SELECT t.customer_id, t.segment_id, t.set_id, t.dimensions, hours[event_hours[s.number]], s.events, s.digest,
               {", ".join(f"s.q{slot}" for slot in _NUMBERS)}
        FROM ({_SUMMED}) s
        JOIN counter_total t ON t.customer_id = place_customers[places[s.number]]
            AND t.segment_id = place_segments[places[s.number]] AND t.set_id = kind_sets[kinds[s.number]]
            AND t.dimensions = kind_dimensions[kinds[s.number]] AND t.hour_at > hours[event_hours[s.number]]
        ON CONFLICT (customer_id, segment_id, set_id, dimensions, hour_at) DO UPDATE
        SET events = h.events + excluded.events, digest = mod(h.digest + excluded.digest, {DIGEST_MODULUS}),
            {", ".join(f"q{slot} = h.q{slot} + excluded.q{slot}" for slot in _NUMBERS)};
    END IF;
    -- A customer's version is held by now: two flushes that bring it new combinations do so one after the other.
    IF is_new AND EXISTS (
        SELECT FROM unnest(place_customers, place_segments) AS k (customer_id, segment_id)
        WHERE (SELECT count(*) FROM counter_total t
               WHERE t.customer_id = k.customer_id AND t.segment_id = k.segment_id) > room
    ) THEN
        RAISE EXCEPTION 'a meter may have reached its bound of combinations' USING ERRCODE = 'TG001';
    END IF;
    INSERT INTO dimension_set (customer_id, id, "values")
    SELECT k.customer_id, k.id, k.given::jsonb
    FROM unnest(set_customers, set_ids, set_values) AS k (customer_id, id, given) ON CONFLICT DO NOTHING;
    PERFORM stage_missing_jobs(job_kind, movers, id_head, staged_at, offered_at);
    RETURN stored;
END $$;
COMMENT ON FUNCTION record_plain_usage IS
    'writes events that feed counters alone; returns the payload digests of those that were stored before';
"""  # noqa: S608 -- made of constants of this module


def upgrade() -> None:
    """Create the functions."""
    for block in (_STAGE, _RECORD):
        statements.run(block)
