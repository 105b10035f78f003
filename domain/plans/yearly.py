"""What a year costs beside twelve months (SEMANTICS 3.4; REQUIREMENTS B4 and B12)."""

from decimal import Decimal
from fractions import Fraction

from domain.kernel.money import Money, to_minor

MONTHS = 12


def yearly_fee(monthly: Decimal, discount_percent: Decimal, currency: str) -> Money:
    """Return the fee of a year: twelve monthly fees less a percentage (0 to 100), rounded once: 29 less 10 % is 313.20.

    Raises CurrencyUnknown.
    """
    assert 0 <= discount_percent <= 100, "a discount takes off a part"
    kept = (100 - Fraction(discount_percent)) / 100
    return Money(to_minor(Fraction(monthly) * MONTHS * kept, currency), currency)


def saving_percent(monthly: Decimal, yearly: Decimal) -> Fraction | None:
    """Return what a year saves against twelve months, in percent and exact; None where the months cost nothing.

    Negative where the year is dearer.
    """
    if not monthly:
        return None
    return 100 * (1 - Fraction(yearly) / (Fraction(monthly) * MONTHS))
