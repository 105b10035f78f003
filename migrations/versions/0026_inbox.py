"""Inbox events in the order of arrival, looks through the gateway's list that go on after a crash, version alarms.

Revision ID: 0026
"""

from migrations import statements

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# What has arrived before gets an id of the instant at which it did, in the layout of all ids.
_INBOX_EVENT = """
ALTER TABLE inbox_event ADD COLUMN id uuid;
UPDATE inbox_event SET id = (
    lpad(to_hex((extract(epoch FROM received_at) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(provider || event_id), 1, 3) || '8' || substr(md5(provider || event_id), 4, 15)
)::uuid;
ALTER TABLE inbox_event ALTER COLUMN id SET NOT NULL;
COMMENT ON COLUMN inbox_event.id IS 'in the order of arrival';
CREATE UNIQUE INDEX inbox_event_id_key ON inbox_event (id);
CREATE INDEX inbox_event_state_idx ON inbox_event (state, id);
DROP INDEX inbox_event_quarantined_idx;
"""

_INBOX_CURSOR = """
ALTER TABLE inbox_cursor ALTER COLUMN swept_to DROP NOT NULL;
ALTER TABLE inbox_cursor ADD COLUMN sweeping_since timestamptz;
ALTER TABLE inbox_cursor ADD COLUMN batch integer NOT NULL DEFAULT 0;
ALTER TABLE inbox_cursor ALTER COLUMN batch DROP DEFAULT;
ALTER TABLE inbox_cursor ADD COLUMN after text;
COMMENT ON COLUMN inbox_cursor.sweeping_since IS 'real time; a look through the list is under way';
COMMENT ON COLUMN inbox_cursor.batch IS 'which of the batches of types it is at';
COMMENT ON COLUMN inbox_cursor.after IS 'the last event of its last page';
"""

_INBOX_ALARM = """
CREATE TABLE inbox_alarm (
    provider text NOT NULL,
    api_version text NOT NULL,
    on_day date NOT NULL,
    event_id text NOT NULL,
    CONSTRAINT inbox_alarm_pkey PRIMARY KEY (provider, api_version, on_day)
);
COMMENT ON TABLE inbox_alarm IS 'days on which events of another version came than the one that is read';
COMMENT ON COLUMN inbox_alarm.on_day IS 'UTC';
COMMENT ON COLUMN inbox_alarm.event_id IS 'the first of the day';
"""


def upgrade() -> None:
    """Change the tables of the slice."""
    for block in (_INBOX_EVENT, _INBOX_CURSOR, _INBOX_ALARM):
        statements.run(block)
