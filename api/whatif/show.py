"""What a person sees: a table on standard output."""

from rich.console import Console
from rich.table import Table

from api.whatif.run import Summary


def print_summary(summary: Summary) -> None:
    """Print what all comparisons come to, one fact in a row."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_row("against", f"{summary.plan}, version {summary.version}")
    table.add_row("customers", f"{summary.customers:,}")
    table.add_row("subscriptions compared", f"{summary.subscriptions:,}")
    if summary.unsold:
        table.add_row("not sold by their interval or currency", f"{summary.unsold:,}")
    table.add_row("would pay more", f"{summary.dearer:,}")
    table.add_row("would pay less", f"{summary.cheaper:,}")
    for currency, (present, other) in sorted(summary.totals.items()):
        table.add_row(f"billed or to be billed, {currency}", present.major)
        table.add_row(f"under the other plan, {currency}", other.major)
        table.add_row(f"difference, {currency}", (other - present).major)
    for key, times in summary.limits.most_common():
        table.add_row(f"would have hit the limit {key}", f"{times:,}")
    Console(highlight=False).print(table)
