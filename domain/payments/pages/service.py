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

    What is left of a customer without a key, who was erased, goes.
    """
    found = await store.lock_plain(tx, limit=SEAL_BATCH)
    keys = await customers.data_keys(tx, {customer_id for customer_id, _ in found})
    sealed: dict[store.Key, bytes | None] = dict.fromkeys(found)
    for (customer_id, invoice_id), url in found.items():
        if customer_id in keys:
            place = store.place(customer_id, invoice_id)
            sealed[customer_id, invoice_id] = tx.vault.seal(keys[customer_id], place, url)
    await store.save_sealed(tx, sealed)
    return len(found)
