"""One-off charges, and the lines that they become.

Revision ID: 0046
"""

from migrations import statements

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_CHARGE = """
CREATE TABLE one_off_charge (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    currency text NOT NULL,
    description text NOT NULL,
    quantity numeric(38, 18) NOT NULL,
    unit text NOT NULL,
    unit_price numeric(38, 18) NOT NULL,
    tax_code text,
    discountable boolean NOT NULL,
    subscription_id uuid,
    service_start_at timestamptz NOT NULL,
    service_end_at timestamptz,
    created_at timestamptz NOT NULL,
    state text NOT NULL,
    invoice_id uuid,
    canceled_at timestamptz,
    CONSTRAINT one_off_charge_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT one_off_charge_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT one_off_charge_subscription_fkey FOREIGN KEY (customer_id, subscription_id)
        REFERENCES subscription (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT one_off_charge_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT one_off_charge_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT one_off_charge_quantity_check CHECK (quantity > 0),
    CONSTRAINT one_off_charge_unit_price_check CHECK (unit_price >= 0),
    CONSTRAINT one_off_charge_service_check CHECK (service_start_at < service_end_at),
    CONSTRAINT one_off_charge_state_check CHECK (state IN ('pending', 'invoiced', 'canceled')),
    CONSTRAINT one_off_charge_invoice_id_check CHECK ((invoice_id IS NOT NULL) = (state = 'invoiced')),
    CONSTRAINT one_off_charge_canceled_at_check CHECK ((canceled_at IS NOT NULL) = (state = 'canceled'))
);
COMMENT ON COLUMN one_off_charge.description IS 'the customer reads it on the invoice';
COMMENT ON COLUMN one_off_charge.unit_price IS 'major units, never rounded';
COMMENT ON COLUMN one_off_charge.tax_code IS 'what is sold, to taxes; null: nothing in particular';
COMMENT ON COLUMN one_off_charge.discountable IS 'whether coupons reduce it';
COMMENT ON COLUMN one_off_charge.subscription_id IS 'null: not of a subscription';
COMMENT ON COLUMN one_off_charge.service_start_at IS 'business time, as all instants here';
COMMENT ON COLUMN one_off_charge.service_end_at IS 'null: it is for an instant';
COMMENT ON COLUMN one_off_charge.invoice_id IS 'the opened invoice that its line stands on';
CREATE INDEX one_off_charge_pending_idx ON one_off_charge (customer_id, currency) WHERE state = 'pending';
CREATE INDEX one_off_charge_invoice_idx ON one_off_charge (customer_id, invoice_id) WHERE invoice_id IS NOT NULL;
"""

_LINE = """
ALTER TABLE invoice_line
    DROP CONSTRAINT invoice_line_kind_check,
    ADD CONSTRAINT invoice_line_kind_check
        CHECK (kind IN ('fee', 'proration', 'usage', 'cap', 'one_off', 'top_up')),
    DROP CONSTRAINT invoice_line_subscription_check,
    ADD CONSTRAINT invoice_line_subscription_check
        CHECK (kind = 'one_off' OR (subscription_id IS NULL) = (kind = 'top_up')),
    ADD CONSTRAINT invoice_line_origin_check CHECK ((origin = 'derived') = (kind NOT IN ('one_off', 'top_up')));
COMMENT ON COLUMN invoice_line.origin IS 'derived, or the id of a one-off charge or a top-up';
"""


def upgrade() -> None:
    """Create the table, and let a line be a one-off charge."""
    statements.run(_CHARGE)
    statements.run(_LINE)
