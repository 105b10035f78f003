"""Disputes and returned debits, and invoices that are asked for again by another copy at the payment provider.

Revision ID: 0042
"""

from migrations import statements

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_INVOICE = """
ALTER TABLE invoice
    ADD COLUMN disputed_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN kept_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN reopened smallint NOT NULL DEFAULT 0,
    DROP CONSTRAINT invoice_state_check,
    DROP CONSTRAINT invoice_paid_at_check;
ALTER TABLE invoice
    ALTER COLUMN disputed_minor DROP DEFAULT,
    ALTER COLUMN kept_minor DROP DEFAULT,
    ALTER COLUMN reopened DROP DEFAULT,
    ADD CONSTRAINT invoice_state_check
        CHECK (state IN ('draft', 'open', 'paid', 'void', 'uncollectible', 'charged_back')),
    ADD CONSTRAINT invoice_paid_at_check CHECK ((paid_at IS NOT NULL) = (state IN ('paid', 'charged_back'))),
    ADD CONSTRAINT invoice_reversed_check
        CHECK (disputed_minor >= 0 AND kept_minor >= 0 AND reopened >= 0
               AND (kept_minor = 0 OR state IN ('open', 'uncollectible', 'charged_back')));
CREATE OR REPLACE FUNCTION invoice_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving text[] := ARRAY['state', 'paid_at', 'version', 'offset_minor', 'charging', 'voided_at', 'void_reason',
                           'written_off_at', 'disputed_minor', 'kept_minor', 'reopened'];
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state = 'draft' OR (to_jsonb(OLD) - moving) = (to_jsonb(NEW) - moving)) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND OLD.state = 'draft' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an opened invoice is immutable';
END $$;
COMMENT ON COLUMN invoice.disputed_minor IS 'paid, and held by banks until it is decided';
COMMENT ON COLUMN invoice.kept_minor IS 'paid, and still here after banks took the rest';
COMMENT ON COLUMN invoice.reopened IS 'how often it was asked for again';
"""

_LEDGER = """
ALTER TABLE ledger_line
    DROP CONSTRAINT ledger_line_account_check,
    ADD CONSTRAINT ledger_line_account_check
        CHECK (account IN ('receivable', 'revenue', 'tax_payable', 'cash', 'customer_credit', 'bad_debt', 'prepaid',
                           'prepaid_pending', 'promotion', 'breakage', 'disputed'));
"""

_WALLET = """
ALTER TABLE wallet_move
    DROP CONSTRAINT wallet_move_kind_check,
    DROP CONSTRAINT wallet_move_amount_minor_check,
    ADD CONSTRAINT wallet_move_kind_check
        CHECK (kind IN ('granted', 'refilled', 'used', 'returned', 'rolled_over', 'expired', 'voided', 'refunded',
                        'withheld', 'released')),
    ADD CONSTRAINT wallet_move_amount_minor_check
        CHECK (CASE WHEN kind IN ('used', 'expired', 'voided', 'refunded', 'withheld') THEN amount_minor < 0
               WHEN kind = 'rolled_over' THEN amount_minor <> 0 ELSE amount_minor > 0 END);
"""

_ATTEMPT = """
ALTER TABLE payment_attempt
    DROP CONSTRAINT payment_attempt_state_check,
    DROP CONSTRAINT payment_attempt_settled_check,
    DROP CONSTRAINT payment_attempt_failed_check,
    ADD CONSTRAINT payment_attempt_state_check
        CHECK (state IN ('planned', 'sent', 'processing', 'action_required', 'unknown', 'succeeded', 'failed',
                         'superseded', 'returned')),
    ADD CONSTRAINT payment_attempt_settled_check
        CHECK ((state IN ('succeeded', 'failed', 'superseded', 'returned')) = (settled_at IS NOT NULL)),
    ADD CONSTRAINT payment_attempt_failed_check
        CHECK (state NOT IN ('failed', 'returned') OR decline_class IS NOT NULL);
"""

