"""The commands of `tollgate mail`."""

from pathlib import Path
from typing import Annotated

import typer

mail = typer.Typer(help="Mail to customers.", no_args_is_help=True, rich_markup_mode=None)


@mail.callback()
def _group() -> None:
    """Keep `preview` a command of its own."""


@mail.command()
def preview(
    name: Annotated[str, typer.Argument(help="A kind of mail, such as payment_failed; else every one.")] = "",
    *,
    out: Annotated[Path, typer.Option(help="The directory to write to.")] = Path(".tollgate/mail-preview"),
) -> None:
    """Render mails with example data, text and HTML in each language, and write them with a page that lists them."""
    from api.mail.previewing import NAMES, write_previews  # noqa: PLC0415 -- loaded by this command only

    if name and name not in NAMES:
        raise typer.BadParameter(f"there is no such mail; there are {', '.join(NAMES)}")
    for file in write_previews(out, [name] if name else NAMES):
        typer.echo(str(file))
