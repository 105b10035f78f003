"""`tollgate verify ledger` and `tollgate ledger export`: whether the books hold, and the books as a file."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime

from api.seed import operator_database
from domain.config import Settings
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.ledger import service
from domain.ledger.account import Books
from domain.ledger.sheet import HEADER, csv_text, rows_of

_ACCOUNT_WIDTH = 16
_AMOUNT_WIDTH = 18
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


async def check_ledger(settings: Settings) -> list[Books]:
    """Add up the books of both environments."""
    async with operator_database(settings) as database, database.transaction() as tx:
        return [await service.check_books(tx, environment) for environment in Environment]


def report(found: Sequence[Books]) -> Iterator[str]:
    """Write the balance of each account, and what is wrong."""
    for books in found:
        for account, amount in books.balances:
            yield f"{books.environment}  {account:<{_ACCOUNT_WIDTH}}{amount.major:>{_AMOUNT_WIDTH}} {amount.currency}"
        for currency, minor in books.differences.items():
            yield f"{books.environment}  the accounts in {currency} add up to {minor} minor units, not to zero"
        if books.unbalanced:
            yield f"{books.environment}  {books.unbalanced} entries are not balanced"
        yield f"{books.environment}  {'holds' if books.hold else 'does not hold'}"


async def export_ledger(settings: Settings, environment: Environment, period: Period) -> AsyncIterator[str]:
    """Write the books of a period in business time as CSV, page by page: none holds a transaction open for long."""
    yield csv_text([HEADER])
    after = None
    async with operator_database(settings) as database:
        while True:
            async with database.transaction() as tx:
                entries = await service.list_entries_after(tx, environment=environment, period=period, after=after)
            if not entries:
                return
            yield csv_text(rows_of(entries))
            after = entries[-1].id
