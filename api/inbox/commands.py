"""The commands of `tollgate inbox`."""

import asyncio
from typing import Annotated

import typer

from api.instants import instant_of

inbox = typer.Typer(
    help="Inbound events of the payment provider: what became of them, and their processing once more.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

State = Annotated[str, typer.Option(help="Those in one state: received, processed, ignored or quarantined.")]


@inbox.command("list")
def list_events(
    *,
    state: State = "",
    type: Annotated[str, typer.Option(help="Those of one type, such as invoice.paid.")] = "",  # noqa: A002 -- --type
    count: Annotated[int, typer.Option("--count", min=1, max=100, help="How many, the newest first.")] = 20,
) -> None:
    """Print those that wait for staff, or those of a state: id, state, type, what each is about, and why."""
    from api.inbox.showing import describe  # noqa: PLC0415 -- loaded by this command only
    from api.verify import settings_at_home  # noqa: PLC0415 -- the same
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    settings = settings_at_home(read_settings())
    for line in asyncio.run(describe(settings, state=_known(state), event_type=type or None, count=count)):
        typer.echo(line)


@inbox.command()
def show(event: Annotated[str, typer.Argument(help="The event, ibx_…")]) -> None:
    """Print all that is known of one event but its content, which is never shown."""
    from api.inbox.showing import describe_one  # noqa: PLC0415 -- loaded by this command only
    from api.verify import settings_at_home  # noqa: PLC0415 -- the same
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    for line in asyncio.run(describe_one(settings_at_home(read_settings()), event)):
        typer.echo(line)


@inbox.command()
def replay(
    events: Annotated[list[str] | None, typer.Argument(help="The events, ibx_…")] = None,
    *,
    since: Annotated[str, typer.Option("--from", help="Received from this instant on, ISO 8601 with an offset.")] = "",
    until: Annotated[str, typer.Option("--to", help="Received before this instant.")] = "",
    state: State = "",
) -> None:
    """Have events processed again: those named, or those received in a stretch of time. Each fetches anew."""
    from api.inbox.showing import replay_named, replay_span  # noqa: PLC0415 -- loaded by this command only
    from api.verify import settings_at_home  # noqa: PLC0415 -- the same
    from domain.config import read_settings  # noqa: PLC0415 -- the same

    if bool(events) == bool(since and until) or bool(since) != bool(until) or (events and state):
        raise typer.BadParameter("name events, or say --from and --to, and a state if wanted")
    settings = settings_at_home(read_settings())
    if events:
        count = asyncio.run(replay_named(settings, events))
    else:
        count = asyncio.run(replay_span(settings, instant_of(since), instant_of(until), state=_known(state)))
    typer.echo(f"{count} events wait for their processing again")


def _known(state: str) -> str | None:
    from domain.webhooks.inbox import InboxState  # noqa: PLC0415 -- loaded by these commands only

    if state and state not in set(InboxState):
        raise typer.BadParameter(f"a state is one of {', '.join(InboxState)}")
    return state or None
