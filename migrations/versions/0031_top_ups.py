"""Top-ups of wallets, by invoices of their own, and rules by which they are made by themselves.

Revision ID: 0031
"""

from migrations import statements

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_INVOICE = """
ALTER TABLE wallet ADD COLUMN valid_days smallint,
    ADD CONSTRAINT wallet_valid_days_check CHECK (valid_days BETWEEN 1 AND 3650);
COMMENT ON COLUMN wallet.valid_days IS 'for so long a top-up can be used; null: for ever';
ALTER TABLE invoice ADD COLUMN top_up_id uuid;
COMMENT ON COLUMN invoice.top_up_id IS 'it asks for prepaid credit and nothing else';
DROP INDEX invoice_draft_key;
CREATE UNIQUE INDEX invoice_draft_key ON invoice (customer_id, environment, currency)
    WHERE state = 'draft' AND top_up_id IS NULL;
ALTER TABLE invoice_line ALTER COLUMN subscription_id DROP NOT NULL,
    DROP CONSTRAINT invoice_line_kind_check,
    ADD CONSTRAINT invoice_line_kind_check CHECK (kind IN ('fee', 'proration', 'usage', 'cap', 'top_up')),
    ADD CONSTRAINT invoice_line_subscription_check CHECK ((subscription_id IS NULL) = (kind = 'top_up'));
COMMENT ON COLUMN invoice_line.subscription_id IS 'null: not of a subscription';
"""

_TOP_UP = """
CREATE TABLE top_up (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    trigger text NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT top_up_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT top_up_wallet_fkey FOREIGN KEY (customer_id, wallet_id)
        REFERENCES wallet (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT top_up_invoice_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT top_up_invoice_key UNIQUE (customer_id, invoice_id),
    CONSTRAINT top_up_amount_minor_check CHECK (amount_minor > 0),
    CONSTRAINT top_up_trigger_check CHECK (trigger IN ('staff', 'customer', 'automatic')),
    CONSTRAINT top_up_state_check CHECK (state IN ('open', 'paid', 'failed', 'canceled')),
    CONSTRAINT top_up_ended_at_check CHECK ((ended_at IS NULL) = (state = 'open'))
);
COMMENT ON COLUMN top_up.created_at IS 'business time, as ended_at';
CREATE INDEX top_up_wallet_idx ON top_up (customer_id, wallet_id, id);
CREATE UNIQUE INDEX top_up_automatic_key ON top_up (customer_id, wallet_id)
    WHERE state = 'open' AND trigger = 'automatic';
"""

_RULE = """
CREATE TABLE automatic_top_up (
    customer_id uuid NOT NULL,
    wallet_id uuid NOT NULL,
    threshold_minor bigint NOT NULL,
    amount_minor bigint,
    target_minor bigint,
    count_max smallint NOT NULL,
    paused text,
    CONSTRAINT automatic_top_up_pkey PRIMARY KEY (customer_id, wallet_id),
    CONSTRAINT automatic_top_up_wallet_fkey FOREIGN KEY (customer_id, wallet_id)
        REFERENCES wallet (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT automatic_top_up_amount_or_target_check CHECK ((amount_minor IS NULL) <> (target_minor IS NULL)),
    CONSTRAINT automatic_top_up_amounts_check CHECK (
        threshold_minor >= 0 AND amount_minor > 0 AND target_minor > threshold_minor),
    CONSTRAINT automatic_top_up_count_max_check CHECK (count_max BETWEEN 1 AND 100),
    CONSTRAINT automatic_top_up_paused_check CHECK (paused IN ('payment_failed', 'no_payment_method'))
);
COMMENT ON COLUMN automatic_top_up.count_max IS 'within 24 hours';
COMMENT ON COLUMN automatic_top_up.paused IS 'why it makes none any more; null: it does';
"""


def upgrade() -> None:
    """Create the tables, and let an invoice ask for prepaid credit alone."""
    for block in (_INVOICE, _TOP_UP, _RULE):
        statements.run(block)
