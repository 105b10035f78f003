"""Months as numbers."""

from domain.payments.expiring.month import index_of, start_of, year_and_month
from tests import make


def test_a_month_is_a_number_and_back() -> None:
    # 2025 * 12 + 12 = 24312; January follows December.
    assert (index_of(2025, 12), index_of(2026, 1)) == (24_312, 24_313)
    assert (year_and_month(24_312), year_and_month(24_313)) == ((2025, 12), (2026, 1))
    assert start_of(24_313) == make.at("2026-01-01")
