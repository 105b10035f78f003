"""One replay from beginning to end: cast, clock, events, live totals, and the period's close."""

import asyncio
import time
from datetime import datetime, timedelta
from pathlib import Path

from api.replay import clock, documents
from api.replay.cast import Cast, gather_cast
from api.replay.client import Client
from api.replay.errors import ReplayError
from api.replay.live import watching
from api.replay.sending import Tally, send_all
from api.replay.show import Screen
from api.replay.totals import Bills, Totals, of_invoices, of_lines, of_usage, plain
from api.replay.trace import FILE_BYTES_MAX, Run, Trace, events_of, parse
from domain.kernel.values import dataclass

LIVE_WITHIN_S = 15.0
PAID_WITHIN_S = 120.0
POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class Result:
    """What a replay did. `totals` and `bills` are what Tollgate counted and billed, not what the file says."""

    tally: Tally
    seconds: float
    totals: Totals
    bills: Bills
    live: bool

    @property
    def faults(self) -> list[str]:
        """What went wrong, one line each; empty for a run that is complete."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.tally.reasons.most_common())
        found = [f"{self.tally.lost} events were not counted: {reasons}"] if self.tally.lost else []
        return found if self.live else [*found, "the totals over the websocket did not reach those of the API"]

    def as_json(self) -> dict[str, int | float | str]:
        """Return the facts for scripts; amounts are decimals in major units, as text."""
        return {
            "sent": self.tally.sent,
            "counted": self.tally.statuses["counted"],
            "duplicate": self.tally.statuses["duplicate"],
            "events_per_s": round(self.tally.sent / self.seconds, 1),
            "tokens_in": self.totals.input_tokens,
            "tokens_out": self.totals.output_tokens,
            "list_cost": plain(self.totals.cost),
            "invoices": self.bills.invoices,
            "paid": format(self.bills.paid, "f"),
        }


def read_trace(file: Path) -> Trace:
    """Read a trace from a file. Raises ReplayError."""
    try:
        with file.open("rb") as opened:
            # One byte beyond the bound is enough for it to be refused.
            return parse(opened.read(FILE_BYTES_MAX + 1))
    except OSError as error:
        raise ReplayError(f"{file} cannot be read ({error.strerror})") from error


async def replay(client: Client, run: Run, *, batch: int, close: bool, now: datetime, screen: Screen) -> Result:
    """Replay a trace, once or again. Raises ReplayError.

    A later replay of the same run finds the same customers, ids and times, and counts nothing twice, also after the
    period was closed.
    """
    screen.step(f"finding or making {run.customers} test customers")
    cast = await gather_cast(client, run, now)
    screen.step("advancing their clock")
    starts_sending_at = cast.started_at + timedelta(days=run.days_ahead)
    await clock.advance(client, cast.clock_id, starts_sending_at, screen.clock)
    events = events_of(run, [each.customer_id for each in cast.customers], cast.started_at)
    async with watching(client, cast.customers) as live:
        began_s = time.perf_counter()
        with screen.sending(len(run.trace.rows)) as look:
            tally = await send_all(client, events, batch, lambda tally: look(tally.sent, live.sum))
        seconds = time.perf_counter() - began_s
        totals = await _count(client, cast)
        in_step = cast.ends_at is None or await live.reach(totals, LIVE_WITHIN_S)
    if close:
        await _close(client, cast, screen)
    return Result(tally, seconds, totals, await _bill(client, cast), in_step)


async def _count(client: Client, cast: Cast) -> Totals:
    """Return what Tollgate counted in the period of the trace: its usage, or once it is closed its invoice lines."""
    totals = Totals()
    for each in cast.customers:
        if cast.ends_at is None:
            invoices = (await client.read(documents.INVOICES, id=each.customer_id))["invoices"]["nodes"]
            totals += of_lines(invoices, each.subscription_id)
        else:
            totals += of_usage(await client.read(documents.USAGE, id=each.customer_id), each.subscription_id)
    return totals


async def _bill(client: Client, cast: Cast) -> Bills:
    bills = Bills()
    for each in cast.customers:
        bills += of_invoices((await client.read(documents.INVOICES, id=each.customer_id))["invoices"]["nodes"])
    return bills


async def _close(client: Client, cast: Cast, screen: Screen) -> None:
    """Bring the clock to the period's end, if it is not past it, and wait until every invoice is paid."""
    if cast.ends_at is not None:
        screen.step(f"advancing the clock to {cast.ends_at:%Y-%m-%d %H:%M} and closing the period")
        await clock.advance(client, cast.clock_id, cast.ends_at, screen.clock)
    screen.step("waiting for payments")
    deadline = time.monotonic() + PAID_WITHIN_S
    while (bills := await _bill(client, cast)).unsettled:
        if time.monotonic() > deadline:
            raise ReplayError(
                f"{bills.unsettled} invoices are not paid after {PAID_WITHIN_S:.0f} s; do the workers run?"
            )
        await asyncio.sleep(POLL_S)
