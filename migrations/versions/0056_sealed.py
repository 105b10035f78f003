"""What events in quarantine were sent with, and addresses of pages that open an invoice, are kept sealed.

Nothing is sealed here: a migration has no key. Workers seal what is plain in batches, and `tollgate privacy seal` does.

Revision ID: 0056
"""

from migrations import statements

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

_EVENTS = """
ALTER TABLE quarantined_event ALTER COLUMN properties DROP NOT NULL;
ALTER TABLE quarantined_event ADD COLUMN sealed bytea;
ALTER TABLE quarantined_event ADD CONSTRAINT quarantined_event_sent_check
    CHECK (properties IS NULL OR sealed IS NULL);
COMMENT ON COLUMN quarantined_event.properties IS 'plain, by an earlier version; see sealed';
COMMENT ON COLUMN quarantined_event.sealed IS 'properties as sent, so that it can be re-driven';
CREATE INDEX quarantined_event_plain_idx ON quarantined_event (id) WHERE properties IS NOT NULL;
"""

_PAGES = """
ALTER TABLE gateway_invoice ADD COLUMN sealed_page bytea;
COMMENT ON COLUMN gateway_invoice.hosted_url IS 'plain, by an earlier version; see sealed_page';
COMMENT ON COLUMN gateway_invoice.sealed_page IS 'address of the gateway''s page on which the customer can pay';
CREATE INDEX gateway_invoice_plain_idx ON gateway_invoice (invoice_id) WHERE hosted_url IS NOT NULL;
"""


def upgrade() -> None:
    """Add the sealed columns beside the plain ones."""
    statements.run(_EVENTS)
    statements.run(_PAGES)
