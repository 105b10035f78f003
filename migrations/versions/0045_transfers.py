"""Money that customers transfer: what has arrived, and the account that it goes to.

Revision ID: 0045
"""

from migrations import statements

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_TRANSFERS = """
CREATE TABLE cash_movement (
    customer_id uuid NOT NULL,
    gateway_id text NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    gateway_payment_id text,
    moved_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    CONSTRAINT cash_movement_pkey PRIMARY KEY (customer_id, gateway_id),
    CONSTRAINT cash_movement_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT
);
COMMENT ON COLUMN cash_movement.kind IS 'the gateway''s word';
COMMENT ON COLUMN cash_movement.amount_minor IS 'below zero: used, or sent back';
COMMENT ON COLUMN cash_movement.gateway_payment_id IS 'the payment that used it';
COMMENT ON COLUMN cash_movement.moved_at IS 'real time, the gateway''s';
COMMENT ON COLUMN cash_movement.booked_at IS 'business time';
CREATE TABLE transfer_account (
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    country text NOT NULL,
    bank_name text,
    last4 text NOT NULL,
    CONSTRAINT transfer_account_pkey PRIMARY KEY (customer_id, currency),
    CONSTRAINT transfer_account_customer_id_fkey FOREIGN KEY (customer_id)
        REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT transfer_account_last4_check CHECK (length(last4) BETWEEN 1 AND 4)
);
ALTER TABLE ledger_line DROP CONSTRAINT ledger_line_account_check;
ALTER TABLE ledger_line ADD CONSTRAINT ledger_line_account_check CHECK (account IN
    ('receivable', 'revenue', 'tax_payable', 'cash', 'customer_credit', 'bad_debt', 'prepaid', 'prepaid_pending',
     'promotion', 'breakage', 'disputed', 'unapplied_cash'));
"""


def upgrade() -> None:
    """Create the tables, and let the ledger have the account."""
    statements.run(_TRANSFERS)
