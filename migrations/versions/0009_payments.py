"""Payment methods, attempts, gateway objects.

Revision ID: 0009
"""

from migrations import statements

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_GATEWAY_CUSTOMER = """
CREATE TABLE gateway_customer (
    customer_id uuid NOT NULL,
    key text NOT NULL,
    gateway_customer_id text,
    created_at timestamptz NOT NULL,
    CONSTRAINT gateway_customer_pkey PRIMARY KEY (customer_id),
    CONSTRAINT gateway_customer_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT
);
COMMENT ON COLUMN gateway_customer.key IS 'idempotency key of its creation';
COMMENT ON COLUMN gateway_customer.created_at IS 'real time';
CREATE INDEX gateway_customer_gateway_customer_id_idx ON gateway_customer (gateway_customer_id);
"""

_PAYMENT_METHOD = """
CREATE TABLE payment_method (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_method_id text NOT NULL,
    kind text NOT NULL,
    brand text,
    last4 text,
    exp_month integer,
    exp_year integer,
    fingerprint text,
    is_default boolean NOT NULL,
    created_at timestamptz NOT NULL,
    detached_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT payment_method_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT payment_method_customer_id_gateway_method_id_key UNIQUE (customer_id, gateway_method_id),
    CONSTRAINT payment_method_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT payment_method_default_check CHECK (NOT is_default OR detached_at IS NULL),
    CONSTRAINT payment_method_last4_check CHECK (last4 ~ '^[0-9]{1,4}$')
);
COMMENT ON COLUMN payment_method.brand IS 'of a card; the bank''s name of an account';
COMMENT ON COLUMN payment_method.created_at IS 'real time';
COMMENT ON COLUMN payment_method.detached_at IS 'real time';
CREATE UNIQUE INDEX payment_method_default_key ON payment_method (customer_id) WHERE is_default;
CREATE INDEX payment_method_gateway_method_id_idx ON payment_method (gateway_method_id);
"""

_GATEWAY_INVOICE = """
CREATE TABLE gateway_invoice (
    customer_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    number integer NOT NULL,
    state text NOT NULL,
    gateway_invoice_id text,
    keyed_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT gateway_invoice_pkey PRIMARY KEY (customer_id, invoice_id),
    CONSTRAINT gateway_invoice_customer_id_gateway_invoice_id_key UNIQUE (customer_id, gateway_invoice_id),
    CONSTRAINT gateway_invoice_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT gateway_invoice_state_check CHECK (state IN ('waiting', 'pushing', 'pushed')),
    CONSTRAINT gateway_invoice_pushed_check CHECK (state <> 'pushed' OR gateway_invoice_id IS NOT NULL),
    CONSTRAINT gateway_invoice_number_check CHECK (number >= 1)
);
COMMENT ON COLUMN gateway_invoice.number IS 'counts the copies begun; part of their keys';
COMMENT ON COLUMN gateway_invoice.keyed_at IS 'real time; the age of the keys';
CREATE INDEX gateway_invoice_gateway_invoice_id_idx ON gateway_invoice (gateway_invoice_id);
"""

_PAYMENT_ATTEMPT = """
CREATE TABLE payment_attempt (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    number integer NOT NULL,
    method_id uuid,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    decline_class text,
    code text,
    decline_code text,
    advice_code text,
    network_decline_code text,
    network_advice_code text,
    gateway_payment_id text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    settled_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT payment_attempt_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT payment_attempt_customer_id_invoice_id_number_key UNIQUE (customer_id, invoice_id, number),
    CONSTRAINT payment_attempt_customer_id_key_key UNIQUE (customer_id, key),
    CONSTRAINT payment_attempt_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT payment_attempt_customer_id_method_id_fkey FOREIGN KEY (customer_id, method_id)
        REFERENCES payment_method (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT payment_attempt_state_check CHECK (state IN
        ('planned', 'sent', 'processing', 'action_required', 'unknown', 'succeeded', 'failed', 'superseded')),
    CONSTRAINT payment_attempt_settled_check
        CHECK ((state IN ('succeeded', 'failed', 'superseded')) = (settled_at IS NOT NULL)),
    CONSTRAINT payment_attempt_decline_class_check CHECK (decline_class IN ('hard', 'customer', 'data', 'soft')),
    CONSTRAINT payment_attempt_failed_check CHECK (state <> 'failed' OR decline_class IS NOT NULL),
    CONSTRAINT payment_attempt_amount_check CHECK (amount_minor > 0),
    CONSTRAINT payment_attempt_number_check CHECK (number >= 1)
);
COMMENT ON COLUMN payment_attempt.method_id IS 'null: money that came without an attempt of ours';
COMMENT ON COLUMN payment_attempt.key IS 'idempotency key of the charge';
COMMENT ON COLUMN payment_attempt.created_at IS 'real time';
COMMENT ON COLUMN payment_attempt.sent_at IS 'real time; the age of the key';
COMMENT ON COLUMN payment_attempt.settled_at IS 'real time';
CREATE UNIQUE INDEX payment_attempt_live_key ON payment_attempt (customer_id, invoice_id)
    WHERE state IN ('planned', 'sent', 'processing', 'action_required', 'unknown');
CREATE INDEX payment_attempt_unresolved_idx ON payment_attempt (sent_at) WHERE state IN ('sent', 'unknown');
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    for block in (_GATEWAY_CUSTOMER, _PAYMENT_METHOD, _GATEWAY_INVOICE, _PAYMENT_ATTEMPT):
        statements.run(block)
