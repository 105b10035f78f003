"""`tollgate catalogue list|show|diff|publish`: what is sold, at the terminal."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from domain.config import Settings
    from domain.plans.definition import ProductDefinition
    from domain.plans.plan import Catalogue
    from domain.plans.publishing.changes import Publication

catalogue = typer.Typer(
    help="What is sold: products, meters, plans and prices.", no_args_is_help=True, rich_markup_mode=None
)

ProductFile = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, readable=True, help="A product as JSON; see docs/catalogue.md."),
]


@catalogue.command("list")
def list_products() -> None:
    """List products and plans, with the version that is sold and in which currencies."""
    for line in _lines(asyncio.run(_load(_settings()))):
        typer.echo(line)


@catalogue.command("show")
def show(product: Annotated[str, typer.Argument(help="The product's key, such as llm.")]) -> None:
    """Write a product as JSON, as `publish` reads it."""
    import msgspec  # noqa: PLC0415 -- loaded by this command only

    found = asyncio.run(_definition(_settings(), product))
    typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


@catalogue.command("diff")
def diff(file: ProductFile) -> None:
    """Show what publishing a file would change, and change nothing."""
    for line in report(asyncio.run(_publish(_settings(), _read(file), keep=False))):
        typer.echo(line)


@catalogue.command("publish")
def publish_file(file: ProductFile) -> None:
    """Publish a product. Safe to repeat: only a plan that differs gets a version."""
    for line in report(asyncio.run(_publish(_settings(), _read(file), keep=True))):
        typer.echo(line)


def report(found: "Publication") -> Iterator[str]:
    """Say what changes, a line for each thing."""
    if found.nothing:
        yield f"{found.product}: everything is there already"
    if found.is_new:
        yield f"product {found.product}: new"
    yield from (f"meter {key}: new" for key in found.meters)
    for change in found.plans:
        version = "no new version" if change.number is None else f"version {change.number}"
        yield f"plan {change.plan}: {version}"
        yield from (f"  {detail}" for detail in change.details)
    yield from (f"{what}: not named, stays as it is" for what in found.left_out)


def _lines(found: "Catalogue") -> Iterator[str]:
    for product in found.products:
        yield f"{product.key}  {product.name}"
        for plan in found.plans_of(product.id):
            version = found.current_version_of(plan.id)
            archived = ", archived" if plan.archived_at else ""
            currencies = ", ".join(sorted({price.currency for price in version.prices}))
            sold = f"{currencies or 'without a price'}{archived}"
            yield f"  {plan.key:<16} version {version.number}, rank {plan.rank}, {sold}"


def _settings() -> "Settings":
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by these commands only
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    return settings_at_home(read_settings())


def _read(file: Path) -> "ProductDefinition":
    from domain.plans.definition import FILE_BYTES_MAX, read_product  # noqa: PLC0415 -- the same

    with file.open("rb") as opened:
        return read_product(opened.read(FILE_BYTES_MAX + 1))


async def _load(settings: "Settings") -> "Catalogue":
    from api.seed import operator  # noqa: PLC0415 -- the same
    from domain.plans import service  # noqa: PLC0415 -- the same

    async with operator(settings) as (tx, call):
        return await service.get_catalogue(tx, call)


async def _definition(settings: "Settings", product: str) -> "ProductDefinition":
    from api.seed import operator  # noqa: PLC0415 -- the same
    from domain.plans.publishing import service  # noqa: PLC0415 -- the same

    async with operator(settings) as (tx, call):
        return await service.get_definition(tx, call, product)


async def _publish(settings: "Settings", product: "ProductDefinition", *, keep: bool) -> "Publication":
    from api.catalogue.trying import publish  # noqa: PLC0415 -- the same
    from api.seed import operator_call, operator_database  # noqa: PLC0415 -- the same

    async with operator_database(settings) as database:
        return await publish(database, operator_call(), product, keep=keep)
