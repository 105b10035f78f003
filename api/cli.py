"""The command `tollgate`. Each command imports what it needs when it runs, so that `tollgate --help` is quick."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from api.accounting.commands import export
from api.catalogue.commands import catalogue
from api.dunning.commands import dunning
from api.inbox.commands import inbox
from api.instants import instant_of
from api.mail.commands import mail
from api.pricing.commands import prices
from api.privacy.commands import privacy
from api.refusals import refused_in_one_line
from api.taxes.commands import tax
from api.webhooks.commands import webhooks
from domain.kernel.call import Environment

if TYPE_CHECKING:
    from api.replay.client import Client
    from domain.config import Settings

T = TypeVar("T")

app = typer.Typer(
    name="tollgate",
    help="A billing backend.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    # Its way to show a trace shows a screen of source; and values, which may be secrets, in some of its versions.
    pretty_exceptions_enable=False,
)
clocks = typer.Typer(help="Test clocks: the time of test customers.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(clocks, name="clock")
verifying = typer.Typer(
    help="Check that the set-up, an invoice, or all that was counted, is right.", rich_markup_mode=None
)
app.add_typer(verifying, name="verify")
app.add_typer(catalogue, name="catalogue")
app.add_typer(prices, name="prices")
app.add_typer(dunning, name="dunning")
app.add_typer(tax, name="tax")
app.add_typer(export, name="export")
app.add_typer(mail, name="mail")
app.add_typer(webhooks, name="webhooks")
app.add_typer(inbox, name="inbox")
app.add_typer(privacy, name="privacy")

ApiUrl = Annotated[str, typer.Option(help="The server's address; else the running system's of TOLLGATE_HOME.")]
Token = Annotated[str, typer.Option(help="A staff token; else that of the running system's demo.")]


@app.command()
def up() -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    from api.local.up import up as start  # noqa: PLC0415 -- loaded by this command only

    start(_settings(), lambda line: print(line, flush=True))  # noqa: T201 -- for the person at the terminal


@app.command()
def serve() -> None:
    """Serve the API with the settings of the environment."""
    from api.serve import serve as start  # noqa: PLC0415 -- loaded by this command only

    start()


@app.command()
def work() -> None:
    """Run the worker with the settings of the environment. This process becomes it."""
    from domain.config import check_serving  # noqa: PLC0415 -- loaded by this command only

    check_serving(_settings())
    os.execv(sys.executable, [sys.executable, "-m", "workers"])  # noqa: S606 -- our own module


@app.command()
def migrate() -> None:
    """Bring the database to the newest revision. Safe to repeat."""
    from migrations.run import newest_revision, upgrade  # noqa: PLC0415 -- loaded by this command only

    asyncio.run(upgrade(_database_settings().database_url))
    typer.echo(f"the database is at revision {newest_revision()}")


@app.command()
def seed() -> None:
    """Publish the default catalogues and fill the provider price list. Safe to repeat."""
    from api.seed import seed as fill  # noqa: PLC0415 -- loaded by this command only

    settings = _database_settings()
    settings.master_keys()
    seeded = asyncio.run(fill(settings))
    typer.echo(f"{len(seeded.versions)} plan versions published, {seeded.provider_prices} provider prices added")


@app.command()
def schema() -> None:
    """Print the GraphQL schema, as in schema.graphql."""
    from api.graphql.schema import schema as graphql  # noqa: PLC0415 -- loaded by this command only

    typer.echo(graphql.as_str())


@verifying.callback(invoke_without_command=True)
def verify(context: typer.Context) -> None:
    """Check that the set-up is complete; exits 1 when it is not."""
    if context.invoked_subcommand is not None:
        return
    from api.verify import verify as check  # noqa: PLC0415 -- loaded by this command only

    found = asyncio.run(check(_settings_at_home()))
    for finding in found:
        typer.echo(f"{'ok    ' if finding.good else 'failed'}  {finding.name:<15} {finding.detail}")
    if not all(finding.good for finding in found):
        raise typer.Exit(1)


@verifying.command("invoice")
def verify_invoice(invoice: Annotated[str, typer.Argument(help="A number such as 2026-000001, or an id.")]) -> None:
    """Recompute an invoice from its stored events; exits 1 when it differs."""
    from api.verifying import report  # noqa: PLC0415 -- loaded by this command only
    from api.verifying import verify_invoice as check  # noqa: PLC0415 -- the same
    from domain.invoices.verification import Outcome  # noqa: PLC0415 -- the same

    found = asyncio.run(check(_settings_at_home(), invoice))
    for line in report(found):
        typer.echo(line)
    if found.outcome is Outcome.DIFFERENT:
        raise typer.Exit(1)


@verifying.command("ledger")
def verify_ledger() -> None:
    """Add up the books; exits 1 where an entry or the sum is not zero, or prepaid money is not what wallets hold."""
    from api.books import check_ledger, report  # noqa: PLC0415 -- loaded by this command only

    found = asyncio.run(check_ledger(_settings_at_home()))
    for line in report(found):
        typer.echo(line)
    if not all(checked.hold for checked in found):
        raise typer.Exit(1)


@app.command("export-ledger")
def export_ledger(
    *,
    environment: Annotated[Environment, typer.Option(help="Whose books.")] = Environment.LIVE,
    since: Annotated[str, typer.Option("--from", help="An instant of business time; else from the first entry.")] = "",
    until: Annotated[str, typer.Option("--to", help="An instant of business time, not included; else all.")] = "",
    file: Annotated[Path, typer.Argument(help="Where the CSV file is written.")],
) -> None:
    """Write ledger entries to a CSV file, one line of an entry a row."""
    from api.books import export_ledger as pages  # noqa: PLC0415 -- loaded by this command only
    from api.books import period_of  # noqa: PLC0415 -- the same

    period = period_of(since, until)

    async def write() -> None:
        with file.open("w", encoding="utf-8", newline="") as written:
            async for page in pages(_settings_at_home(), environment, period):
                written.write(page)

    asyncio.run(write())


@verifying.command("conservation")
def verify_conservation(
    owner: Annotated[str, typer.Argument(help="A customer's or a subscription's id; else everybody's.")] = "",
    *,
    at: Annotated[str, typer.Option(help="An instant of the usage periods; else all periods.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each period as JSON on a line of its own.")] = False,
) -> None:
    """Prove that what was counted is charged, granted or still due; exits 1 where it does not add up."""
    from api.conserving import print_proofs  # noqa: PLC0415 -- loaded by this command only

    wanted = instant_of(at) if at else None
    if not asyncio.run(print_proofs(_settings_at_home(), owner, at=wanted, as_json=as_json, echo=typer.echo)):
        raise typer.Exit(1)


@app.command()
def redrive(
    *,
    reason: Annotated[str, typer.Option(help="Only those that wait for this reason, such as unpriced.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Count events in quarantine once what they lacked is there. Safe to repeat."""
    import msgspec  # noqa: PLC0415 -- loaded by this command only

    from api.redriving import reason_of, redrive_all, report  # noqa: PLC0415 -- the same

    wanted = reason_of(reason) if reason else None
    summary = asyncio.run(redrive_all(_settings_at_home(), wanted))
    for line in [msgspec.json.encode(summary.as_json()).decode()] if as_json else report(summary):
        typer.echo(line)


