"""Ledger entries of all customers are listed, payments are found by when they ended, and plans can be archived.

Revision ID: 0067
"""

from migrations import statements

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

_INDEXES = """
CREATE INDEX ledger_entry_id_idx ON ledger_entry (environment, id);
CREATE INDEX payment_attempt_ended_idx ON payment_attempt (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX subscription_version_idx ON subscription (plan_version_id, id);
"""
# A process of before goes on selling an archived plan until it ends.
_ARCHIVED = """
ALTER TABLE plan ADD COLUMN archived_at timestamptz;
COMMENT ON COLUMN plan.archived_at IS 'real time; since then nobody takes it';
"""

# An opened invoice stays as it is, but that its customer may be given more time while it is open.
_LATER = """
CREATE OR REPLACE FUNCTION invoice_stays_as_opened() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moving text[] := ARRAY['state', 'paid_at', 'version', 'offset_minor', 'charging', 'voided_at', 'void_reason',
                           'written_off_at', 'disputed_minor', 'kept_minor', 'reopened'];
    words text[] := ARRAY['memo', 'purchase_order'];
    later text[] := ARRAY['due_at', 'version'];
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state = 'draft' OR (to_jsonb(OLD) - moving) = (to_jsonb(NEW) - moving)) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'open' AND NEW.due_at > OLD.due_at
       AND (to_jsonb(OLD) - later) = (to_jsonb(NEW) - later) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - words) = (to_jsonb(NEW) - words) AND is_erased(NEW.customer_id) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND OLD.state = 'draft' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an opened invoice is immutable';
END $$;
"""


def upgrade() -> None:
    """Until now a page of entries sorted all of them, and payments of a stretch of time were looked for among all."""
    statements.run(_INDEXES)
    statements.run(_ARCHIVED)
    statements.run(_LATER)
