"""The provider price list may state dearer prices for calls with more input tokens than so many.

Revision ID: 0064
"""

from migrations import statements

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

# A process of before writes rows without the column, which are those of every call; its columns are read by name.
_ABOVE = """
ALTER TABLE provider_price ADD COLUMN above integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN provider_price.above IS 'input tokens of a call; it has more';
ALTER TABLE provider_price ADD CONSTRAINT provider_price_above_check CHECK (above >= 0);
ALTER TABLE provider_price DROP CONSTRAINT provider_price_provider_model_pool_valid_from_key;
ALTER TABLE provider_price ADD CONSTRAINT provider_price_provider_model_pool_valid_from_above_key
    UNIQUE (provider, model, pool, valid_from, above);
ALTER TABLE provider_price DROP CONSTRAINT provider_price_overlap_excl;
ALTER TABLE provider_price ADD CONSTRAINT provider_price_overlap_excl EXCLUDE USING gist (
    textrange(provider || ' ' || model || ' ' || pool || ' ' || above::text,
              provider || ' ' || model || ' ' || pool || ' ' || above::text, '[]') WITH &&,
    tstzrange(valid_from, valid_to) WITH &&);
"""


def upgrade() -> None:
    """Until now a pool had one price whatever the length of a call."""
    statements.run(_ABOVE)
