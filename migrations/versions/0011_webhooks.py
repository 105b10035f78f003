"""Inbox events.

Revision ID: 0011
"""

from migrations import statements

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INBOX_EVENT = """
CREATE TABLE inbox_event (
    provider text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    object_id text NOT NULL,
    environment text NOT NULL,
    api_version text,
    payload bytea NOT NULL,
    received_at timestamptz NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    processed_at timestamptz,
    note text,
    CONSTRAINT inbox_event_pkey PRIMARY KEY (provider, event_id),
    CONSTRAINT inbox_event_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT inbox_event_state_check CHECK (state IN ('received', 'processed', 'ignored', 'quarantined')),
    CONSTRAINT inbox_event_processed_check CHECK ((state = 'received') = (processed_at IS NULL)),
    CONSTRAINT inbox_event_attempts_check CHECK (attempts >= 0)
);
COMMENT ON COLUMN inbox_event.object_id IS 'what to fetch; empty where the object has no id';
COMMENT ON COLUMN inbox_event.payload IS 'as it was received; nothing acts on it';
CREATE INDEX inbox_event_quarantined_idx ON inbox_event (received_at DESC) WHERE state = 'quarantined';
"""

_INBOX_CURSOR = """
CREATE TABLE inbox_cursor (
    provider text NOT NULL,
    swept_to timestamptz NOT NULL,
    CONSTRAINT inbox_cursor_pkey PRIMARY KEY (provider)
);
COMMENT ON COLUMN inbox_cursor.swept_to IS 'real time; every event created before was looked for';
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    for block in (_INBOX_EVENT, _INBOX_CURSOR):
        statements.run(block)
