"""Seal the addresses of the gateway's pages, those too that an earlier version has left plain."""

from domain.customers import service as customers
from domain.db import Tx
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.pages import store

# Of one transaction.
SEAL_BATCH = 500


async def seal_page(tx: Tx, customer_id: CustomerId, invoice_id: InvoiceId, url: str) -> bytes:
    """Seal the address of an invoice's page under its customer's key. Raises CustomerNotFound."""
    key = await customers.data_key(tx, customer_id)
    return tx.vault.seal(key, store.place(customer_id, invoice_id), url)


async def seal_plain(tx: Tx) -> int:
    """Seal what is plain of at most SEAL_BATCH invoices; return of how many. Safe to repeat and to run twice at once.

    Every customer with an invoice has a key.
    """
    found = await store.lock_plain(tx, limit=SEAL_BATCH)
    keys = await customers.data_keys(tx, {customer_id for customer_id, _ in found})
    await store.save_sealed(
        tx, {each: tx.vault.seal(keys[each[0]], store.place(*each), url) for each, url in found.items()}
    )
    return len(found)
