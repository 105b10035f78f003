"""A term that waits for its payment may begin at the very instant of one that holds meanwhile.

Revision ID: 0065
"""

from migrations import statements

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

# A process of before takes away the other one as it writes the one that waits: the wider key lets it.
_PENDING = """
ALTER TABLE subscription_term DROP CONSTRAINT subscription_term_pkey;
ALTER TABLE subscription_term ADD CONSTRAINT subscription_term_pkey
    PRIMARY KEY (customer_id, subscription_id, starts_at, pending);
"""


def upgrade() -> None:
    """Until now an upgrade that was not paid took the term with it that it had replaced."""
    statements.run(_PENDING)
