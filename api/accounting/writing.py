"""Write the documents of a stretch of time page by page: none holds a transaction open for long."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from api.accounting.files import INVOICE_COLUMNS, NOTE_COLUMNS, rows_of_invoices, rows_of_notes
from api.seed import operator_database
from domain.config import Settings
from domain.db import Tx
from domain.invoices.credit_note import CreditNote
from domain.invoices.invoice import Invoice
from domain.invoices.listing import service
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.ledger.sheet import csv_text

Document = TypeVar("Document", Invoice, CreditNote)


async def invoices(settings: Settings, environment: Environment, period: Period) -> AsyncIterator[str]:
    """Write the invoices that were issued in a period of business time, as they now stand."""

    async def read(tx: Tx, after: str | None) -> Sequence[Invoice]:
        return await service.list_issued(tx, environment, period, after=after)

    yield csv_text([list(INVOICE_COLUMNS)])
    async for page in _pages(settings, read):
        yield csv_text(rows_of_invoices(page))


async def credit_notes(settings: Settings, environment: Environment, period: Period) -> AsyncIterator[str]:
    """Write the credit notes that were issued in a period of business time."""

    async def read(tx: Tx, after: str | None) -> Sequence[CreditNote]:
        return await service.list_issued_notes(tx, environment, period, after=after)

    yield csv_text([list(NOTE_COLUMNS)])
    async for page in _pages(settings, read):
        yield csv_text(rows_of_notes(page))


async def _pages(
    settings: Settings, read: Callable[[Tx, str | None], Awaitable[Sequence[Document]]]
) -> AsyncIterator[Sequence[Document]]:
    """Read documents by their numbers, each page in a transaction of its own."""
    after = None
    async with operator_database(settings) as database:
        while True:
            async with database.transaction() as tx:
                found = await read(tx, after)
            if not found:
                return
            yield found
            after = found[-1].number
