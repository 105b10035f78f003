"""Compare invoices with those before them."""

from collections.abc import Collection

from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.billdiff import store
from domain.invoices.billdiff.diff import BillDiff, compare
from domain.invoices.invoice import Invoice
from domain.kernel.ids import CustomerId, InvoiceId

LOOKUP_MAX = 1_000


async def previous_of_invoices(
    tx: Tx, ids: Collection[InvoiceId], *, scope: CustomerId | None
) -> dict[InvoiceId, Invoice]:
    """Return the invoice before each of at most LOOKUP_MAX invoices in the scope, where there is one.

    It is the newest that was opened earlier, is not void and bills one of the same subscriptions to the same customer
    in the same currency. Two statements, for loaders.
    """
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    previous = await store.previous_ids(tx, ids, sight=Sight(scope))
    found = await invoices.invoices_by_id(tx, frozenset(previous.values()), scope=scope)
    return {later: found[earlier] for later, earlier in previous.items()}


async def compared(tx: Tx, after: Invoice) -> BillDiff | None:
    """Say why an invoice differs from the one before it, or None where there is none."""
    before = (await previous_of_invoices(tx, [after.id], scope=after.customer_id)).get(after.id)
    if before is None:
        return None
    lines = await invoices.lines_by_invoice_ids(tx, [before.id, after.id], scope=after.customer_id)
    return compare(before, lines[before.id], after, lines[after.id])
