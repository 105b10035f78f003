"""Prepaid wallets, their grants and every move of a balance; accounts for what is prepaid.

Revision ID: 0030
"""

from migrations import statements

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_ACCOUNTS = """
ALTER TABLE ledger_line DROP CONSTRAINT ledger_line_account_check;
ALTER TABLE ledger_line ADD CONSTRAINT ledger_line_account_check CHECK (account IN
    ('receivable', 'revenue', 'tax_payable', 'cash', 'customer_credit', 'bad_debt', 'prepaid', 'prepaid_pending',
     'promotion', 'breakage'));
"""

_WALLET = """
CREATE TABLE wallet (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    environment text NOT NULL,
    currency text NOT NULL,
    name text NOT NULL,
    priority smallint NOT NULL,
    product_ids uuid[] NOT NULL,
    kinds text[] NOT NULL,
    zone text NOT NULL,
    created_at timestamptz NOT NULL,
    carried_to timestamptz NOT NULL,
    CONSTRAINT wallet_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT wallet_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON DELETE RESTRICT,
    CONSTRAINT wallet_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT wallet_currency_check CHECK (currency ~ '^[A-Z]{3}$')
);
COMMENT ON COLUMN wallet.priority IS 'invoices draw on a smaller one first';
COMMENT ON COLUMN wallet.product_ids IS 'pays only lines of these; empty: any';
COMMENT ON COLUMN wallet.kinds IS 'pays only lines of these; empty: any';
COMMENT ON COLUMN wallet.created_at IS 'business time, as all instants here';
COMMENT ON COLUMN wallet.carried_to IS 'boundaries of grants are booked up to it';
CREATE INDEX wallet_id_idx ON wallet (id);
"""

_GRANT = """
CREATE TABLE wallet_grant (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    amount_minor bigint NOT NULL,
    balance_minor bigint NOT NULL,
    priority smallint NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    voided_at timestamptz,
    rollover_max_minor bigint,
    rollover_min_minor bigint NOT NULL,
    refill text,
    invoice_id uuid,
    created_at timestamptz NOT NULL,
    CONSTRAINT wallet_grant_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT wallet_grant_wallet_fkey FOREIGN KEY (customer_id, wallet_id)
        REFERENCES wallet (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT wallet_grant_invoice_key UNIQUE (customer_id, invoice_id),
    CONSTRAINT wallet_grant_source_check CHECK (source IN ('purchased', 'promotional')),
    CONSTRAINT wallet_grant_invoice_id_check CHECK ((source = 'purchased') = (invoice_id IS NOT NULL)),
    CONSTRAINT wallet_grant_amount_minor_check CHECK (amount_minor > 0),
    CONSTRAINT wallet_grant_balance_minor_check CHECK (balance_minor >= 0),
    CONSTRAINT wallet_grant_expires_at_check CHECK (expires_at > effective_at),
    CONSTRAINT wallet_grant_rollover_check CHECK (rollover_min_minor >= 0 AND rollover_max_minor >= rollover_min_minor),
    CONSTRAINT wallet_grant_refill_check CHECK (refill IN ('day', 'week', 'month'))
);
COMMENT ON COLUMN wallet_grant.balance_minor IS 'the sum of its moves';
COMMENT ON COLUMN wallet_grant.priority IS 'a smaller one burns first';
COMMENT ON COLUMN wallet_grant.rollover_max_minor IS 'null: all of it';
COMMENT ON COLUMN wallet_grant.refill IS 'null: never';
COMMENT ON COLUMN wallet_grant.invoice_id IS 'the top-up invoice that paid for it';
CREATE INDEX wallet_grant_wallet_idx ON wallet_grant (customer_id, wallet_id);
"""

_MOVE = """
CREATE TABLE wallet_move (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    grant_id uuid NOT NULL,
    kind text NOT NULL,
    amount_minor bigint NOT NULL,
    at timestamptz NOT NULL,
    about text NOT NULL,
    invoice_id uuid,
    wallet_priority smallint,
    wallet_created_at timestamptz,
    priority smallint,
    expires_at timestamptz,
    granted_at timestamptz,
    CONSTRAINT wallet_move_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT wallet_move_grant_fkey FOREIGN KEY (customer_id, grant_id)
        REFERENCES wallet_grant (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT wallet_move_about_key UNIQUE (customer_id, grant_id, kind, about),
    CONSTRAINT wallet_move_kind_check CHECK (kind IN
        ('granted', 'refilled', 'used', 'returned', 'rolled_over', 'expired', 'voided', 'refunded')),
    CONSTRAINT wallet_move_amount_minor_check CHECK (
        CASE WHEN kind IN ('used', 'expired', 'voided', 'refunded') THEN amount_minor < 0
        WHEN kind = 'rolled_over' THEN amount_minor <> 0 ELSE amount_minor > 0 END),
    CONSTRAINT wallet_move_sort_key_check CHECK ((kind = 'used') = (wallet_priority IS NOT NULL))
);
COMMENT ON TABLE wallet_move IS 'append-only; what moves money has its ledger entry';
COMMENT ON COLUMN wallet_move.amount_minor IS 'above zero adds to the balance';
COMMENT ON COLUMN wallet_move.at IS 'business time';
COMMENT ON COLUMN wallet_move.about IS 'what caused it: an invoice, a credit note, or an instant';
COMMENT ON COLUMN wallet_move.invoice_id IS 'the invoice that drew on it, or gave back';
COMMENT ON COLUMN wallet_move.wallet_priority IS 'sort key of a use, with what follows';
CREATE INDEX wallet_move_wallet_idx ON wallet_move (customer_id, wallet_id, id);
CREATE INDEX wallet_move_invoice_idx ON wallet_move (customer_id, invoice_id) WHERE invoice_id IS NOT NULL;
CREATE TRIGGER wallet_move_append_only BEFORE UPDATE OR DELETE ON wallet_move
    FOR EACH ROW EXECUTE FUNCTION credit_is_append_only();
"""

_NOTE = """
ALTER TABLE credit_note ADD COLUMN wallet_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE credit_note ALTER COLUMN wallet_minor DROP DEFAULT,
    DROP CONSTRAINT credit_note_parts_check,
    ADD CONSTRAINT credit_note_parts_check CHECK (
        offset_minor >= 0 AND credit_minor >= 0 AND refund_minor >= 0 AND wallet_minor >= 0
        AND offset_minor + credit_minor + refund_minor + wallet_minor
            = subtotal_minor - discount_minor + tax_minor - tax_included_minor);
COMMENT ON COLUMN credit_note.wallet_minor IS 'back to the prepaid wallets that had paid it';
"""


def upgrade() -> None:
    """Create the tables, and let the books and credit notes name what is prepaid."""
    for block in (_ACCOUNTS, _WALLET, _GRANT, _MOVE, _NOTE):
        statements.run(block)