_COPY = """
ALTER TABLE gateway_invoice
    ADD COLUMN credited_before_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN paid_before_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE gateway_invoice
    ALTER COLUMN credited_before_minor DROP DEFAULT,
    ALTER COLUMN paid_before_minor DROP DEFAULT;
COMMENT ON COLUMN gateway_invoice.credited_before_minor IS 'before this copy was begun';
COMMENT ON COLUMN gateway_invoice.paid_before_minor IS 'before that, and is still here';
CREATE TABLE past_gateway_invoice (
    customer_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    number integer NOT NULL,
    gateway_invoice_id text NOT NULL,
    retired_at timestamptz NOT NULL,
    CONSTRAINT past_gateway_invoice_pkey PRIMARY KEY (customer_id, invoice_id, number),
    CONSTRAINT past_gateway_invoice_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT past_gateway_invoice_gateway_invoice_id_key UNIQUE (gateway_invoice_id)
);
COMMENT ON TABLE past_gateway_invoice IS 'paid at the gateway for ever; a bank took the money back';
COMMENT ON COLUMN past_gateway_invoice.number IS 'as in gateway_invoice';
COMMENT ON COLUMN past_gateway_invoice.retired_at IS 'real time';
"""

_DISPUTE = """
CREATE TABLE dispute (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    environment text NOT NULL,
    gateway_dispute_id text NOT NULL,
    gateway_payment_id text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    reason text NOT NULL,
    status text NOT NULL,
    stance text NOT NULL,
    disputed_at timestamptz NOT NULL,
    evidence_due_at timestamptz,
    created_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    is_booked boolean NOT NULL,
    counted_minor bigint NOT NULL,
    withheld_minor bigint NOT NULL,
    grant_id uuid,
    version integer NOT NULL,
    CONSTRAINT dispute_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT dispute_customer_id_invoice_id_fkey FOREIGN KEY (customer_id, invoice_id)
        REFERENCES invoice (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT dispute_customer_id_attempt_id_fkey FOREIGN KEY (customer_id, attempt_id)
        REFERENCES payment_attempt (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT dispute_gateway_dispute_id_key UNIQUE (gateway_dispute_id),
    CONSTRAINT dispute_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT dispute_amount_check CHECK (amount_minor > 0),
    CONSTRAINT dispute_stance_check CHECK (stance IN ('inquiry', 'held', 'won', 'lost', 'returned')),
    CONSTRAINT dispute_counted_check CHECK (counted_minor BETWEEN 0 AND amount_minor),
    CONSTRAINT dispute_withheld_check CHECK (withheld_minor BETWEEN 0 AND counted_minor)
);
COMMENT ON COLUMN dispute.gateway_payment_id IS 'the payment that is disputed';
COMMENT ON COLUMN dispute.reason IS 'the gateway''s word, as status';
COMMENT ON COLUMN dispute.stance IS 'where the money stands';
COMMENT ON COLUMN dispute.disputed_at IS 'real time, as evidence_due_at and created_at';
COMMENT ON COLUMN dispute.opened_at IS 'business time, as closed_at';
COMMENT ON COLUMN dispute.is_booked IS 'false: the books never had the payment';
COMMENT ON COLUMN dispute.counted_minor IS 'what of it counts on the invoice';
COMMENT ON COLUMN dispute.withheld_minor IS 'taken out of the grant that was bought';
CREATE INDEX dispute_invoice_id_idx ON dispute (customer_id, invoice_id);
CREATE INDEX dispute_id_idx ON dispute (id);
CREATE INDEX dispute_open_idx ON dispute (environment, id) WHERE closed_at IS NULL;
"""


def upgrade() -> None:
    """Keep disputes, and let invoices, attempts, copies, wallets and books follow them."""
    for each in (_INVOICE, _LEDGER, _WALLET, _ATTEMPT, _COPY, _DISPUTE):
        statements.run(each)
