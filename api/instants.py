"""An instant that was typed at the terminal."""

from datetime import UTC, datetime

import typer


def instant_of(text: str) -> datetime:
    """Read an instant in ISO 8601 with an offset. Raises BadParameter, also for one that is beyond the calendar."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _refused() from error
    raise _refused()


def _refused() -> typer.BadParameter:
    return typer.BadParameter("give an instant in ISO 8601 with an offset, such as 2027-01-31T00:00:00Z")
