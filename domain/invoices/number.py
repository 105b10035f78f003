"""The numbers of invoices and credit notes: gap-free series per merchant, environment, kind and year."""

from datetime import datetime

from domain.kernel.call import Environment

_SERIES_PREFIX = {Environment.LIVE: "", Environment.TEST: "TEST-"}
_NUMBER_DIGITS = 6


def series_year(now: datetime) -> int:
    """Return the year of the number series that an invoice issued at business time `now` belongs to, in UTC."""
    return now.year


def number_text(environment: Environment, year: int, number: int, *, series: str = "") -> str:
    """Write a number: 2026-000001, TEST-2026-000001 for test customers. More digits follow after 999,999.

    `series` tells other kinds of documents apart: CN- for credit notes, as in TEST-CN-2026-000001.
    """
    return f"{_SERIES_PREFIX[environment]}{series}{year}-{number:0{_NUMBER_DIGITS}d}"
