"""The tables of results, on the terminal and in docs/performance.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. `goal` says what was wanted, `met` whether it was reached; both are None where there is no goal."""

    work: str
    figure: str
    goal: str | None = None
    met: bool | None = None


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)


def at_least(work: str, value: float, bound: float, *, digits: int = 0, unit: str = "") -> Result:
    """Make a result whose figure should not be below a bound."""
    return Result(work, f"{value:,.{digits}f}{unit}", f"at least {bound:,.{digits}f}{unit}", met=value >= bound)


def at_most(work: str, value: float, bound: float, *, digits: int = 1, unit: str = "") -> Result:
    """Make a result whose figure should not be above a bound."""
    return Result(work, f"{value:,.{digits}f}{unit}", f"at most {bound:,.{digits}f}{unit}", met=value <= bound)


def print_table(results: Sequence[Result]) -> None:
    """Print the results."""
    for each in results:
        print(f"{each.work:<78}{each.figure:>16}   {each.goal or '':<22}{_verdict(each)}".rstrip())


def write_table(part: str, machine: str, results: Sequence[Result]) -> None:
    """Put the results of a part into its table on the page, between the two marks of the part."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    rows = [f"| {each.work} | {each.figure} | {each.goal or ''} | {_verdict(each)} |" for each in results]
    table = ["| work | measured | goal | |", "|---|--:|--:|---|", *rows]
    head, found, rest = PAGE.read_text().partition(begin)
    assert found, f"the page has a place for {part}"
    tail = rest.partition(end)[2]
    PAGE.write_text("\n".join([head + begin, f"\n{machine}\n", *table, "", end + tail]))


def _verdict(result: Result) -> str:
    return "" if result.met is None else "met" if result.met else "not met"
