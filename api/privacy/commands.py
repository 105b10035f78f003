"""The commands of `tollgate privacy`."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from domain.config import Settings

Customer = Annotated[str, typer.Argument(help="The customer, cus_…")]

privacy = typer.Typer(
    help="Personal data: where it is, a customer's in one file, and its erasure.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@privacy.command()
def inventory() -> None:
    """Print every column that holds personal data, what it holds, and what becomes of it when a customer is erased."""
    from domain.privacy.inventory import described  # noqa: PLC0415 -- loaded by this command only
    from domain.privacy.inventory import inventory as declared  # noqa: PLC0415 -- the same

    for where, what, fate in described(declared()):
        typer.echo(f"{where:<34} {what}: {fate}")


@privacy.command()
def export(customer: Customer) -> None:
    """Print everything of a customer as JSON Lines; nothing is kept. Redirect it to a file. Audited."""
    from api.privacy.writing import write_export  # noqa: PLC0415 -- loaded by this command only

    asyncio.run(write_export(_settings(), customer, sys.stdout.buffer))


@privacy.command()
def seal() -> None:
    """Seal personal values that an earlier version has kept plain, as workers do by themselves. Safe to repeat."""
    from api.privacy.sealing import seal_plain  # noqa: PLC0415 -- loaded by this command only

    typer.echo(f"{asyncio.run(seal_plain(_settings()))} values sealed")


@privacy.command()
def rekey(
    *, is_looked_at: Annotated[bool, typer.Option("--check", help="Change nothing; exits 1 where any is left.")] = False
) -> None:
    """Put under TOLLGATE_MASTER_KEY what is sealed under TOLLGATE_OTHER_MASTER_KEYS. Safe to repeat and to break off.

    Exits 1 where something is left, or opens under none of them.
    """
    from api.privacy.rekeying import rekey_all  # noqa: PLC0415 -- loaded by this command only

    if not asyncio.run(rekey_all(_settings(), is_looked_at=is_looked_at, tell=typer.echo)):
        raise typer.Exit(1)


@privacy.command()
def erase(
    customer: Customer,
    *,
    reason: Annotated[str, typer.Option(help="Why: requested, unused or mistake.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
) -> None:
    """Erase a customer for good. The workers clear what is left of it; what the law wants kept is kept restricted."""
    from api.privacy.erasing import erase_customer, reason_of  # noqa: PLC0415 -- loaded by this command only

    wanted = reason_of(reason)
    if not yes:
        typer.confirm(f"Erase {customer} for good?", abort=True)
    for line in asyncio.run(erase_customer(_settings(), customer, wanted)):
        typer.echo(line)


@privacy.command()
def document(invoice: Annotated[str, typer.Argument(help="An invoice of an erased customer, inv_…")]) -> None:
    """Print the PDF file of an invoice that is kept of an erased customer. Redirect it to a file. Audited."""
    from api.privacy.erasing import restricted_file  # noqa: PLC0415 -- loaded by this command only

    sys.stdout.buffer.write(asyncio.run(restricted_file(_settings(), invoice)))
    sys.stdout.buffer.flush()


def _settings() -> "Settings":
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by these commands only
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    return settings_at_home(read_settings())
