"""Write the documents of a stretch of time page by page: none holds a transaction open for long."""

from collections.abc import AsyncIterator

from api.accounting.files import INVOICE_COLUMNS, NOTE_COLUMNS, rows_of_invoices, rows_of_notes
from api.seed import operator_database
from domain.config import Settings
from domain.invoices.listing import service
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.ledger.sheet import csv_text


async def invoices(settings: Settings, environment: Environment, period: Period) -> AsyncIterator[str]:
    """Write the invoices that were issued in a period of business time, as they now stand."""
    yield csv_text([list(INVOICE_COLUMNS)])
    after = None
    async with operator_database(settings) as database:
        while True:
            async with database.transaction() as tx:
                found = await service.list_issued(tx, environment, period, after=after)
            if not found:
                return
            yield csv_text(rows_of_invoices(found))
            after = found[-1].number


async def credit_notes(settings: Settings, environment: Environment, period: Period) -> AsyncIterator[str]:
    """Write the credit notes that were issued in a period of business time."""
    yield csv_text([list(NOTE_COLUMNS)])
    after = None
    async with operator_database(settings) as database:
        while True:
            async with database.transaction() as tx:
                found = await service.list_issued_notes(tx, environment, period, after=after)
            if not found:
                return
            yield csv_text(rows_of_notes(found))
            after = found[-1].number
