"""What came back of payments that failed."""

from fractions import Fraction

from domain.dunning.recovery import Tally, recoveries_of
from domain.kernel.money import Money


def test_rates_are_of_all_cases_and_empty_bases_give_none() -> None:
    usd = Tally("USD", 4, 1, 2, 1, 10_000, 2_500, 36_000)
    eur = Tally("EUR", 1, 0, 0, 1, 0, 0, 0)
    first, second = recoveries_of([usd, eur])
    assert [first.tally, first.rate, first.amount_rate, first.mean_hours] == [eur, 0, None, None]
    # One of four; 25 of 100 USD; 36,000 seconds are 10 hours.
    assert [second.rate, second.amount_rate, second.mean_hours] == [Fraction(1, 4), Fraction(1, 4), 10]
    assert (second.failed, second.recovered) == (Money(10_000, "USD"), Money(2_500, "USD"))
