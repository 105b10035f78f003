"""`tollgate tax show|import`: the table of tax rates at the terminal."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.taxes.files import Row
    from domain.config import Settings
    from domain.invoices.taxing.treatment import TaxRate

tax = typer.Typer(help="The table of tax rates.", no_args_is_help=True, rich_markup_mode=None)


@tax.command("show")
def show(*, country: Annotated[str, typer.Option(help="Rates of this country, such as DE; else all.")] = "") -> None:
    """Write the table as CSV, as `import` reads it."""
    from api.taxes.files import write_file  # noqa: PLC0415 -- loaded by this command only

    typer.echo(write_file(asyncio.run(_list(_settings(), country or None))), nl=False)


@tax.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV with country, region, tax_code, name, percent, inclusive (yes or no), valid_from and valid_to.",
        ),
    ],
) -> None:
    """Put the rates of a file on the table, all of them or none. Safe to repeat: rates that are there stay."""
    from api.taxes.files import FILE_BYTES_MAX, read_file  # noqa: PLC0415 -- loaded by this command only

    with file.open("rb") as opened:
        rows = read_file(opened.read(FILE_BYTES_MAX + 1))
    typer.echo(f"{asyncio.run(_import(_settings(), rows))} rates added")


def _settings() -> "Settings":
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by these commands only
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    return settings_at_home(read_settings())


async def _list(settings: "Settings", country: str | None) -> "Sequence[TaxRate]":
    from api.seed import operator  # noqa: PLC0415 -- the same
    from domain.invoices.taxing import service  # noqa: PLC0415 -- the same

    async with operator(settings) as (tx, call):
        return await service.list_rates(tx, call, country=country)


async def _import(settings: "Settings", rows: "Sequence[Row]") -> int:
    """Put the rates on the table in one transaction, oldest first, so that each ends the one before it."""
    from dataclasses import asdict  # noqa: PLC0415 -- the same

    from api.seed import operator  # noqa: PLC0415 -- the same
    from domain.invoices.taxing import service  # noqa: PLC0415 -- the same

    async with operator(settings) as (tx, call):
        before = len(await service.list_rates(tx, call))
        for row in sorted(rows, key=lambda row: row.valid_from):
            await service.set_rate(tx, call, **asdict(row))
        return len(await service.list_rates(tx, call)) - before
