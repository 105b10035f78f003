"""Ledger entries as rows of a CSV file that spreadsheets open without acting on it."""

import csv
import io
from collections.abc import Iterable, Sequence

from domain.kernel.ids import encode
from domain.ledger.store import Entry

HEADER = ("entry_id", "customer_id", "environment", "at", "reason", "about", "line", "account", "amount", "currency")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_of(entries: Iterable[Entry]) -> list[tuple[str, ...]]:
    """Return one row for each line of entries, in order; debits are above zero, credits below."""
    return [
        (
            encode("entry", entry.id),
            encode("customer", entry.customer_id),
            str(entry.environment),
            entry.at.isoformat(),
            entry.reason,
            entry.about,
            str(number),
            str(line.account),
            line.amount.major,
            line.amount.currency,
        )
        for entry in entries
        for number, line in enumerate(entry.lines, 1)
    ]


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Write rows as CSV (RFC 4180). Text that a spreadsheet could take for a formula gets an apostrophe before it."""
    written = io.StringIO()
    csv.writer(written).writerows([_safe(cell) for cell in row] for row in rows)
    return written.getvalue()


def _safe(cell: str) -> str:
    if not cell.startswith(_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdecimal()
