"""What a person sees of a long command: a bar on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def bar(doing: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of (done, of all) that moves a bar; silent where nobody looks."""
    console = Console(stderr=True)
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def look(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        yield look