@app.command()
def reconcile(*, as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False) -> None:
    """Compare everything with the payment provider now and heal lost news; exits 1 where a person is needed."""
    import msgspec  # noqa: PLC0415 -- loaded by this command only

    from api.reconciling.run import reconcile as compare  # noqa: PLC0415 -- the same
    from api.reconciling.run import report, settings_of  # noqa: PLC0415 -- the same

    found = asyncio.run(compare(settings_of(_settings()), tell=lambda line: typer.echo(line, err=True)))
    for line in [msgspec.json.encode(found.as_json()).decode()] if as_json else report(found):
        typer.echo(line)
    if found.waiting:
        raise typer.Exit(1)


@app.command()
def close(
    *, everything: Annotated[bool, typer.Option("--all", help="Every subscription that is due in real time.")] = False
) -> None:
    """Have the workers close all periods that are due, and wait; exits 1 where one could not be closed."""
    from api.closing.run import close_all, report  # noqa: PLC0415 -- loaded by this command only
    from api.progress import bar  # noqa: PLC0415 -- the same

    if not everything:
        raise typer.BadParameter("say --all")
    with bar("closing", "subscriptions") as progress:
        warn = lambda line: typer.echo(line, err=True)  # noqa: E731
        summary = asyncio.run(close_all(_settings_at_home(), progress=progress, warn=warn))
    for line in report(summary):
        typer.echo(line)
    if summary.refused:
        raise typer.Exit(1)


