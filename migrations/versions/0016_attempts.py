"""Who started an attempt and when in business time, the gateway's page of an invoice, and access while money is owed.

Revision ID: 0016
"""

from migrations import statements

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ATTEMPT = """
ALTER TABLE payment_attempt ADD COLUMN trigger text;
ALTER TABLE payment_attempt ADD COLUMN began_at timestamptz;
ALTER TABLE payment_attempt ADD COLUMN ended_at timestamptz;
UPDATE payment_attempt SET began_at = created_at, ended_at = settled_at,
    trigger = CASE WHEN method_id IS NULL THEN 'customer' WHEN number = 1 THEN 'billing' ELSE 'new_method' END;
ALTER TABLE payment_attempt ALTER COLUMN trigger SET NOT NULL;
ALTER TABLE payment_attempt ALTER COLUMN began_at SET NOT NULL;
ALTER TABLE payment_attempt ADD CONSTRAINT payment_attempt_trigger_check
    CHECK (trigger IN ('billing', 'retry', 'customer', 'new_method', 'staff'));
COMMENT ON COLUMN payment_attempt.trigger IS 'who started it';
COMMENT ON COLUMN payment_attempt.began_at IS 'business time';
COMMENT ON COLUMN payment_attempt.ended_at IS 'business time';
"""

_COPY = """
ALTER TABLE gateway_invoice ADD COLUMN hosted_url text;
COMMENT ON COLUMN gateway_invoice.hosted_url IS 'the gateway''s page on which the customer can pay';
"""

_ACCESS = """
ALTER TABLE subscription ADD COLUMN access text;
UPDATE subscription SET access = 'full';
ALTER TABLE subscription ALTER COLUMN access SET NOT NULL;
ALTER TABLE subscription ADD CONSTRAINT subscription_access_check
    CHECK (access IN ('full', 'restricted', 'suspended'));
COMMENT ON COLUMN subscription.access IS 'what checks answer by while a payment is owed';
"""


def upgrade() -> None:
    """Add the columns."""
    statements.run(_ATTEMPT)
    statements.run(_COPY)
    statements.run(_ACCESS)
