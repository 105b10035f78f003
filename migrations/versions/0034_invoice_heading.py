"""What invoices carry besides their lines: due days, a memo and a purchase-order number.

Revision ID: 0034
"""

from migrations import statements

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_HEADING = """
CREATE TABLE invoice_heading (
    customer_id uuid NOT NULL,
    about uuid NOT NULL,
    net_days integer,
    memo text,
    purchase_order text,
    CONSTRAINT invoice_heading_pkey PRIMARY KEY (customer_id, about),
    CONSTRAINT invoice_heading_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT invoice_heading_net_days_check CHECK (net_days BETWEEN 0 AND 365)
);
COMMENT ON COLUMN invoice_heading.about IS 'the customer, one of its subscriptions, or a draft';
COMMENT ON COLUMN invoice_heading.net_days IS 'days from issue to due; null: as the customer''s, else none';

ALTER TABLE invoice
    ADD COLUMN memo text,
    ADD COLUMN purchase_order text;
COMMENT ON COLUMN invoice.memo IS 'text on the document; set when it is opened';
COMMENT ON COLUMN invoice.purchase_order IS 'the customer''s own numbers of its orders';
"""


def upgrade() -> None:
    """Create the table, and give invoices their columns."""
    statements.run(_HEADING)