@app.command("what-if")
def what_if(
    *,
    plan: Annotated[str, typer.Option(help="The plan to compare with.")],
    product: Annotated[str, typer.Option(help="Its product.")] = "llm",
    number: Annotated[int, typer.Option("--version", help="Its version; 0 is the newest.")] = 0,
    customer: Annotated[str, typer.Option(help="One customer's id; else all of them.")] = "",
    at: Annotated[str, typer.Option(help="An instant of the usage period; else the present one.")] = "",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write every line to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Replay a usage period of all customers against another plan, without writing anything."""
    from api.whatif.commands import compare, wish_of  # noqa: PLC0415 -- loaded by this command only

    wish = wish_of(plan, product, number, customer, instant_of(at) if at else None)
    asyncio.run(compare(_settings_at_home(), wish, csv_file=csv_file, as_json=as_json))


@clocks.command("show")
def clock_show(clock_id: str, api_url: ApiUrl = "", token: Token = "") -> None:
    """Show where a test clock stands."""
    from api.replay import clock  # noqa: PLC0415 -- loaded by this command only

    _print_clock(_with_client(api_url, token, lambda client: clock.show(client, clock_id)))


@clocks.command("advance")
def clock_advance(
    clock_id: str,
    to: Annotated[str, typer.Argument(help="An instant in ISO 8601 with an offset: 2027-01-31T00:00:00Z")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until everything due on the way is done.")] = False,
    api_url: ApiUrl = "",
    token: Token = "",
) -> None:
    """Send a test clock to an instant: everything that falls due on the way is run in order."""
    from api.replay import clock  # noqa: PLC0415 -- loaded by this command only

    target = instant_of(to)

    async def act(client: "Client") -> Any:
        started = await clock.start(client, clock_id, target)
        return await clock.arrive(client, clock_id, lambda _: None) if wait else started

    _print_clock(_with_client(api_url, token, act))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="CSV with the columns TIMESTAMP,ContextTokens,GeneratedTokens.")],
    *,
    customers: Annotated[int, typer.Option(min=1, max=100, help="Test customers that share the trace.")] = 10,
    plan: Annotated[str, typer.Option(help="Their plan.")] = "pro",
    product: Annotated[str, typer.Option(help="Their product.")] = "llm",
    provider: Annotated[str, typer.Option(help="Provider of the model that is called.")] = "gemini",
    model: Annotated[str, typer.Option(help="The model that is called.")] = "gemini-2.5-pro",
    batch: Annotated[int, typer.Option(min=1, max=1_000, help="Events in a request.")] = 500,
    close: Annotated[bool, typer.Option("--close", help="Then end the period and wait for the payments.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    api_url: ApiUrl = "",
    api_key: Annotated[str, typer.Option(help="A test key of scope usage:write; else the demo's.")] = "",
    token: Token = "",
) -> None:
    """Replay a recorded trace of LLM requests as usage of test customers; the same file counts once."""
    import msgspec  # noqa: PLC0415 -- loaded by this command only

    from api.replay import run as runs  # noqa: PLC0415 -- the same
    from api.replay.show import Screen, print_table  # noqa: PLC0415 -- the same
    from api.replay.trace import Run  # noqa: PLC0415 -- the same
    from domain.adapters.clock import now  # noqa: PLC0415 -- the same

    run = Run(runs.read_trace(file), customers, product, plan, provider, model)
    screen = Screen()
    result = _with_client(
        api_url,
        token,
        lambda client: runs.replay(client, run, batch=batch, close=close, now=now(), screen=screen),
        api_key=api_key,
    )
    facts = result.as_json()
    if as_json:
        typer.echo(msgspec.json.encode(facts).decode())
    else:
        print_table(facts)
    for fault in result.faults:
        screen.warn(fault)
    if result.faults:
        raise typer.Exit(1)


@app.command()
def conformance(directory: Annotated[Path, typer.Argument(help="A directory of worked cases.")]) -> None:
    """Check worked cases against the code, and tell per area what came out."""
    from api.conformance.run import run  # noqa: PLC0415 -- loaded by this command only

    raise typer.Exit(run(directory, typer.echo))


def main() -> None:
    """Run a command. What it was refused is one line on standard error and status 1; Ctrl-C is status 130."""
    with refused_in_one_line():
        app()


def _settings() -> "Settings":
    from domain.config import read_settings  # noqa: PLC0415 -- loaded by the commands that need it

    return read_settings()


def _settings_at_home() -> "Settings":
    from api.verify import settings_at_home  # noqa: PLC0415 -- loaded by the commands that look into a running system

    return settings_at_home(_settings())


def _database_settings() -> "Settings":
    from domain.config import SettingMissing  # noqa: PLC0415 -- the same

    settings = _settings()
    if not settings.database_url:
        raise SettingMissing("DATABASE_URL", "Set it; on embedded defaults `tollgate up` does this by itself")
    return settings


def _with_client(api_url: str, token: str, act: Callable[["Client"], Awaitable[T]], *, api_key: str | None = None) -> T:
    """Act with the credentials given, and the running demo's where one is empty; a key that is None is not needed."""
    from api.local import demo  # noqa: PLC0415 -- loaded by the commands that need it
    from api.replay.client import Client  # noqa: PLC0415 -- the same

    if not (api_url and token) or api_key == "":
        known = demo.read(_settings().home)
        api_url, token, api_key = api_url or known.api_url, token or known.staff_token, api_key or known.api_key

    async def run() -> T:
        async with Client(api_url, token, api_key or "") as client:
            return await act(client)

    return asyncio.run(run())


def _print_clock(clock: Any) -> None:
    target = f", on its way to {clock['targetAt']}" if clock["targetAt"] else ""
    reason = f": {clock['reason']}" if clock["reason"] else ""
    typer.echo(f"{clock['id']}  {clock['name']}  {clock['nowAt']}  {clock['state']}{target}{reason}")


if __name__ == "__main__":
    main()
