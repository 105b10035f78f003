"""Coupons, promotion codes, who has taken them up, and what invoices took of them.

Revision ID: 0018
"""

from migrations import statements

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COUPON = """
CREATE TABLE coupon (
    id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    percent_off numeric(7, 4),
    amount_minor bigint,
    currency text,
    duration text NOT NULL,
    periods integer,
    redemptions_max integer,
    per_customer_max integer,
    redeem_by timestamptz,
    product_ids uuid[] NOT NULL,
    plan_ids uuid[] NOT NULL,
    first_purchase boolean NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    redeemed integer NOT NULL,
    CONSTRAINT coupon_pkey PRIMARY KEY (id),
    CONSTRAINT coupon_key_key UNIQUE (key),
    CONSTRAINT coupon_value_check CHECK ((percent_off IS NULL) <> (amount_minor IS NULL)),
    CONSTRAINT coupon_currency_check CHECK ((amount_minor IS NULL) = (currency IS NULL)),
    CONSTRAINT coupon_percent_off_check CHECK (percent_off > 0 AND percent_off <= 100),
    CONSTRAINT coupon_amount_check CHECK (amount_minor > 0),
    CONSTRAINT coupon_duration_check CHECK (duration IN ('once', 'repeating', 'forever')),
    CONSTRAINT coupon_periods_check CHECK ((periods IS NOT NULL) = (duration = 'repeating') AND periods > 0),
    CONSTRAINT coupon_redeemed_check
        CHECK (redeemed >= 0 AND (redemptions_max IS NULL OR redeemed <= redemptions_max))
);
COMMENT ON COLUMN coupon.periods IS 'months in which it is used, for a repeating one';
COMMENT ON COLUMN coupon.redeem_by IS 'business time of who takes it up';
COMMENT ON COLUMN coupon.product_ids IS 'empty with plan_ids: every line';
"""

_CODE = """
CREATE TABLE promotion_code (
    id uuid NOT NULL,
    coupon_id uuid NOT NULL,
    code text NOT NULL,
    is_active boolean NOT NULL,
    expires_at timestamptz,
    redemptions_max integer,
    customer_id uuid,
    created_at timestamptz NOT NULL,
    redeemed integer NOT NULL,
    CONSTRAINT promotion_code_pkey PRIMARY KEY (id),
    CONSTRAINT promotion_code_code_key UNIQUE (code),
    CONSTRAINT promotion_code_coupon_id_fkey FOREIGN KEY (coupon_id) REFERENCES coupon (id) ON DELETE RESTRICT,
    CONSTRAINT promotion_code_code_check CHECK (code = upper(code)),
    CONSTRAINT promotion_code_redeemed_check
        CHECK (redeemed >= 0 AND (redemptions_max IS NULL OR redeemed <= redemptions_max))
);
COMMENT ON COLUMN promotion_code.code IS 'in capitals';
COMMENT ON COLUMN promotion_code.expires_at IS 'business time of who takes it up';
COMMENT ON COLUMN promotion_code.customer_id IS 'only this customer can use it';
CREATE INDEX promotion_code_coupon_id_idx ON promotion_code (coupon_id);
"""

_APPLIED = """
CREATE TABLE applied_coupon (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    coupon_id uuid NOT NULL,
    code text,
    subscription_id uuid,
    number integer NOT NULL,
    zone text NOT NULL,
    applied_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT applied_coupon_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT applied_coupon_number_key UNIQUE (customer_id, number),
    CONSTRAINT applied_coupon_customer_id_fkey
        FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT applied_coupon_coupon_id_fkey FOREIGN KEY (coupon_id) REFERENCES coupon (id) ON DELETE RESTRICT,
    CONSTRAINT applied_coupon_number_check CHECK (number > 0)
);
COMMENT ON COLUMN applied_coupon.code IS 'the promotion code, where one was used';
COMMENT ON COLUMN applied_coupon.subscription_id IS 'null: all of the customer''s';
COMMENT ON COLUMN applied_coupon.number IS '1, 2, 3 … in the order of application';
COMMENT ON COLUMN applied_coupon.zone IS 'in which its months are counted';
COMMENT ON COLUMN applied_coupon.applied_at IS 'business time, as removed_at';
CREATE INDEX applied_coupon_coupon_id_idx ON applied_coupon (coupon_id);
"""

_USE = """
CREATE TABLE coupon_use (
    customer_id uuid NOT NULL,
    applied_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    number integer NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    month_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    returned_at timestamptz,
    CONSTRAINT coupon_use_pkey PRIMARY KEY (customer_id, applied_id, invoice_id),
    CONSTRAINT coupon_use_applied_fkey FOREIGN KEY (customer_id, applied_id)
        REFERENCES applied_coupon (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT coupon_use_amount_check CHECK (amount_minor > 0)
);
COMMENT ON COLUMN coupon_use.number IS 'sort key: the order of application';
COMMENT ON COLUMN coupon_use.month_at IS 'start of the coupon''s own month';
COMMENT ON COLUMN coupon_use.used_at IS 'business time, as returned_at';
COMMENT ON COLUMN coupon_use.returned_at IS 'when its invoice was voided';
"""


def upgrade() -> None:
    """Create the tables."""
    for block in (_COUPON, _CODE, _APPLIED, _USE):
        statements.run(block)
