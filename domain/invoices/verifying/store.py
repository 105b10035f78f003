"""Look an invoice up by what a person knows of it."""

from domain.customers.store import Sight
from domain.db import Tx
from domain.kernel.ids import InvoiceId

_BY_NUMBER = """
SELECT id FROM invoice
WHERE number = $1 AND ($2::uuid IS NULL OR customer_id = $2) AND ($3::text IS NULL OR environment = $3)
ORDER BY id LIMIT 1
"""


async def find_invoice_id(tx: Tx, number: str, *, sight: Sight) -> InvoiceId | None:
    """Return the invoice in sight that has a number; numbers of live and test customers never meet."""
    driver = await tx.raw()
    found = await driver.fetchval(_BY_NUMBER, number, sight.scope, sight.environment)
    return InvoiceId(found) if found is not None else None
