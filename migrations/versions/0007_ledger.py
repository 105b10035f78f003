"""Ledger: balanced double entries.

Revision ID: 0007
"""

from migrations import statements

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE ledger_entry (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    environment text NOT NULL,
    at timestamptz NOT NULL,
    posted_at timestamptz NOT NULL,
    reason text NOT NULL,
    about text NOT NULL,
    line_count smallint NOT NULL,
    CONSTRAINT ledger_entry_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT ledger_entry_reason_about_key UNIQUE (customer_id, reason, about),
    CONSTRAINT ledger_entry_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT ledger_entry_line_count_check CHECK (line_count >= 2)
);
COMMENT ON COLUMN ledger_entry.environment IS 'live and test customers have books of their own';
COMMENT ON COLUMN ledger_entry.at IS 'business time';
COMMENT ON COLUMN ledger_entry.posted_at IS 'real time';
COMMENT ON COLUMN ledger_entry.about IS 'id of the row that caused it';
COMMENT ON COLUMN ledger_entry.line_count IS 'so that no line can be added later';

CREATE TABLE ledger_line (
    customer_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    no smallint NOT NULL,
    account text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    CONSTRAINT ledger_line_pkey PRIMARY KEY (customer_id, entry_id, no),
    CONSTRAINT ledger_line_entry_fkey FOREIGN KEY (customer_id, entry_id)
        REFERENCES ledger_entry (customer_id, id) ON DELETE RESTRICT,
    CONSTRAINT ledger_line_account_check
        CHECK (account IN ('receivable', 'revenue', 'tax_payable', 'cash', 'customer_credit', 'bad_debt')),
    CONSTRAINT ledger_line_amount_minor_check CHECK (amount_minor <> 0),
    CONSTRAINT ledger_line_currency_check CHECK (currency ~ '^[A-Z]{3}$')
);
COMMENT ON COLUMN ledger_line.amount_minor IS 'debit above zero, credit below';
"""

_BALANCE = """
CREATE FUNCTION ledger_entry_is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry uuid := to_jsonb(NEW) ->> CASE TG_TABLE_NAME WHEN 'ledger_entry' THEN 'id' ELSE 'entry_id' END;
BEGIN
    IF (SELECT count(*) FROM ledger_line WHERE customer_id = NEW.customer_id AND entry_id = entry)
       IS DISTINCT FROM (SELECT line_count FROM ledger_entry WHERE customer_id = NEW.customer_id AND id = entry)
       OR EXISTS (
           SELECT currency FROM ledger_line WHERE customer_id = NEW.customer_id AND entry_id = entry
           GROUP BY currency HAVING sum(amount_minor) <> 0
       ) THEN
        RAISE EXCEPTION 'ledger entry % is unbalanced or not whole', entry;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_entry_balanced AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entry_is_balanced();
CREATE CONSTRAINT TRIGGER ledger_line_balanced AFTER INSERT ON ledger_line
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entry_is_balanced();
"""

_APPEND_ONLY = """
CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$;
CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_entry_no_truncate BEFORE TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_line_append_only BEFORE UPDATE OR DELETE ON ledger_line
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_line_no_truncate BEFORE TRUNCATE ON ledger_line
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
"""


def upgrade() -> None:
    """Create the books; the database itself refuses an entry that is not balanced, and any change of one."""
    for block in (_TABLES, _BALANCE, _APPEND_ONLY):
        statements.run(block)
