"""Count a customer's events where they are, in one statement: all figures are of one moment."""

import asyncpg

from domain.kernel.ids import CustomerId

# Of an erased customer nothing waits in quarantine, and at the end of the retention no event is left; identities stay.
_ACCEPTED = """
WITH whose AS (
    SELECT erased_at IS NOT NULL AS erased, erased_at IS NOT NULL AND retained IS NULL AS ended
    FROM data_key WHERE customer_id = $1::uuid
)
SELECT
    (SELECT count(*) FROM event_identity
     WHERE customer_id = $1::uuid AND verdict = 1 AND NOT (SELECT ended FROM whose)) AS counted,
    (SELECT count(*) FROM event_identity
     WHERE customer_id = $1::uuid AND verdict = 2 AND NOT (SELECT erased FROM whose)) AS quarantined,
    (SELECT count(*) FROM usage_event WHERE customer_id = $1::uuid AND NOT (SELECT ended FROM whose)) AS stored,
    (SELECT count(*) FROM (SELECT id FROM usage_correction WHERE customer_id = $1::uuid
                           GROUP BY id HAVING sum(sign) < 0) c) AS put_away,
    (SELECT count(*) FROM usage_event WHERE customer_id = $1::uuid AND type = 'void') AS voids,
    (SELECT count(*) FROM quarantined_event
     WHERE customer_id = $1::uuid AND resolved_at IS NULL AND reason <> 'unpriced'
     AND NOT (SELECT erased FROM whose)) AS held
"""


async def count_accepted(driver: asyncpg.Connection, customer_id: CustomerId) -> asyncpg.Record:
    """Count identities by their verdict, and stored, corrected and quarantined events."""
    row = await driver.fetchrow(_ACCEPTED, customer_id)
    assert row is not None, "counts are always there"
    return row
