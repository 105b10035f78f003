"""Money, rounding and splitting."""

from decimal import Decimal
from fractions import Fraction

import pytest

from domain.kernel.money import (
    AmountMalformed,
    CurrencyMismatch,
    CurrencyUnknown,
    Money,
    exact_text,
    exponent,
    from_major,
    round_half_up,
    split,
    to_minor,
)


def test_currencies_have_the_digits_of_iso_4217() -> None:
    assert (exponent("USD"), exponent("JPY"), exponent("KWD")) == (2, 0, 3)
    for unknown in ("usd", "XXX", "", "US"):
        with pytest.raises(CurrencyUnknown):
            Money(1, unknown)


def test_an_amount_is_written_with_exactly_the_digits_of_its_currency() -> None:
    amounts = [Money(2900, "USD"), Money(-5, "USD"), Money(12345, "JPY"), Money(1, "KWD")]
    assert [amount.major for amount in amounts] == ["29.00", "-0.05", "12345", "0.001"]


def test_amounts_of_different_currencies_are_never_added() -> None:
    assert Money(100, "USD") - Money(30, "USD") == Money(70, "USD")
    with pytest.raises(CurrencyMismatch):
        Money(1, "USD") + Money(1, "EUR")


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("1/2", 1), ("-1/2", -1), ("5/2", 3), ("-5/2", -3), ("249/100", 2), ("1/3", 0), ("2/3", 1), ("0", 0)],
)
def test_halves_are_rounded_away_from_zero_symmetrically(value: str, rounded: int) -> None:
    assert round_half_up(Fraction(value)) == rounded


def test_a_line_is_rounded_once_to_minor_units() -> None:
    # 25.0339275 USD are 2503.39275 cents.
    assert to_minor(Fraction("25.0339275"), "USD") == 2503
    assert to_minor(Fraction("0.5"), "JPY") == 1
    assert to_minor(Fraction(1_000_000) * Fraction("0.0003"), "USD") == 30_000


def test_shares_add_up_and_ties_go_to_the_first() -> None:
    assert split(100, [Fraction(1)] * 3) == [34, 33, 33]
    assert split(-100, [Fraction(1)] * 3) == [-34, -33, -33]
    # 10 over 1:2:4 is 1.43, 2.86, 5.71: the two largest remainders get the two that are left.
    assert split(10, [Fraction(1), Fraction(2), Fraction(4)]) == [1, 3, 6]
    assert split(7, [Fraction(0), Fraction(0)]) == [7, 0]
    assert split(0, []) == []


def test_exact_numbers_are_written_without_loss() -> None:
    values: list[Fraction | Decimal | int] = [
        Fraction("25.0339275"),
        Fraction(14, 31),
        Decimal("0.30"),
        5,
        Fraction(-1, 8),
        Decimal(0),
    ]
    assert [exact_text(value) for value in values] == ["25.0339275", "14/31", "0.3", "5", "-0.125", "0"]


def test_an_amount_in_major_units_is_read_exactly_or_not_at_all() -> None:
    assert from_major(Decimal("29.00"), "USD") == Money(2900, "USD")
    assert from_major(Decimal("-0.001"), "KWD") == Money(-1, "KWD")
    for amount, currency in (("29.001", "USD"), ("0.5", "JPY"), ("1000000000000000", "USD")):
        with pytest.raises(AmountMalformed):
            from_major(Decimal(amount), currency)
