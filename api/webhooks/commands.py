"""The commands of `tollgate webhooks`."""

import asyncio
from typing import Annotated

import typer

from api.instants import instant_of

webhooks = typer.Typer(
    help="Outgoing webhooks: endpoints, and events sent once more.", no_args_is_help=True, rich_markup_mode=None
)


@webhooks.command("list")
def list_endpoints() -> None:
    """Print each endpoint: its id, environment, state, what waits, and what it listens to."""
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by this command only
    from api.webhooks.sending import describe  # noqa: PLC0415 -- the same
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    for line in asyncio.run(describe(settings_at_home(read_settings()))):
        typer.echo(line)


@webhooks.command()
def types() -> None:
    """Print each type of event, and what it tells of."""
    from domain.webhooks.event_kind import KINDS  # noqa: PLC0415 -- loaded by this command only

    for kind in KINDS:
        typer.echo(f"{kind.name:<32}{kind.description}")


@webhooks.command()
def replay(
    endpoint: Annotated[str, typer.Argument(help="The endpoint, whe_…")],
    *,
    first: Annotated[int, typer.Option("--from-number", help="Number of the first event.")] = 0,
    last: Annotated[int, typer.Option("--to-number", help="Number of the last event.")] = 0,
    since: Annotated[str, typer.Option("--from", help="Business time in ISO 8601 with an offset, inclusive.")] = "",
    until: Annotated[str, typer.Option("--to", help="Business time, exclusive.")] = "",
    customer: Annotated[str, typer.Option(help="Those of one customer, cus_…")] = "",
) -> None:
    """Send events once more, under their ids, beside what happens: a range of numbers, or a stretch of time."""
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by this command only
    from api.webhooks.sending import Numbers, Times, order_replay  # noqa: PLC0415 -- the same
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    if bool(first and last) == bool(since and until):
        raise typer.BadParameter("say --from-number and --to-number, or --from and --to")
    wanted = Numbers(first, last) if first else Times(instant_of(since), instant_of(until))
    settings = settings_at_home(read_settings())
    typer.echo(asyncio.run(order_replay(settings, endpoint, wanted, customer=customer)))
