"""The commands of `tollgate privacy`."""

import typer

privacy = typer.Typer(
    help="Personal data: where it is, a customer's in one file, and its erasure.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@privacy.callback()
def _group() -> None:
    """Keep the name of a command in the way of its call, also while there is only one."""


@privacy.command()
def inventory() -> None:
    """Print every column that holds personal data, what it holds, and what becomes of it when a customer is erased."""
    from domain.privacy.inventory import described  # noqa: PLC0415 -- loaded by this command only
    from domain.privacy.inventory import inventory as declared  # noqa: PLC0415 -- the same

    for where, what, fate in described(declared()):
        typer.echo(f"{where:<34} {what}: {fate}")
