"""Dates, numbers and money in a customer's language."""

from decimal import Decimal

import pytest

from domain.invoices.documents import formats
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make


@pytest.mark.parametrize(
    ("tag", "known"),
    [("en", "en"), ("de-CH", "de_CH"), ("pt_BR", "pt_BR"), ("zh-Hant-TW", "zh_Hant_TW"), ("de-XX", "de"), ("xx", "en")],
)
def test_an_unknown_language_is_written_as_the_nearest_known_one(tag: str, known: str) -> None:
    assert str(formats.locale_of(tag)) == known


@pytest.mark.parametrize(
    ("tag", "money", "day"),
    [
        ("en", "$1,234.50", "Feb 1, 2026"),
        ("de", "1.234,50\xa0$", "01.02.2026"),
        ("fr", "1\u202f234,50\xa0$US", "1 févr. 2026"),
        ("ja", "$1,234.50", "2026/02/01"),
    ],
)
def test_money_and_days_are_written_in_the_customers_language(tag: str, money: str, day: str) -> None:
    locale = formats.locale_of(tag)
    assert formats.money(Money(123_450, "USD"), locale) == money
    # 23:30 in UTC on 31 January is the day after in Berlin.
    assert formats.day(make.at("2026-01-31T23:30"), "Europe/Berlin", locale) == day


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Money(1000, "JPY"), "¥1,000"),
        (Money(1234, "KWD"), "KWD\xa01.234"),
        # CLDR writes this currency without its minor unit; what is owed has one.
        (Money(1234, "IQD"), "IQD\xa01.234"),
        (Money(-501, "USD"), "-$5.01"),
        (Money(0, "EUR"), "€0.00"),
    ],
)
def test_money_has_exactly_the_digits_of_its_currency(amount: Money, text: str) -> None:
    assert formats.money(amount, formats.locale_of("en")) == text


def test_quantities_keep_all_their_digits_and_percentages_four() -> None:
    english, german = formats.locale_of("en"), formats.locale_of("de")
    assert formats.quantity(Decimal("1234567.000000000000000001"), english) == "1,234,567.000000000000000001"
    assert formats.quantity(Decimal("2.500"), german) == "2,5"
    # A month of a busy customer's tokens, and as many digits as the database keeps.
    assert formats.quantity(Decimal(12345678901), english) == "12,345,678,901"
    assert formats.quantity(Decimal("99999999999999999999.999999999999999999"), german) == (
        "99.999.999.999.999.999.999,999999999999999999"
    )
    assert formats.percent(Decimal("8.875"), german) == "8,875%"


def test_a_period_is_written_from_its_first_day_to_the_day_after_its_last() -> None:
    january = Period(make.at("2026-01-01"), make.at("2026-02-01"))
    assert formats.days(january, "UTC", formats.locale_of("en")) == "Jan 1, 2026 – Feb 1, 2026"  # noqa: RUF001
