"""Instants that come from outside: at the terminal, in files, and through the API."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

# The database takes the first and the last instants of the calendar for its infinities, and what is reckoned from an
# instant must not leave the calendar either.
YEARS = range(1900, 3000)


def read_instant(text: object) -> datetime | None:
    """Read ISO 8601 with an offset, as UTC; None where it is none, or lies outside of YEARS."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.astimezone(UTC) if found is not None and is_instant(found) else None
    except (ValueError, OverflowError):
        return None


def is_instant(found: datetime) -> bool:
    """Whether a time has an offset and lies in YEARS."""
    return found.tzinfo is not None and found.year in YEARS


def instant_of(text: str) -> datetime:
    """Read an instant that was typed at the terminal. Raises BadParameter, also for one that is outside of YEARS."""
    found = read_instant(text)
    if found is None:
        raise _refused()
    return found


def _refused() -> "typer.BadParameter":
    import typer  # noqa: PLC0415 -- only the terminal needs it

    return typer.BadParameter("give an instant in ISO 8601 with an offset, such as 2027-01-31T00:00:00Z")
