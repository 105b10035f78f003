"""Sums that are only compared, worked out by hand."""

from fractions import Fraction

import pytest

from domain.limits.sum import Sum, sum_of

QUARTER, SIXTH, THREE = Fraction(1, 4), Fraction(1, 6), Fraction(3)


def test_amounts_are_added_exactly_whatever_their_denominators() -> None:
    # 3/12 + 2/12 + 36/12 = 41/12, here in twenty-fourths.
    assert sum_of(QUARTER, SIXTH, THREE) == Sum(82, 24)
    assert sum_of(QUARTER, SIXTH, THREE).exact == Fraction(41, 12)
    assert sum_of(QUARTER, QUARTER) == Sum(2, 4)
    assert sum_of().exact == 0


@pytest.mark.parametrize(
    ("bound", "is_within", "units"),
    [
        # 41/12 is 3 and 5/12.
        (Fraction(41, 12), True, 0),
        (Fraction(40, 12), False, -1),
        (Fraction(53, 12), True, 1),
        (Fraction(52, 12), True, 0),
        (Fraction(0), False, -4),
    ],
)
def test_landing_on_a_bound_is_within_it_and_only_whole_units_are_left(
    bound: Fraction, is_within: bool, units: int
) -> None:
    found = sum_of(QUARTER, SIXTH, THREE)
    assert (found.is_within(bound), found.whole_units_below(bound)) == (is_within, units)


def test_a_part_is_told_in_percent() -> None:
    # 1/4 + 1/6 = 10/24 of 50/96: four fifths, exactly.
    found = sum_of(QUARTER, SIXTH)
    assert found.is_part_of(Fraction(50, 96), 80)
    assert not found.is_part_of(Fraction(50, 96), 81)
    assert found.is_part_of(Fraction(0), 80)
