"""Limits: overrides, leases, reservations, decisions, and when soft limits were passed.

Revision ID: 0012
"""

from migrations import statements

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OVERRIDE = """
CREATE TABLE limit_override (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    key text NOT NULL,
    amount numeric(38, 18),
    from_at timestamptz NOT NULL,
    until_at timestamptz,
    reason text NOT NULL,
    set_by text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT limit_override_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT limit_override_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT limit_override_product_id_fkey FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE RESTRICT,
    CONSTRAINT limit_override_amount_check CHECK (amount >= 0),
    CONSTRAINT limit_override_until_check CHECK (until_at > from_at)
);
COMMENT ON COLUMN limit_override.amount IS 'null is unlimited';
COMMENT ON COLUMN limit_override.from_at IS 'business time, as until_at';
"""

_LEASE = """
CREATE TABLE limit_lease (
    customer_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    key text NOT NULL,
    span_start_at timestamptz NOT NULL,
    holder uuid NOT NULL,
    amount numeric NOT NULL,
    expires_at timestamptz NOT NULL,
    recalled boolean NOT NULL,
    CONSTRAINT limit_lease_pkey PRIMARY KEY (customer_id, subscription_id, key, span_start_at, holder),
    CONSTRAINT limit_lease_amount_check CHECK (amount >= 0)
) WITH (fillfactor = 70);
COMMENT ON TABLE limit_lease IS 'what each process may divide among reservations of a limit in a usage period';
COMMENT ON COLUMN limit_lease.expires_at IS 'real time';
COMMENT ON COLUMN limit_lease.recalled IS 'somebody needs what is idle';
CREATE INDEX limit_lease_recalled_idx ON limit_lease (holder) WHERE recalled;
CREATE INDEX limit_lease_expires_at_idx ON limit_lease (expires_at);
"""

_RESERVATION = """
CREATE TABLE limit_reservation (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    holder uuid NOT NULL,
    subscription_id uuid NOT NULL,
    event_type text NOT NULL,
    period_start_at timestamptz NOT NULL,
    holds jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL,
    ended_at timestamptz,
    measure text,
    reference text,
    overrun jsonb NOT NULL,
    CONSTRAINT limit_reservation_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT limit_reservation_state_check CHECK (state IN ('held', 'settled', 'released')),
    CONSTRAINT limit_reservation_measure_check CHECK (measure IN ('measured', 'estimated', 'unknown')),
    CONSTRAINT limit_reservation_ended_check CHECK ((state = 'held') = (ended_at IS NULL))
) WITH (fillfactor = 70);
COMMENT ON COLUMN limit_reservation.id IS 'digest of source, type of event and the id that the caller chose';
COMMENT ON COLUMN limit_reservation.holder IS 'the process whose leases it is held on';
COMMENT ON COLUMN limit_reservation.holds IS 'amounts by the keys of limits';
COMMENT ON COLUMN limit_reservation.overrun IS 'what was used above the holds';
CREATE INDEX limit_reservation_expires_at_idx ON limit_reservation (expires_at);
"""

_DECISION = """
CREATE TABLE limit_decision (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    asked_by text NOT NULL,
    subscription_id uuid NOT NULL,
    event_type text NOT NULL,
    reservation_id uuid,
    allowed boolean NOT NULL,
    code text,
    rule text,
    message text,
    plan text,
    numbers jsonb NOT NULL,
    CONSTRAINT limit_decision_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT limit_decision_asked_by_check CHECK (asked_by IN ('check', 'reserve', 'extend')),
    CONSTRAINT limit_decision_rule_check CHECK (allowed = (rule IS NULL))
);
COMMENT ON COLUMN limit_decision.rule IS 'the key of the limit that refused';
COMMENT ON COLUMN limit_decision.numbers IS 'every limit that was looked at, as it stood';
CREATE INDEX limit_decision_at_idx ON limit_decision (at);
"""

_PASSING = """
CREATE TABLE limit_passing (
    customer_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    key text NOT NULL,
    period_start_at timestamptz NOT NULL,
    passed_at timestamptz NOT NULL,
    CONSTRAINT limit_passing_pkey PRIMARY KEY (customer_id, subscription_id, key, period_start_at)
);
COMMENT ON COLUMN limit_passing.passed_at IS
    'business time; the first instant of the period at which a soft limit was found passed';
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    for block in (_OVERRIDE, _LEASE, _RESERVATION, _DECISION, _PASSING):
        statements.run(block)
