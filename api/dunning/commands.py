"""The commands of `tollgate dunning`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.instants import instant_of

dunning = typer.Typer(
    help="Dunning policies: what follows failed payments.", no_args_is_help=True, rich_markup_mode=None
)


@dunning.callback()
def _group() -> None:
    """Keep `simulate` a command of its own."""


@dunning.command()
def simulate(
    *,
    rules: Annotated[Path | None, typer.Option(help="A JSON file with the rules; else those of --policy.")] = None,
    policy: Annotated[str, typer.Option(help="A stored policy: its name, or name@version.")] = "default",
    outcomes: Annotated[
        str,
        typer.Option(help="How attempts end, with commas, the last for all that follow: codes of declines, or paid."),
    ] = "insufficient_funds",
    failed_at: Annotated[str, typer.Option(help="When the payment fails first, in ISO 8601 with an offset.")] = "",
    method: Annotated[str, typer.Option(help="card, or us_bank_account.")] = "card",
    zone: Annotated[str, typer.Option(help="The customer's zone, of the IANA database.")] = "UTC",
    history: Annotated[bool, typer.Option("--history", help="Replay the newest 100 cases instead.")] = False,
) -> None:
    """Print what a policy would do about a payment that fails: attempts, mails, access, and the end."""
    from api.dunning.simulating import History, Single, print_simulation  # noqa: PLC0415 -- loaded by this command only
    from api.verify import settings_at_home  # noqa: PLC0415 -- the same
    from domain.adapters.clock import now  # noqa: PLC0415 -- the same
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    begins_at = instant_of(failed_at) if failed_at else now()
    given = [each.strip() for each in outcomes.split(",")]
    wish = History() if history else Single(begins_at, given, method, zone)
    needs_database = history or rules is None
    settings = settings_at_home(read_settings()) if needs_database else None
    asyncio.run(print_simulation(settings, wish, rules=rules, policy=policy, echo=typer.echo))
