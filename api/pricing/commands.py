"""`tollgate prices show|diff|import|update`: the provider price list at the terminal."""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.instants import instant_of

if TYPE_CHECKING:
    from api.pricing.changes import Diff
    from domain.config import Settings
    from domain.plans.provider_price import PriceSet, ProviderPrice

prices = typer.Typer(help="The provider price list.", no_args_is_help=True, rich_markup_mode=None)

PriceFile = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        readable=True,
        help="CSV or JSON with provider, model, pool, above, amount, per, valid_from, valid_to and source.",
    ),
]


class _Undo(Exception):
    """Ends a transaction without keeping anything of it."""


@prices.command("show")
def show(
    *,
    provider: Annotated[str, typer.Option(help="Rows of this provider, such as gemini.")] = "",
    model: Annotated[str, typer.Option(help="Rows of this model; * for those of any model.")] = "",
    at: Annotated[str, typer.Option(help="Rows in force at this instant: 2026-08-01T00:00:00Z")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV, as `import` reads it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, as `import` reads it.")] = False,
) -> None:
    """Show the rows of the list."""
    from api.pricing.files import write_csv, write_json  # noqa: PLC0415 -- loaded by this command only

    found = asyncio.run(_list(_settings(), provider or None, model or None, instant_of(at) if at else None))
    if as_csv or as_json:
        typer.echo(write_csv(found) if as_csv else write_json(found), nl=False)
    else:
        _print_table(found)


@prices.command("diff")
def diff(file: PriceFile) -> None:
    """Show what importing a file would change, and change nothing; exits 1 when some of it would be refused."""
    _print_diff(asyncio.run(_try(_settings(), _read(file))))


def _print_diff(found: "Diff") -> None:
    """Print what an import does; exits 1 where some of it is refused."""
    from api.pricing.files import instant_text  # noqa: PLC0415 -- the same

    for row in found.ended:
        typer.echo(f"- {_text(row)} ends {instant_text(row.valid_to) if row.valid_to else ''}")
    for row in found.added:
        typer.echo(f"+ {_text(row)} from {instant_text(row.valid_from)} ({row.source})")
    for refused, why in found.refused:
        typer.echo(f"! {refused.provider} {refused.model}: {why.message}")
    facts = (f"{len(found.added)} rows added", f"{len(found.ended)} end", f"{found.unchanged} sets are there already")
    typer.echo(f"{', '.join(facts)}, {len(found.refused)} refused")
    if found.refused:
        raise typer.Exit(1)


@prices.command("import")
def import_file(file: PriceFile) -> None:
    """Add the rows of a file, all of them or none. Safe to repeat: rows that are there stay."""
    written = asyncio.run(_import(_settings(), _read(file)))
    typer.echo(f"{written} rows added")


@prices.command("update")
def update(
    *,
    since: Annotated[str, typer.Option("--from", help="A full hour from now on; the next one, unless told.")] = "",
    provider: Annotated[str, typer.Option(help="Models of this provider alone, such as gemini.")] = "",
    model: Annotated[str, typer.Option(help="Models of this name alone.")] = "",
    own: Annotated[bool, typer.Option("--own", help="Also where the merchant has prices of its own.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Take what the installed public price data say by then; models with the merchant's own prices are left alone."""
    wanted = (instant_of(since) if since else None, provider or None, model or None)
    _print_diff(asyncio.run(_update(_settings(), *wanted, own=own, dry_run=dry_run)))


def _settings() -> "Settings":
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by these commands only
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    return settings_at_home(read_settings())


def _read(file: Path) -> "list[PriceSet]":
    from api.pricing.files import FILE_BYTES_MAX, read_file  # noqa: PLC0415 -- the same

    with file.open("rb") as opened:
        return read_file(opened.read(FILE_BYTES_MAX + 1))


async def _list(
    settings: "Settings", provider: str | None, model: str | None, at: datetime | None
) -> "list[ProviderPrice]":
    from api.pricing.changes import list_all  # noqa: PLC0415 -- the same
    from api.seed import operator  # noqa: PLC0415 -- the same

    async with operator(settings) as (tx, call):
        return await list_all(tx, call, provider=provider, model=model, at=at)


async def _try(settings: "Settings", sets: "list[PriceSet]") -> "Diff":
    from api.pricing.changes import try_sets  # noqa: PLC0415 -- the same
    from api.seed import operator  # noqa: PLC0415 -- the same

    with suppress(_Undo):
        async with operator(settings) as (tx, call):
            found = await try_sets(tx, call, sets)
            raise _Undo
    return found


async def _update(
    settings: "Settings", since: datetime | None, provider: str | None, model: str | None, *, own: bool, dry_run: bool
) -> "Diff":
    from api.pricing.changes import try_public  # noqa: PLC0415 -- the same
    from api.seed import operator  # noqa: PLC0415 -- the same

    with suppress(_Undo):
        async with operator(settings) as (tx, call):
            found = await try_public(tx, call, since=since, provider=provider, model=model, with_own=own)
            if dry_run:
                raise _Undo
    return found


async def _import(settings: "Settings", sets: "list[PriceSet]") -> int:
    from api.pricing.changes import import_sets  # noqa: PLC0415 -- the same
    from api.seed import operator  # noqa: PLC0415 -- the same

    async with operator(settings) as (tx, call):
        return await import_sets(tx, call, sets)


def _text(row: "ProviderPrice") -> str:
    from api.pricing.files import plain  # noqa: PLC0415 -- the same

    above = f" above {row.above}" if row.above else ""
    return f"{row.provider} {row.model} {row.pool}{above} {plain(row.amount)} {row.currency} for {plain(row.per)}"


def _print_table(found: "Iterable[ProviderPrice]") -> None:
    from rich.console import Console  # noqa: PLC0415 -- the same
    from rich.table import Table  # noqa: PLC0415 -- the same

    from api.pricing.files import instant_text, plain  # noqa: PLC0415 -- the same

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("provider", "model", "pool", "above", "amount", "per", "from", "to", "source"):
        table.add_column(name, justify="right" if name in {"above", "amount", "per"} else "left", no_wrap=True)
    for row in found:
        until = instant_text(row.valid_to) if row.valid_to else ""
        numbers = (str(row.above), plain(row.amount), plain(row.per))
        table.add_row(row.provider, row.model, row.pool, *numbers, instant_text(row.valid_from), until, row.source)
    # Whoever pipes it on gets whole lines.
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, width=width).print(table)
