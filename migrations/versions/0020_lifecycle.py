"""Trials, pauses and first payments of subscriptions.

Revision ID: 0020
"""

from migrations import statements

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_CUSTOMER = """
ALTER TABLE customer ADD COLUMN has_method boolean;
UPDATE customer own SET has_method = EXISTS (
    SELECT FROM payment_method held WHERE held.customer_id = own.customer_id AND held.detached_at IS NULL);
ALTER TABLE customer ALTER COLUMN has_method SET NOT NULL;
COMMENT ON COLUMN customer.has_method IS 'a payment method is attached';
"""

_PLAN = """
ALTER TABLE plan_version ADD COLUMN start jsonb NOT NULL DEFAULT '{}';
ALTER TABLE plan_version ALTER COLUMN start DROP DEFAULT;
"""

# Until now a subscription was due at the end of its usage period, and at nothing else.
_SUBSCRIPTION = """
ALTER TABLE subscription
    ADD COLUMN running_since timestamptz,
    ADD COLUMN trial_ends_at timestamptz,
    ADD COLUMN trial_end text,
    ADD COLUMN pause_at timestamptz,
    ADD COLUMN resumes_at timestamptz,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN due_at timestamptz;
UPDATE subscription SET running_since = started_at,
    due_at = CASE
        WHEN status IN ('incomplete', 'canceled') THEN NULL
        WHEN source = 'tollgate' THEN least(period_end_at, cancel_at)
        ELSE period_end_at
    END;
ALTER TABLE subscription ALTER COLUMN running_since SET NOT NULL;
ALTER TABLE subscription
    ADD CONSTRAINT subscription_trial_end_check CHECK (trial_end IN ('bill', 'cancel', 'pause', 'fall_back')),
    ADD CONSTRAINT subscription_trial_check CHECK ((trial_ends_at IS NULL) = (trial_end IS NULL)),
    ADD CONSTRAINT subscription_pause_check CHECK (
        status <> 'paused' OR source = 'stripe' OR pause_at IS NOT NULL),
    ADD CONSTRAINT subscription_expires_at_check CHECK (
        (status = 'incomplete' AND source = 'tollgate') = (expires_at IS NOT NULL));
DROP INDEX subscription_due_idx;
CREATE INDEX subscription_due_idx ON subscription (due_at) WHERE due_at IS NOT NULL;
COMMENT ON COLUMN subscription.running_since IS 'after its last pause, else its start';
COMMENT ON COLUMN subscription.trial_ends_at IS 'where its trial ends or ended, and billing starts';
COMMENT ON COLUMN subscription.trial_end IS 'what becomes of the trial without a payment method';
COMMENT ON COLUMN subscription.pause_at IS 'where a pause begins or began';
COMMENT ON COLUMN subscription.resumes_at IS 'where the pause ends by itself';
COMMENT ON COLUMN subscription.expires_at IS 'where it lapses without its first payment';
COMMENT ON COLUMN subscription.due_at IS 'when something next becomes of it by itself';
"""


def upgrade() -> None:
    """Add the columns, fill them from what there is, and index what is due."""
    for block in (_CUSTOMER, _PLAN, _SUBSCRIPTION):
        statements.run(block)
