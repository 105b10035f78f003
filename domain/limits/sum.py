"""Sums of exact amounts that are only compared.

To bring each of them to lowest terms, as a Fraction is, takes most of the time of a warm answer.
"""

from fractions import Fraction

import msgspec


class Sum(msgspec.Struct, frozen=True, gc=False):
    """Amounts added up exactly, and not in lowest terms."""

    numerator: int
    denominator: int

    @property
    def exact(self) -> Fraction:
        """The sum as a number."""
        return Fraction(self.numerator, self.denominator)

    def is_within(self, bound: Fraction) -> bool:
        """Whether it is at most a bound."""
        return self.numerator * bound.denominator <= bound.numerator * self.denominator

    def whole_units_below(self, bound: Fraction) -> int:
        """Return how many whole units there are from it up to a bound; less than 0 where it is beyond."""
        left = bound.numerator * self.denominator - self.numerator * bound.denominator
        return left // (bound.denominator * self.denominator)

    def is_part_of(self, whole: Fraction, percent: int) -> bool:
        """Whether it is at least so many percent of a whole."""
        return self.numerator * whole.denominator * 100 >= whole.numerator * self.denominator * percent


def sum_of(*amounts: Fraction) -> Sum:
    """Add amounts up."""
    numerator, denominator = 0, 1
    for each in amounts:
        below = each.denominator
        if below == denominator:
            numerator += each.numerator
        else:
            numerator = numerator * below + each.numerator * denominator
            denominator *= below
    return Sum(numerator, denominator)
