"""What a fixed term is worth a month."""

from fractions import Fraction

import pytest

from domain.analytics.term import incomplete, term_mrr
from domain.kernel.period import Period
from tests import make


def _term(start: str, end: str) -> Period:
    return Period(make.at(start), make.at(end))


@pytest.mark.parametrize(
    ("start", "end", "total", "worth"),
    [
        ("2024-01-01", "2025-01-01", 12_000, Fraction(1_000)),
        # Whole months from the day it began.
        ("2024-03-15", "2024-06-15", 300, Fraction(100)),
        ("2024-01-31", "2024-02-29", 100, Fraction(100)),
        # 292 days from 15 March, of which 17 lie before April: (10,000 x 275 / 292) / 9 = 1,046.42.
        ("2024-03-15", "2025-01-01", 10_000, Fraction(10_000 * 275, 292 * 9)),
        # 10 days of January, all of February (29 days) and 5 of March: 44 x 29 / 44.
        ("2024-01-22", "2024-03-06", 44, Fraction(29)),
        ("2024-02-01", "2024-03-06", 340, Fraction(340 * 29, 34)),
        # No whole month in it.
        ("2024-01-10", "2024-01-20", 100, Fraction(0)),
        ("2024-01-20", "2024-02-10", 100, Fraction(0)),
    ],
)
def test_whole_months_share_what_the_incomplete_ones_leave(start: str, end: str, total: int, worth: Fraction) -> None:
    assert term_mrr(Fraction(total), _term(start, end), "UTC") == worth


def test_the_incomplete_months_stand_at_both_ends() -> None:
    assert incomplete(_term("2024-01-22", "2024-03-06"), "UTC") == (
        _term("2024-01-22", "2024-02-01"),
        _term("2024-03-01", "2024-03-06"),
    )
    assert incomplete(_term("2024-01-01", "2024-03-01"), "UTC") == (None, None)
    assert incomplete(_term("2024-01-10", "2024-01-20"), "UTC") == (_term("2024-01-10", "2024-01-20"), None)
