"""Unit grants, and what invoices took of them; a use of a coupon may be below zero.

Revision ID: 0024
"""

from migrations import statements

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_GRANT = """
CREATE TABLE unit_grant (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    name text NOT NULL,
    amount numeric(38, 18) NOT NULL,
    priority smallint NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    voided_at timestamptz,
    rollover_max numeric(38, 18),
    rollover_min numeric(38, 18) NOT NULL,
    refill text,
    zone text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT unit_grant_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT unit_grant_customer_id_fkey
        FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT unit_grant_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES meter (id) ON DELETE RESTRICT,
    CONSTRAINT unit_grant_subscription_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unit_grant_amount_check CHECK (amount > 0),
    CONSTRAINT unit_grant_expires_at_check CHECK (expires_at > effective_at),
    CONSTRAINT unit_grant_rollover_check CHECK (rollover_min >= 0 AND rollover_max >= rollover_min),
    CONSTRAINT unit_grant_refill_check CHECK (refill IN ('day', 'week', 'month'))
);
COMMENT ON COLUMN unit_grant.priority IS 'a smaller one burns first';
COMMENT ON COLUMN unit_grant.effective_at IS 'business time, as expires_at and voided_at';
COMMENT ON COLUMN unit_grant.rollover_max IS 'null: all of it';
COMMENT ON COLUMN unit_grant.refill IS 'null: never';
"""

_USE = """
CREATE TABLE unit_grant_use (
    customer_id uuid NOT NULL,
    grant_id uuid NOT NULL,
    line_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    price_id uuid NOT NULL,
    quantity numeric NOT NULL,
    priority smallint NOT NULL,
    expires_at timestamptz,
    granted_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    returned_at timestamptz,
    CONSTRAINT unit_grant_use_pkey PRIMARY KEY (customer_id, grant_id, line_id),
    CONSTRAINT unit_grant_use_grant_fkey FOREIGN KEY (customer_id, grant_id)
        REFERENCES unit_grant (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT unit_grant_use_quantity_check CHECK (quantity <> 0)
);
COMMENT ON COLUMN unit_grant_use.line_id IS 'the invoice line whose usage was taken from it';
COMMENT ON COLUMN unit_grant_use.segment_id IS 'with price_id, what the line charges';
COMMENT ON COLUMN unit_grant_use.quantity IS 'below zero: given back by a later difference';
COMMENT ON COLUMN unit_grant_use.priority IS 'sort key, with expires_at and granted_at';
COMMENT ON COLUMN unit_grant_use.used_at IS 'business time, as returned_at';
COMMENT ON COLUMN unit_grant_use.returned_at IS 'when its invoice was voided';
"""


_COUPON_USE = """
ALTER TABLE coupon_use DROP CONSTRAINT coupon_use_amount_check;
ALTER TABLE coupon_use ADD CONSTRAINT coupon_use_amount_check CHECK (amount_minor <> 0);
"""


def upgrade() -> None:
    """Create the tables, and let more go back to a coupon than is taken."""
    for block in (_GRANT, _USE, _COUPON_USE):
        statements.run(block)
