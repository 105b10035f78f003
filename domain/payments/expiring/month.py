"""Months as whole numbers, twelve to a year, so that they can be compared and stored."""

from datetime import UTC, datetime

_MONTHS = 12


def index_of(year: int, month: int) -> int:
    """Return the number of a month, 1 to 12: 24312 is December 2025."""
    return year * _MONTHS + month


def year_and_month(index: int) -> tuple[int, int]:
    """Return the year and the month, 1 to 12, of a number."""
    return (index - 1) // _MONTHS, (index - 1) % _MONTHS + 1


def start_of(index: int) -> datetime:
    """Return the first instant of a month, in UTC."""
    year, month = year_and_month(index)
    return datetime(year, month, 1, tzinfo=UTC)
