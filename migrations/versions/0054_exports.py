"""Everything of one customer in a file.

Revision ID: 0054
"""

from migrations import statements

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

_EXPORT = """
CREATE TABLE privacy_export (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    state text NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    reads text,
    after text[],
    parts integer NOT NULL,
    lines bigint NOT NULL,
    bytes bigint NOT NULL,
    ended_at timestamptz,
    expires_at timestamptz,
    CONSTRAINT privacy_export_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT privacy_export_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
        ON DELETE RESTRICT,
    CONSTRAINT privacy_export_state_check CHECK (state IN ('running', 'ready', 'failed')),
    CONSTRAINT privacy_export_ended_check CHECK ((state = 'running') = (ended_at IS NULL)),
    CONSTRAINT privacy_export_expires_check CHECK ((state = 'ready') = (expires_at IS NOT NULL))
);
COMMENT ON COLUMN privacy_export.requested_at IS 'real time, as all here';
COMMENT ON COLUMN privacy_export.requested_by IS 'the principal''s id';
COMMENT ON COLUMN privacy_export.reads IS 'the table that is read next; null: everything was read';
COMMENT ON COLUMN privacy_export.after IS 'the key of the row that was read last of it';
COMMENT ON COLUMN privacy_export.bytes IS 'of the file';
COMMENT ON COLUMN privacy_export.expires_at IS 'the file is deleted from then on';
CREATE UNIQUE INDEX privacy_export_running_key ON privacy_export (customer_id) WHERE state = 'running';
CREATE INDEX privacy_export_id_idx ON privacy_export (id);
"""

_PART = """
CREATE TABLE privacy_export_part (
    customer_id uuid NOT NULL,
    export_id uuid NOT NULL,
    number integer NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT privacy_export_part_pkey PRIMARY KEY (customer_id, export_id, number),
    CONSTRAINT privacy_export_part_export_fkey FOREIGN KEY (customer_id, export_id)
        REFERENCES privacy_export (customer_id, id) ON DELETE CASCADE
);
COMMENT ON COLUMN privacy_export_part.sealed IS 'lines, compressed';
"""


def upgrade() -> None:
    """Create the tables."""
    statements.run(_EXPORT)
    statements.run(_PART)
