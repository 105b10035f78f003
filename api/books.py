"""`tollgate verify ledger` and `tollgate ledger export`: whether the books hold, and the books as a file."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from api.instants import instant_of
from api.seed import operator_database
from domain.config import Settings
from domain.credits.prepaid import PrepaidDifference
from domain.credits.wallets.reading import service as wallets
from domain.kernel.call import Environment
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.ledger import service
from domain.ledger.account import Books
from domain.ledger.sheet import HEADER, csv_text, rows_of

if TYPE_CHECKING:
    import typer

_ACCOUNT_WIDTH = 16
_AMOUNT_WIDTH = 18
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Checked:
    """The books of one environment, and where they differ from what wallets hold."""

    books: Books
    prepaid: Sequence[PrepaidDifference]

    @property
    def hold(self) -> bool:
        """Whether nothing is wrong."""
        return self.books.hold and not self.prepaid


def period_of(since: str, until: str) -> Period:
    """Read a stretch of business time that was typed at the terminal; empty is open. Raises BadParameter."""
    start = instant_of(since) if since else EARLIEST
    end = instant_of(until) if until else LATEST
    if start >= end:
        raise _refused()
    return Period(start, end)


def _refused() -> "typer.BadParameter":
    import typer  # noqa: PLC0415 -- only the terminal needs it

    return typer.BadParameter("the stretch of time ends before it begins: give --to an instant after --from")


async def check_ledger(settings: Settings) -> list[Checked]:
    """Add up the books of both environments, and compare prepaid money with the wallets, as of one moment."""
    async with operator_database(settings) as database, database.snapshot() as tx:
        return [
            Checked(await service.check_books(tx, each), await wallets.prepaid_differences(tx, each))
            for each in Environment
        ]


def report(found: Sequence[Checked]) -> Iterator[str]:
    """Write the balance of each account, and what is wrong."""
    for checked in found:
        books = checked.books
        for account, amount in books.balances:
            yield f"{books.environment}  {account:<{_ACCOUNT_WIDTH}}{amount.major:>{_AMOUNT_WIDTH}} {amount.currency}"
        for currency, minor in books.differences.items():
            yield f"{books.environment}  the accounts in {currency} add up to {minor} minor units, not to zero"
        if books.unbalanced:
            yield f"{books.environment}  {books.unbalanced} entries are not balanced"
        for each in checked.prepaid:
            yield (
                f"{books.environment}  the account prepaid stands at {each.booked.major} {each.booked.currency}, "
                f"wallets hold {each.held.major}"
            )
        yield f"{books.environment}  {'holds' if checked.hold else 'does not hold'}"


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
