"""`tollgate export invoices|credit-notes`: the documents of a stretch of time as CSV files, for bookkeeping."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.kernel.call import Environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.config import Settings
    from domain.kernel.period import Period

export = typer.Typer(
    help="Invoices and credit notes as CSV files, for bookkeeping.", no_args_is_help=True, rich_markup_mode=None
)
Of = Annotated[Environment, typer.Option("--environment", help="Live and test have numbers of their own.")]
Since = Annotated[str, typer.Option("--from", help="An instant of business time; else from the first one.")]
Until = Annotated[str, typer.Option("--to", help="An instant of business time, not included; else all.")]
To = Annotated[Path, typer.Argument(help="Where the CSV file is written.")]


@export.command("invoices")
def invoices(file: To, *, environment: Of = Environment.LIVE, since: Since = "", until: Until = "") -> None:
    """Write the invoices that were issued, by their numbers: one a row, as it now stands; void ones too."""
    from api.accounting import writing  # noqa: PLC0415 -- loaded by this command only

    asyncio.run(_write(file, writing.invoices(_settings(), environment, _period(since, until))))


@export.command("credit-notes")
def credit_notes(file: To, *, environment: Of = Environment.LIVE, since: Since = "", until: Until = "") -> None:
    """Write the credit notes that were issued, by their numbers: one a row."""
    from api.accounting import writing  # noqa: PLC0415 -- loaded by this command only

    asyncio.run(_write(file, writing.credit_notes(_settings(), environment, _period(since, until))))


async def _write(file: Path, pages: "AsyncIterator[str]") -> None:
    with file.open("w", encoding="utf-8", newline="") as written:
        async for page in pages:
            written.write(page)


def _period(since: str, until: str) -> "Period":
    from api.books import period_of  # noqa: PLC0415 -- loaded by these commands only

    return period_of(since, until)


def _settings() -> "Settings":
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by these commands only
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    return settings_at_home(read_settings())
