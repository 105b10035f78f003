"""Statements on the sealed addresses of the gateway's pages."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from domain import db
from domain.customers.store import data_key
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.store import gateway_invoice
from domain.vault import Vault

Key = tuple[CustomerId, InvoiceId]


def place(customer_id: CustomerId, invoice_id: InvoiceId) -> str:
    """Name the place of a sealed address: moved to another row it does not open."""
    return f"gateway_invoice:sealed_page:{customer_id}:{invoice_id}"


async def find_pages(tx: db.Tx, invoices: Collection[Key]) -> dict[Key, str]:
    """Return the gateway's pages on which customers' invoices can be paid, where there are: for loaders.

    One that an earlier version has left plain is newer than what is sealed beside it. A customer that is erased has
    none, whatever is still to be cleared.
    """
    own = gateway_invoice.c
    statement = (
        sa.select(own.customer_id, own.invoice_id, own.hosted_url, own.sealed_page, data_key.c.wrapped)
        .join(data_key, data_key.c.customer_id == own.customer_id)
        .where(
            sa.tuple_(own.customer_id, own.invoice_id).in_(invoices),
            sa.or_(own.hosted_url.is_not(None), own.sealed_page.is_not(None)),
            data_key.c.erased_at.is_(None),
        )
    )
    return {
        (row.customer_id, row.invoice_id): row.hosted_url or _opened(tx.vault, row) for row in await tx.rows(statement)
    }


def _opened(vault: Vault, row: sa.Row[tuple[object, ...]]) -> str:
    key = vault.unwrap(str(row.customer_id), row.wrapped)
    return vault.open(key, place(row.customer_id, row.invoice_id), row.sealed_page).decode()


async def lock_plain(tx: db.Tx, *, limit: int) -> dict[Key, str]:
    """Lock copies whose page an earlier version has left plain, but for those that are locked already."""
    own = gateway_invoice.c
    statement = (
        sa.select(own.customer_id, own.invoice_id, own.hosted_url)
        .where(own.hosted_url.is_not(None))
        .order_by(own.invoice_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return {(row.customer_id, row.invoice_id): row.hosted_url for row in await tx.rows(statement)}


async def save_sealed(tx: db.Tx, sealed: Mapping[Key, bytes | None]) -> None:
    """Put sealed addresses in place of plain ones, of copies that are locked; their versions stay."""
    own = gateway_invoice.c
    statement = (
        sa.update(gateway_invoice)
        .where(own.customer_id == sa.bindparam("of_customer"), own.invoice_id == sa.bindparam("of_invoice"))
        .values(hosted_url=None, sealed_page=sa.bindparam("page"))
    )
    rows = [
        {"of_customer": customer_id, "of_invoice": invoice_id, "page": page}
        for (customer_id, invoice_id), page in sealed.items()
    ]
    if rows:
        await tx.execute(statement, rows)


async def count_plain(tx: db.Tx, *, limit: int) -> int:
    """Count copies whose page is plain, at most `limit`."""
    plain = sa.select(gateway_invoice.c.invoice_id).where(gateway_invoice.c.hosted_url.is_not(None)).limit(limit)
    return int(await tx.value(sa.select(sa.func.count()).select_from(plain.subquery())) or 0)


async def find_newest(tx: db.Tx) -> Key | None:
    """Return whose the newest invoice with a sealed page at the gateway is, for a look whether it opens."""
    own = gateway_invoice.c
    statement = sa.select(own.customer_id, own.invoice_id).where(own.sealed_page.is_not(None))
    row = await tx.row(statement.order_by(own.invoice_id.desc()).limit(1))
    return (row.customer_id, row.invoice_id) if row else None
