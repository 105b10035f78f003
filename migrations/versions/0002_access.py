"""API keys.

Revision ID: 0002
"""

from migrations import statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_API_KEY = """
CREATE TABLE api_key (
    id uuid NOT NULL,
    environment text NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    hash bytea NOT NULL,
    scopes text[] NOT NULL,
    product_key text,
    customer_id uuid,
    source text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_by text NOT NULL,
    CONSTRAINT api_key_pkey PRIMARY KEY (id),
    CONSTRAINT api_key_hash_key UNIQUE (hash),
    CONSTRAINT api_key_environment_check CHECK (environment IN ('live', 'test')),
    CONSTRAINT api_key_hash_check CHECK (octet_length(hash) = 32),
    CONSTRAINT api_key_scopes_check CHECK (cardinality(scopes) > 0),
    CONSTRAINT api_key_product_check CHECK (product_key IS NOT NULL OR NOT scopes @> ARRAY['usage:write'])
);
COMMENT ON COLUMN api_key.prefix IS 'the visible start of the secret';
COMMENT ON COLUMN api_key.hash IS 'SHA-256 of the secret keyed with a pepper';
COMMENT ON COLUMN api_key.customer_id IS 'null: the merchant''s own, for every customer of the environment';
COMMENT ON COLUMN api_key.source IS 'identity''s source of the events sent with it';
COMMENT ON COLUMN api_key.created_by IS 'the principal''s id';
"""


def upgrade() -> None:
    """Create the tables of the slice."""
    statements.run(_API_KEY)
