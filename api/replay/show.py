"""What a person sees of a replay: its steps and a progress bar on standard error, a table on standard output."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.replay.totals import Totals, plain

LABELS = {
    "sent": "events sent",
    "counted": "counted",
    "duplicate": "duplicate",
    "events_per_s": "events/s",
    "tokens_in": "tokens in",
    "tokens_out": "tokens out",
    "list_cost": "list cost, USD",
    "invoices": "invoices",
    "paid": "paid, USD",
}


class Screen:
    """Writes to standard error, so that standard output holds the result alone; silent where nobody looks."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._clock_at: datetime | None = None

    def step(self, what: str) -> None:
        """Say what is being done."""
        if self._console.is_terminal:
            self._console.print(what, style="dim", highlight=False)

    def clock(self, stands_at: datetime) -> None:
        """Say where a clock is on its way, when it moved."""
        moved, self._clock_at = stands_at != self._clock_at, stands_at
        if moved and self._console.is_terminal:
            self._console.print(f"  clock at {stands_at:%Y-%m-%d %H:%M}", style="dim", highlight=False)

    def warn(self, what: str) -> None:
        """Say what a person should know, wherever it goes."""
        self._console.print(what, style="yellow", highlight=False, soft_wrap=True)

    @contextmanager
    def sending(self, events: int) -> Iterator[Callable[[int, Totals], None]]:
        """Show a bar with the totals that come over the websocket; the block tells how many events were answered."""
        columns = (
            TextColumn("sending"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("live: {task.fields[tokens]:,} tokens, {task.fields[cost]} USD"),
        )
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            task = progress.add_task("", total=events, tokens=0, cost="0")

            def look(sent: int, totals: Totals) -> None:
                tokens = totals.input_tokens + totals.output_tokens
                progress.update(task, completed=sent, tokens=tokens, cost=plain(totals.cost))

            yield look


def print_table(facts: dict[str, Any]) -> None:
    """Print the facts of a result, one in a row."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for name, value in facts.items():
        table.add_row(LABELS[name], f"{value:,}" if isinstance(value, int | float) else str(value))
    Console(highlight=False).print(table)
